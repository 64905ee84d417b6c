"""Applying a plan in the face of what goes wrong: all of it or nothing, and nothing outside of the folder."""

import json

import pytest

from windsock.errors import PlanError, UnreachableError
from windsock.gitops.applying import apply_to_folder
from windsock.gitops.plan import FORMAT, Plan, Step, dump, load, sha256


def plan(*steps: tuple[str, str | None, str | None]) -> Plan:
    made = (
        Step(path, None if before is None else sha256(before.encode()), after, (), ())
        for path, before, after in steps
    )
    return Plan("0" * 40, "2026-01-01T00:00:00+00:00", "nobody", tuple(made), ())


def test_what_was_written_is_put_back_where_the_rest_cannot_be(tmp_path):
    (tmp_path / "changed").write_text("old")
    (tmp_path / "removed").write_text("old")
    (tmp_path / "file").write_text("a file where the plan has a folder")
    steps = [
        ("changed", "old", "new"),
        ("removed", "old", None),
        ("added", None, "new"),
        ("file/x", None, "new"),
    ]
    with pytest.raises(UnreachableError, match="file/x: cannot be written"):
        apply_to_folder(plan(*steps), tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "file"} == {
        "changed": "old",
        "removed": "old",
    }


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/outside"])
def test_nothing_outside_of_the_folder_is_read_or_written(tmp_path, path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(PlanError, match="outside of the folder"):
        apply_to_folder(plan((path, None, "new")), folder)
    assert list(tmp_path.rglob("outside")) == []


def test_a_plan_of_another_version_is_refused():
    written = dump(plan(("a", None, "new")))
    assert load(written.encode(), "plan.json") == plan(("a", None, "new"))
    content = json.loads(written) | {"windsock_plan": FORMAT + 1}
    with pytest.raises(PlanError, match=f"format {FORMAT + 1}, this windsock reads {FORMAT}"):
        load(json.dumps(content).encode(), "plan.json")
