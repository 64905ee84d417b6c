"""`windsock diff` as a program, with real Git."""

import json

import pytest
from tests.cli.conftest import WINDSOCK, boolean


def test_two_files_part_by_part(windsock, write):
    write({"kept": boolean(), "gone": boolean(), "moved": boolean({"if": [True, "on"]})}, "a")
    write({"kept": boolean(), "moved": boolean({"if": [True, "off"]}, owner="us"), "new": boolean()}, "b")
    done = windsock("diff", "flagd/a.flagd.json", "flagd/b.flagd.json")
    assert done.returncode == 3
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "- gone",
        "~ moved/targeting",
        "+ moved/metadata",
        "+ new",
    ]
    assert "~ moved/targeting  if true, on → off" in done.stdout
    same = windsock("diff", "flagd/a.flagd.json", "flagd/a.flagd.json")
    assert (same.returncode, same.stdout) == (0, "")


def test_against_a_revision(windsock, write, git):
    write({"f": boolean()})
    git("add", ".")
    git("commit", "-qm", "one")
    assert windsock("diff").returncode == 0
    write({"f": boolean(default="on")})
    write({"g": boolean()}, "other")
    done = windsock("diff", "--against", "HEAD", "--json")
    assert [(change["flag"], change["kind"], change["pointer"]) for change in json.loads(done.stdout)] == [
        ("f", "changed", "/defaultVariant"),
        ("g", "added", ""),
    ]


def test_as_gits_textconv(windsock, write, git, tmp_path):
    (tmp_path / ".gitattributes").write_text("*.flagd.json diff=flagd\n")
    git("config", "diff.flagd.textconv", f"{WINDSOCK} diff --textconv")
    path = write({"f": boolean()})
    git("add", ".")
    git("commit", "-qm", "one")
    path.write_text(path.read_text().replace("\n", ""))
    assert git("diff") == ""
    write({"f": boolean(default="on")})
    assert '\n-f defaultVariant: "off"\n+f defaultVariant: "on"\n' in git("diff")


def test_what_git_does_not_have(windsock, write, git, tmp_path):
    write({"f": boolean()})
    done = windsock("diff", "--against", "nowhere")
    assert done.returncode == 1
    assert "nowhere: Git has no such revision here" in done.stderr
    git("add", ".")
    git("commit", "-qm", "one")
    git("commit", "-q", "--allow-empty", "-m", "two")
    git("clone", "-q", "--depth", "1", f"file://{tmp_path}", "shallow")
    done = windsock("diff", "--against", "HEAD~1", folder="shallow")
    assert done.returncode == 1
    assert "the clone is shallow: git fetch --unshallow" in done.stderr


def test_outside_a_repository(windsock, write):
    write({"f": boolean()})
    done = windsock("diff", GIT_CEILING_DIRECTORIES="/")
    assert done.returncode == 4
    assert "git rev-parse: not a git repository" in done.stderr
    assert "; run this in the project's folder, or `git init` and commit the flags first" in done.stderr


def test_before_the_first_commit(windsock, write, git):
    write({"f": boolean()})
    done = windsock("diff")
    assert done.returncode == 1
    assert "HEAD: Git has no such revision here; commit the flag files first" in done.stderr


def test_a_path_that_does_not_exist_is_reported(windsock, write, git):
    write({"f": boolean()})
    git("add", ".")
    git("commit", "-qm", "one")
    done = windsock("diff", "flagd/nowhere.flagd.json")
    assert (done.returncode, done.stdout) == (4, "")
    assert "flagd/nowhere.flagd.json: neither here nor in HEAD" in done.stderr


@pytest.mark.parametrize("named", [("HEAD~1", "HEAD"), ("HEAD~1",), ("flagd", "HEAD~1")])
def test_a_revision_in_the_place_of_a_path_is_recognized(windsock, write, git, named):
    for value in "one", "two":
        write({"f": boolean(), value: boolean()})
        git("add", ".")
        git("commit", "-qm", value)
    done = windsock("diff", *named)
    assert (done.returncode, done.stdout) == (4, "")
    assert "HEAD~1: " in done.stderr
    assert "but a Git revision; to compare with it, write --against HEAD~1" in done.stderr
