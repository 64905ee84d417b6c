"""`windsock lint` as a program: formats, exit codes, corrections, and what cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
from tests.go_modules import module_folder

WINDSOCK = Path(sys.executable).parent / "windsock"
GOOD = {"flags": {"f": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}}}
BAD = {"flags": {"f": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "of,f:%"}}}


@pytest.fixture
def windsock(tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [WINDSOCK, "lint", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"NO_COLOR": "1"},
        )  # fmt: skip

    return run


@pytest.fixture
def flagd(tmp_path):
    folder = tmp_path / "flagd"
    folder.mkdir()
    return folder


def test_a_clean_folder_is_silent_on_stdout(windsock, flagd):
    (flagd / "a.flagd.json").write_text(json.dumps(GOOD))
    done = windsock()
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "1 file, 0 errors, 0 warnings, 0 notes\n"


def test_a_finding_is_exit_code_1_in_every_format(windsock, flagd):
    (flagd / "a.flagd.json").write_text(json.dumps(BAD, indent=2))
    table = windsock()
    assert table.returncode == 1
    assert table.stdout.startswith(
        "flagd/a.flagd.json:8:25  error    default-not-variant  f: defaultVariant 'of,f:%'"
    )
    [data] = json.loads(windsock("--format", "json").stdout)
    assert (data["code"], data["line"], data["column"], data["fixable"]) == (
        "default-not-variant",
        8,
        25,
        False,
    )
    github = windsock("--format", "github").stdout
    assert github.startswith("::error file=flagd/a.flagd.json,line=8,col=25,title=default-not-variant::f: ")
    assert "of,f:%25" in github
    sarif = json.loads(windsock("--format", "sarif").stdout)
    [run] = sarif["runs"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 8,
        "startColumn": 25,
    }
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["default-not-variant"]


def test_sarif_is_what_its_schema_says(windsock, flagd):
    source = (
        module_folder("github.com/owenrumney/go-sarif/v3") / "pkg" / "report" / "v210" / "sarif" / "schema.go"
    )
    schema = jsonschema_rs.validator_for(json.loads(source.read_text().split("`")[1]))
    rule = {"if": [{"==": [{"var": "age"}, 0]}, "on", {"fractional": [["on", 1.0], ["onn", 1]]}]}
    flag = {"variants": {"on": 1, "off": 2.5}, "description": "ü & <b>", "targeting": rule}
    (flagd / "a b.flagd.json").write_text(json.dumps({"flags": {"ä/b": flag}}, indent=1))
    (flagd / "c.flagd.json").write_text("{")
    report = json.loads(windsock("--format", "sarif").stdout)
    places = [result["locations"][0]["physicalLocation"] for result in report["runs"][0]["results"]]
    assert len(places) > 6
    assert {place["artifactLocation"]["uri"] for place in places} == {
        "flagd/a%20b.flagd.json",
        "flagd/c.flagd.json",
    }
    assert [error.message for error in schema.iter_errors(report)] == []
    report["runs"][0]["results"][0]["level"] = "loud"
    assert not schema.is_valid(report)


def test_notes_count_only_when_strict(windsock, flagd):
    (flagd / "a.flagd.json").write_text(
        json.dumps({"flags": {"f": {"state": "ENABLED", "variants": {"on": True}}}})
    )
    assert windsock().returncode == 0
    assert windsock("--strict").returncode == 1


def test_a_warning_alone_is_exit_code_1(windsock, flagd):
    variants = {"on": True, "off": False}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": "off"}
    rule = {"if": [True, "on", "off"]}
    (flagd / "a.flagd.json").write_text(json.dumps({"flags": {"f": flag | {"targeting": rule}}}))
    done = windsock("--format", "json")
    assert done.returncode == 1
    assert {each["level"] for each in json.loads(done.stdout)} == {"warning"}


def test_fix_corrects_the_file_and_says_so(windsock, flagd):
    (flagd / "a.flagd.json").write_text(
        json.dumps({"flags": {"f": {"variants": {"on": True}, "defaultVariant": "on"}}})
    )
    done = windsock("--fix")
    assert done.returncode == 0
    assert "flagd/a.flagd.json: corrected 1" in done.stderr
    assert json.loads((flagd / "a.flagd.json").read_text())["flags"]["f"]["state"] == "ENABLED"


def test_the_projects_policies_come_from_pyproject(windsock, flagd, tmp_path):
    (flagd / "a.flagd.json").write_text(json.dumps(GOOD))
    (tmp_path / "pyproject.toml").write_text('[tool.windsock.lint]\nenable = ["missing-owner"]\n')
    assert "missing-owner" in windsock().stdout
    (tmp_path / "pyproject.toml").write_text('[tool.windsock.lint]\nenable = ["nonsense"]\n')
    done = windsock()
    assert (done.returncode, done.stdout) == (1, "")
    assert "no code 'nonsense'" in done.stderr


def test_what_cannot_be_reached_is_exit_code_4(windsock, flagd, tmp_path):
    assert windsock("nowhere").returncode == 4
    assert "no *.flagd.json here" in windsock().stderr
    (tmp_path / "loop.flagd.json").symlink_to("loop.flagd.json")
    done = windsock("loop.flagd.json")
    assert done.returncode == 4
    assert done.stderr.startswith("windsock: loop.flagd.json: Too many levels of symbolic links")


def test_an_unknown_option_is_exit_code_2(windsock):
    assert windsock("--nonsense").returncode == 2
    assert windsock("--explain", "nonsense").returncode == 2
    assert windsock("--explain", "unreachable").returncode == 0


def test_attributes_that_may_be_missing_are_found_when_asked(windsock, flagd):
    rule = {"if": [{">": [{"+": [{"var": "age"}, 1]}, 18]}, "on", None]}
    flag = GOOD["flags"]["f"] | {"targeting": rule, "metadata": {"lint.compare-types": "age is always sent"}}
    (flagd / "a.flagd.json").write_text(json.dumps({"flags": {"f": flag}}))
    assert (windsock().returncode, windsock().stdout) == (0, "")
    found = windsock("--attributes")
    assert found.returncode == 1
    assert (
        "arithmetic-on-missing  f: arithmetic on an attribute that is not a number: For nul" in found.stdout
    )
    # a sum is a number, so there is nothing to silence
    assert "it silences nothing: there is no 'compare-types' here" in found.stdout
