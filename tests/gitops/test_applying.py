"""Applying a plan in the face of what goes wrong: all of it or nothing, and nothing outside of the folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from windsock.errors import FlagFileError, PlanError, UnreachableError
from windsock.gitops.applying import apply_to_branch, apply_to_folder
from windsock.gitops.plan import FORMAT, Plan, PlanStep, dump, load, sha256
from windsock.gitops.repository import Repository

NEW = '{"flags": {}}\n'


def plan(*steps: tuple[str, str | None, str | None]) -> Plan:
    made = (
        PlanStep(path, None if before is None else sha256(before.encode()), after, (), ())
        for path, before, after in steps
    )
    return Plan("0" * 40, "2026-01-01T00:00:00+00:00", "nobody", tuple(made), ())


def test_what_was_written_is_put_back_where_the_rest_cannot_be(tmp_path):
    folder = tmp_path / "flagd"
    folder.mkdir()
    (folder / "changed.flagd.json").write_text("old")
    (folder / "removed.flagd.json").write_text("old")
    (folder / "file").write_text("a file where the plan has a folder")
    steps = [
        ("flagd/changed.flagd.json", "old", NEW),
        ("flagd/removed.flagd.json", "old", None),
        ("flagd/added.flagd.json", None, NEW),
        ("flagd/file/x.flagd.json", None, NEW),
    ]
    with pytest.raises(UnreachableError, match=r"file/x.flagd.json: cannot be written"):
        apply_to_folder(plan(*steps), tmp_path)
    assert {path.name: path.read_text() for path in folder.iterdir() if path.name != "file"} == {
        "changed.flagd.json": "old",
        "removed.flagd.json": "old",
    }


FORGED = [
    "../outside.flagd.json",
    "flagd/../../outside.flagd.json",
    "/outside.flagd.json",
    "flagd//outside.flagd.json",
    "./flagd/outside.flagd.json",
    "outside.flagd.json",
    ".git/config",
    ".git/hooks/pre-commit",
    "flagd/.git/outside.flagd.json",
    "flagd/.GIT/outside.flagd.json",
    "flagd/.git./outside.flagd.json",
    "flagd/git~1/outside.flagd.json",
    "flagd/.. /outside.flagd.json",
    "flagd/..\\..\\outside.flagd.json",
    "flagd/.git::$INDEX_ALLOCATION/outside.flagd.json",
    ".github/workflows/outside.yml",
    "flagd/outside.sh",
    "flagd/outside\n.flagd.json",
    "flagd",
]


@pytest.mark.parametrize("path", FORGED)
def test_a_forged_plan_touches_nothing_but_flag_files_below_their_folder(tmp_path, path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(PlanError, match="not a flag file below flagd"):
        apply_to_folder(plan((path, None, NEW)), folder)
    assert list(tmp_path.rglob("*")) == [folder]


@pytest.mark.parametrize("path", FORGED)
def test_nor_does_it_as_a_commit(git, tmp_path, path):
    git("commit", "-q", "--allow-empty", "-m", "one")
    before = git("for-each-ref")
    with pytest.raises(PlanError, match="not a flag file below flagd"):
        apply_to_branch(plan((path, None, NEW)), "flags", "two", Repository(tmp_path))
    assert git("for-each-ref") == before


@pytest.mark.parametrize("content", ["#!/bin/sh\n", "[core]\n", "\ud800", ""])
def test_only_a_flag_document_becomes_a_flag_file(tmp_path, content):
    with pytest.raises(FlagFileError):
        apply_to_folder(plan(("flagd/a.flagd.json", None, content)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_not_applied_through_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.flagd.json").write_text("old")
    root = tmp_path / "root"
    root.mkdir()
    (root / "flagd").symlink_to(tmp_path / "elsewhere")
    (root / "linked").mkdir()
    (root / "linked" / "a.flagd.json").symlink_to(tmp_path / "elsewhere" / "a.flagd.json")
    for path in ("flagd/a.flagd.json", "linked/a.flagd.json"):
        with pytest.raises(PlanError, match="a link"):
            apply_to_folder(plan((path, "old", NEW)), root, [Path("flagd"), Path("linked")])
    assert (tmp_path / "elsewhere" / "a.flagd.json").read_text() == "old"


def test_a_tag_of_a_branch_s_name_is_not_taken_for_the_branch(tmp_path, git):
    flags = tmp_path / "flagd" / "a.flagd.json"
    flags.parent.mkdir()
    flags.write_text("old")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    git("tag", "flags")
    git("checkout", "-q", "-b", "flags")
    flags.write_text("newer")
    git("commit", "-q", "-a", "-m", "two")
    git("checkout", "-q", "--detach")
    with pytest.raises(PlanError, match="in flags the file is not what it was"):
        apply_to_branch(plan(("flagd/a.flagd.json", "old", NEW)), "flags", "three", Repository(tmp_path))


def test_half_a_surrogate_pair_in_a_plan_is_an_edit_like_any_other():
    with pytest.raises(PlanError, match="was edited"):
        load(dump(plan()).replace("nobody", "\\ud800").encode(), "plan.json")


def test_a_plan_of_another_version_is_refused():
    written = dump(plan(("a", None, "new")))
    assert load(written.encode(), "plan.json") == plan(("a", None, "new"))
    content = json.loads(written) | {"windsock_plan": FORMAT + 1}
    with pytest.raises(PlanError, match=f"format {FORMAT + 1}, this windsock reads {FORMAT}"):
        load(json.dumps(content).encode(), "plan.json")


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"{}", b"[" * 100_000, b"\xff"])
def test_what_is_not_a_plan_is_refused_in_a_line(data):
    with pytest.raises(PlanError, match="not a plan"):
        load(data, "plan.json")


@pytest.mark.parametrize("name", ["path", "before", "after"])
@pytest.mark.parametrize("value", [7, ["a"], {"a": 1}])
def test_a_forged_plan_with_anything_else_than_text_is_no_plan(name, value):
    step = replace(PlanStep("flagd/a.flagd.json", None, "{}", (), ()), **{name: value})
    forged = Plan("base", "now", "nobody", (step,), ())
    with pytest.raises(PlanError, match="this is not a plan"):
        load(dump(forged), "plan.json")
