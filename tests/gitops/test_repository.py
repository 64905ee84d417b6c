"""What Git says of the past, and of branches that move."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windsock.errors import ConfigurationError, FlagFileError, PlanError, UnreachableError
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


def test_a_commit_from_a_subfolder_writes_below_it(git, tmp_path):
    (tmp_path / "service").mkdir()
    made = Repository(tmp_path / "service").commit("flags", {"flagd/a": b"new"}, "four")
    assert git("ls-tree", "-r", "--name-only", made) == "service/flagd/a"


def test_a_branch_that_is_checked_out_is_left_alone(git, tmp_path):
    before = git("rev-parse", "main")
    with pytest.raises(PlanError, match="is checked out here"):
        Repository(tmp_path).commit("main", {"a": b"new"}, "four")
    assert git("rev-parse", "main") == before


def flag_file(tmp_path: Path, name: str, content: str = '{"flags": {}}') -> Path:
    path = tmp_path / "service" / "flagd" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_hook_of_a_linked_worktree_sees_the_same_files(git, tmp_path, monkeypatch):
    flag_file(tmp_path, "a.flagd.json")
    git("add", "-A")
    git("commit", "-qm", "two")
    git("worktree", "add", "-q", str(tmp_path / "linked"))
    folder = tmp_path / "linked" / "service"
    seen = Repository(folder).files_at("main", [Path("flagd")])
    assert len(seen) == 1
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git" / "worktrees" / "linked"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / ".git" / "worktrees" / "linked" / "index"))
    monkeypatch.setenv("GIT_PREFIX", "service/")
    hooked = Repository(folder)
    assert hooked.prefix == "service/"
    assert hooked.files_at("main", [Path("flagd")]) == seen
    assert len(hooked.commits([Path("flagd")], 10)) == 1
    assert hooked.uncommitted([Path("flagd")]) == ()


def test_a_git_folder_elsewhere_is_still_found_by_its_variable(git, tmp_path, tmp_path_factory, monkeypatch):
    away = tmp_path_factory.mktemp("away")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert Repository(away).resolve("HEAD") == git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "name", ["a\n.flagd.json", "a\x1b[2J.flagd.json", "a\u202e.flagd.json", "a\udcff.flagd.json"]
)
def test_a_name_that_cannot_be_seen_is_refused_and_shifts_no_other_files_content(git, tmp_path, name):
    flag_file(tmp_path, name)
    flag_file(tmp_path, "b.flagd.json")
    git("add", "-A")
    git("commit", "-qm", "two")
    with pytest.raises(FlagFileError, match="character that cannot be seen") as refused:
        Repository(tmp_path / "service").files_at("HEAD", [Path("flagd")])
    assert str(refused.value).isprintable()


def test_git_takes_nothing_in_the_tree_for_its_own_folder(git, tmp_path, monkeypatch):
    """A folder laid out like a bare repository has a configuration, which names programs for Git to run."""
    flag_file(tmp_path, "a.flagd.json")
    inner = tmp_path / "service" / "flagd"
    git("init", "-q", "--bare", str(inner / ".made"))
    for each in (inner / ".made").iterdir():
        each.rename(inner / each.name)
    ran = tmp_path / "ran"
    (inner / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n"
        f'\tfsmonitor = "touch {ran}; false"\n'
    )
    subprocess.run(["git", "-c", "safe.bareRepository=all", "status"], cwd=inner, check=True)
    ran.unlink()  # Git alone runs it
    with pytest.raises(UnreachableError):
        Repository(inner).uncommitted([Path()])
    monkeypatch.chdir(inner)
    with pytest.raises(UnreachableError):
        Repository().uncommitted([Path()])
    assert not ran.exists()


@pytest.mark.parametrize("mode", ["160000", "120000"], ids=["submodule", "link"])
@pytest.mark.parametrize("path", ["flags", "flags/team"])
def test_a_folder_that_is_elsewhere_is_not_an_empty_one(git, tmp_path, mode, path):
    git("commit", "-q", "--allow-empty", "-m", "one")
    target = git("rev-parse", "HEAD") if mode == "160000" else git("hash-object", "-w", "--stdin")
    git("update-index", "--add", "--cacheinfo", f"{mode},{target.strip()},flags")
    git("commit", "-q", "-m", "two")
    with pytest.raises(PlanError, match="flags: Git has a link or a submodule here"):
        Repository(tmp_path).files_at("HEAD", [Path(path)])


def test_a_link_in_git_is_not_a_flag_file(git, tmp_path):
    flag_file(tmp_path, "a.flagd.json").with_name("b.flagd.json").symlink_to("a.flagd.json")
    git("add", "-A")
    git("commit", "-qm", "two")
    repository = Repository(tmp_path / "service")
    with pytest.raises(PlanError, match=r"b.flagd.json: Git has a link"):
        repository.files_at("HEAD", [Path("flagd")])
    with pytest.raises(PlanError, match=r"b.flagd.json: Git has a link"):
        repository.content("HEAD", "flagd/b.flagd.json")


def test_a_path_is_not_a_pattern(git, tmp_path):
    flag_file(tmp_path, "a.flagd.json")
    git("add", "-A")
    git("commit", "-qm", "two")
    repository = Repository(tmp_path / "service")
    assert repository.commits([Path("*")], 10) == ()
    assert repository.files_at("HEAD", [Path(":(top)service")]) == ()


@pytest.mark.parametrize("author", ["Ada\x85Lovelace", "Ada\u2028Lovelace", "Ada\x0bLovelace"])
def test_an_authors_name_does_not_end_a_commit(git, tmp_path, monkeypatch, author):
    monkeypatch.setenv("GIT_AUTHOR_NAME", author)
    flag_file(tmp_path, "a.flagd.json")
    git("add", "-A")
    git("commit", "-qm", "two")
    [commit] = Repository(tmp_path / "service").commits([Path("flagd")], 10)
    assert (commit.author, commit.subject) == (author, "two")


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("@1700000000 +0200", "2023-11-15T00:13:20+02:00"),
        ("@0 +9999", "1970-01-01T00:00:00+00:00"),
        ("@1700000000 +2400", "1970-01-01T00:00:00+00:00"),
        ("@253402300800 +0000", "1970-01-01T00:00:00+00:00"),
        ("@253402300800 -1200", "1970-01-01T00:00:00+00:00"),
        ("@99999999999999 +0000", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_a_commits_date_can_be_read_whatever_its_author_wrote(git, tmp_path, written, date):
    """The console's pages show it in UTC."""
    flag_file(tmp_path, "a.flagd.json")
    git("add", "-A")
    git("commit", "-qm", "two", at=written)
    [commit] = Repository(tmp_path / "service").commits([Path("flagd")], 10)
    assert datetime.fromisoformat(commit.date).astimezone(UTC)
    assert commit.date == date


@pytest.mark.parametrize(
    "name", ["-x", "HEAD", "a..b", "a b", "a~1", "a.lock", "", "a/", "@{-1}", "@", "a\nb"]
)
def test_branch_names_are_checked_as_git_does(git, tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot be a branch's name"):
        Repository(tmp_path).has_branch(name)
