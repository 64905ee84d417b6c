"""docs/security.md: each promise names a test, and each test that it names exists."""

import pytest
from tests.named_tests import REPOSITORY, exists, proofs

PARTIES = [
    "Application code",
    "Roles of the database",
    "Supabase",
    "A stranger's pull request",
    "Who calls the API or the console",
    "Hostile rows, flags and attributes",
    "Neighbours on the host",
]
PAGE = (REPOSITORY / "docs/security.md").read_text()
PROMISED = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
LINES = [line for line in PROMISED.splitlines() if line.startswith("| ") and not line.startswith("| promise")]


def test_each_party_has_a_table():
    assert [line.removeprefix("### ") for line in PROMISED.splitlines() if line.startswith("### ")] == PARTIES
    assert len(LINES) > 40


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip()[:60])
def test_a_promise_names_tests_that_exist(line):
    named = proofs(line)
    assert named, "a promise without a test"
    for path, name in named:
        assert exists(REPOSITORY / "tests" / path, name), f"{path}::{name}"
