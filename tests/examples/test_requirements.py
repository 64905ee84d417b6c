"""docs/requirements.md: every line of its tables names a test, and every test that it names exists."""

import pytest
from tests.named_tests import REPOSITORY, exists, proofs

TABLES = (REPOSITORY / "docs/requirements.md").read_text()
LINES = [
    line for line in TABLES.splitlines() if line.startswith("| ") and not line.startswith("| requirement")
]


def test_there_are_lines():
    assert len(LINES) > 40


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip()[:60])
def test_a_line_names_tests_that_exist(line):
    named = proofs(line)
    assert named, "a requirement without a proof"
    for path, name in named:
        assert exists(REPOSITORY / path, name), f"{path}::{name}"
