"""docs/requirements.md: every line of its tables names a test, and every test that it names exists."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TABLES = (REPOSITORY / "docs/requirements.md").read_text()
LINES = [
    line for line in TABLES.splitlines() if line.startswith("| ") and not line.startswith("| requirement")
]
PROOF = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


def names(nodes, prefix=""):
    """The functions and methods of a module, as pytest names them."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            yield from names(node.body, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}"


def test_there_are_lines():
    assert len(LINES) > 40


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip()[:60])
def test_a_line_names_tests_that_exist(line):
    proofs = PROOF.findall(line.rstrip(" |").rpartition("|")[2])
    assert proofs, "a requirement without a proof"
    for path, name in proofs:
        assert (REPOSITORY / path).is_file(), path
        assert name in names(ast.parse((REPOSITORY / path).read_text()).body), f"{path} has no {name}"
