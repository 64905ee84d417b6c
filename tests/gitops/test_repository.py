"""What Git says of the past, and of branches that move."""

import os
import subprocess
from pathlib import Path

import pytest

from windsock.errors import PlanError
from windsock.gitops.repository import Repository


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    identity = {
        f"GIT_{role}_{part}": "ada@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    for name, value in identity.items():
        monkeypatch.setenv(name, value)

    def git(*arguments: str, at: str = "2026-01-01T00:00:00Z") -> str:
        dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        done = subprocess.run(
            ["git", *arguments],
            cwd=tmp_path,
            env=os.environ | dates,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "one")
    return git


def test_a_branch_that_was_not_merged_yet_was_not_in_force(git, tmp_path):
    first = git("rev-parse", "HEAD")
    git("switch", "-qc", "side")
    git("commit", "-q", "--allow-empty", "-m", "two", at="2026-01-02T00:00:00Z")
    git("switch", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "three", "side", at="2026-01-04T00:00:00Z")
    repository = Repository(tmp_path)
    assert repository.revision_at("2026-01-03T00:00:00Z") == first
    assert repository.revision_at("2026-01-05T00:00:00Z") == git("rev-parse", "HEAD")
    assert repository.revision_at("2025-01-01T00:00:00Z") is None


def test_a_commit_in_a_folder_of_the_repository_stands_in_that_folder(git, tmp_path):
    (tmp_path / "service").mkdir()
    made = Repository(tmp_path / "service").commit("flags", {"flagd/a": b"new"}, "four")
    assert git("ls-tree", "-r", "--name-only", made) == "service/flagd/a"


def test_a_branch_that_is_checked_out_is_left_alone(git, tmp_path):
    before = git("rev-parse", "main")
    with pytest.raises(PlanError, match="is checked out here"):
        Repository(tmp_path).commit("main", {"a": b"new"}, "four")
    assert git("rev-parse", "main") == before
