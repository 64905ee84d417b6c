"""Pages whose tables name the test that holds each line."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
_PROOF = re.compile(r"`([\w/]+\.py)::([\w:]+)`")


def proofs(line: str) -> list[tuple[str, str]]:
    """The tests that the last cell of a table's line names, each by its file and its name there."""
    return _PROOF.findall(line.rstrip(" |").rpartition("|")[2])


def exists(file: Path, name: str) -> bool:
    """Whether a file has a test of this name, written as pytest writes it."""
    return file.is_file() and name in _tests(file)


@cache
def _tests(file: Path) -> frozenset[str]:
    return frozenset(_names(ast.parse(file.read_text()).body))


def _names(nodes: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}"
