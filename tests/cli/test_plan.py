"""`windsock plan` and `windsock apply` as programs, with real Git."""

import json
import re

import pytest
from tests.cli.conftest import boolean


def split(on: int) -> dict[str, object]:
    return boolean({"fractional": [["on", on], ["off", 100 - on]]})


@pytest.fixture
def committed(write, git):
    write({"f": split(10)})
    git("add", ".")
    git("commit", "-qm", "one")
    return git


def test_no_change_is_exit_code_0(windsock, committed):
    done = windsock("plan")
    assert (done.returncode, done.stdout) == (0, "no changes\n")


def test_a_change_says_exactly_who(windsock, write, committed, tmp_path):
    write({"f": split(20), "new": boolean(default="on")})
    (tmp_path / "users.csv").write_text("user_id\n" + "\n".join(f"u{number}" for number in range(1000)))
    done = windsock("plan", "--users", "users.csv", "--who", "who.csv", "--out", "plan.json")
    assert done.returncode == 3, done.stderr
    assert "write flagd/a.flagd.json" in done.stdout
    assert "~ f/targeting  on: 10 % → 20 %" in done.stdout
    assert "1,000 users: code default → on, STATIC" in done.stdout
    rows = (tmp_path / "who.csv").read_text().splitlines()
    moved = [row for row in rows if row.startswith("f,")]
    plan = json.loads((tmp_path / "plan.json").read_text())
    impact = next(each for each in plan["steps"][0]["impacts"] if each["flag"] == "f")
    assert sum(move["users"] for move in impact["moves"]) == len(moved) == pytest.approx(100, abs=35)
    assert all(row.endswith("off,on,TARGETING_MATCH") for row in moved)


def test_another_bucketing_is_a_change_that_says_who_moves(windsock, write, committed):
    write({"f": split(10) | {"metadata": {"bucketing": "v3"}}})
    done = windsock("plan", "--out", "plan.json")
    assert done.returncode == 3, done.stderr
    assert '+ f/metadata  {"bucketing": "v3"}' in done.stdout
    [moved] = re.findall(r"! f: reshuffles, ([\d,]+) of 10,000 users", done.stdout)
    assert 1_000 < int(moved.replace(",", "")) < 2_500  # one in ten is on; two unlike tenths are exchanged


def test_fewer_users_are_made_up_where_a_rule_is_long(windsock, write, committed):
    long = {"if": [{"or": [{"==": [{"var": f"a{each}"}, each]} for each in range(2_500)]}, "on"]}
    write({"f": boolean(long)})
    done = windsock("plan", "--out", "plan.json")
    assert done.returncode == 3, done.stderr
    assert re.search(r"; [1-9]\d\d made-up users [^;]+: the rules are too long for 10,000;", done.stderr)
    assert re.search(r"of \d\d\d users", done.stdout)


def test_limits_are_exit_code_1(windsock, write, committed):
    write({"f": split(20)})
    assert windsock("plan", "--max-moved", "15%").returncode == 3
    done = windsock("plan", "--max-moved", "2%", "--out", "plan.json")
    assert done.returncode == 1
    assert "f: moves 10" in done.stderr
    done = windsock("apply", "plan.json")
    assert done.returncode == 1
    assert "the plan has findings" in done.stderr
    assert windsock("plan", "--max-moved", "many").returncode == 1


def test_an_arm_is_not_taken_away(windsock, write, git):
    def experiment(first: str, second: str) -> dict[str, object]:
        rule = {"fractional": [[first, 50], [second, 50]]}
        variants = {"none": {}, "a": {"x": 1}, "b": {"x": 2}}
        return {"state": "ENABLED", "variants": variants, "defaultVariant": "none", "targeting": rule}

    write({"t.experiment": experiment("a", "b")})
    git("add", ".")
    git("commit", "-qm", "one")
    write({"t.experiment": experiment("b", "a")})
    done = windsock("plan", "--format", "markdown")
    assert done.returncode == 1
    assert "10,000 users of the running experiment would lose an arm" in done.stdout
    assert "### Flags: reshuffles" in done.stdout
    assert windsock("plan", "--allow-reshuffle").returncode == 3


def test_a_plan_of_any_size_fits_a_comment_which_has_the_worst_and_says_what_it_leaves_out(
    windsock, write, git
):
    """GitHub refuses a comment of more than 65,536 characters, so a reviewer would go on seeing an older plan."""
    flags = {f"flag_{number}": boolean(owner="##[x") for number in range(1_500)}
    write(flags | {"last": split(10)})
    git("add", ".")
    git("commit", "-qm", "one")
    write(
        {key: flag | {"metadata": {"owner": "##[" * 9}} for key, flag in flags.items()} | {"last": split(90)}
    )
    done = windsock("plan", "--format", "markdown")
    assert done.returncode == 3
    assert 32_768 < len(done.stdout) <= 65_536
    rows = [line for line in done.stdout.splitlines() if line.startswith("| <code>")]
    assert rows[0].startswith("| <code>last</code> | moves users | ")
    left_out = 1_500 + 1 + 1 - len(rows)
    assert f"**{left_out:,} flags, findings or files' changes are left out" in done.stdout
    write({key: flag | {"defaultVariant": "onn" * 30} for key, flag in flags.items()} | {"last": split(10)})
    done = windsock("plan", "--format", "markdown")
    assert done.returncode == 1
    assert 32_768 < len(done.stdout) <= 65_536
    assert "are left out, because" in done.stdout


def test_a_flag_that_cannot_be_served_any_more_is_a_finding(windsock, write, committed):
    write({"f": split(10), "new": boolean(default="onn")})
    done = windsock("plan", "--out", "plan.json")
    assert done.returncode == 1
    assert "flagd/a.flagd.json:" in done.stderr
    assert "defaultVariant 'onn' is not a variant" in done.stderr
    assert windsock("apply", "plan.json").returncode == 1
    committed("commit", "-aqm", "it is served like that already")
    write({"f": split(20), "new": boolean(default="onn")})
    assert windsock("plan").returncode == 3


def test_what_a_settings_class_refuses_is_breaking(windsock, write, git, tmp_path):
    (tmp_path / "app.py").write_text(
        "import windsock\nfrom pydantic import Field\n"
        "class Teacher(windsock.Settings, flag='teacher'):\n    top_k: int = Field(3, ge=1)\n"
    )

    def teacher(top_k: int) -> dict[str, object]:
        return {
            "teacher": {"state": "ENABLED", "variants": {"base": {"top_k": top_k}}, "defaultVariant": "base"}
        }

    write(teacher(5))
    git("add", ".")
    git("commit", "-qm", "one")
    write(teacher(0))
    done = windsock("plan", "--settings", "app:Teacher", "--users", "10")
    assert done.returncode == 1
    assert "X teacher: breaking, 10 of 10 users (100.00%)" in done.stdout
    assert "Teacher.top_k refuses 0" in done.stderr


def test_apply_to_a_folder_once(windsock, write, committed, git, tmp_path):
    git("clone", "-q", ".", "served")
    write({"f": split(20)})
    write({"g": boolean()}, "new")
    assert windsock("plan", "--out", "plan.json").returncode == 3
    done = windsock("apply", "plan.json", "--to", "served")
    assert (done.returncode, done.stdout) == (0, "flagd/a.flagd.json\nflagd/new.flagd.json\n")
    for name in ("a", "new"):
        path = f"flagd/{name}.flagd.json"
        assert (tmp_path / "served" / path).read_bytes() == (tmp_path / path).read_bytes()
    again = windsock("apply", "plan.json", "--to", "served")
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do" in again.stderr


def test_apply_is_refused_where_the_base_has_moved(windsock, write, committed, git, tmp_path):
    git("clone", "-q", ".", "served")
    write({"f": split(20)})
    write({"g": boolean()}, "new")
    windsock("plan", "--out", "plan.json")
    served = tmp_path / "served" / "flagd" / "a.flagd.json"
    served.write_text(json.dumps({"flags": {"f": split(11)}}))
    done = windsock("apply", "plan.json", "--to", "served")
    assert done.returncode == 1
    assert "flagd/a.flagd.json: the base has moved" in done.stderr
    assert not (tmp_path / "served" / "flagd" / "new.flagd.json").exists(), "half of it was written"


def test_an_edited_plan_is_refused(windsock, write, committed, tmp_path):
    write({"f": split(20)})
    windsock("plan", "--out", "plan.json")
    path = tmp_path / "plan.json"
    path.write_text(path.read_text().replace("100", "200", 1))
    done = windsock("apply", "plan.json")
    assert done.returncode == 1
    assert "the plan was edited" in done.stderr
    path.write_text("{}")
    assert "this is not a plan" in windsock("apply", "plan.json").stderr
    assert windsock("apply", "nowhere.json").returncode == 4


def test_apply_as_a_commit_leaves_the_working_tree(windsock, write, committed, git, tmp_path):
    write({"f": split(20)})
    write({"g": boolean()}, "new")
    windsock("plan", "--out", "plan.json")
    status = git("status", "--porcelain")
    done = windsock("apply", "plan.json", "--branch", "flags", "-m", "Twenty", **IDENTITY)
    assert done.returncode == 0, done.stderr
    assert git("rev-parse", "flags") == done.stdout
    assert git("log", "-1", "--format=%s %P", "flags") == f"Twenty {git('rev-parse', 'main')}"
    assert git("show", "flags:flagd/a.flagd.json") == (tmp_path / "flagd/a.flagd.json").read_text()
    assert git("show", "flags:flagd/new.flagd.json") == (tmp_path / "flagd/new.flagd.json").read_text()
    assert git("status", "--porcelain") == status
    assert windsock("apply", "plan.json", "--branch", "flags", **IDENTITY).stdout == "nothing to do\n"
    assert "is checked out here" in windsock("apply", "plan.json", "--branch", "main", **IDENTITY).stderr


def test_a_removed_file_is_removed(windsock, write, committed, git, tmp_path):
    path = write({"g": boolean()}, "other")
    git("add", ".")
    git("commit", "-qm", "two")
    git("clone", "-q", ".", "served")
    path.unlink()
    assert windsock("plan", "--out", "plan.json").returncode == 3
    assert windsock("apply", "plan.json", "--to", "served").returncode == 0
    assert not (tmp_path / "served/flagd/other.flagd.json").exists()


def test_a_merge_conflict_in_a_flag_file(windsock, write, committed):
    path = write({"f": split(20)})
    path.write_text("{\n<<<<<<< HEAD\n" + path.read_text())
    done = windsock("plan")
    assert done.returncode == 1
    assert "flagd/a.flagd.json:2:1" in done.stderr


IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
}
