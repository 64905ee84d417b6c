"""What commands write at a terminal of 80 columns: the words of a pipe, none of them broken."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

import pytest
from tests.cli.conftest import WINDSOCK, boolean

COLUMNS = 80
CONFIG = "4c3cc1ab-6171-4373-a047-0c1d07a58b26"
PROFILES = {
    "teacher.profile": {
        "state": "ENABLED",
        "variants": {"none": {}, CONFIG: {"retrieval_top_k": 25}},
        "defaultVariant": "none",
        "targeting": {"if": [{"in": [{"var": "targetingKey"}, ["ada"]]}, CONFIG]},
        "metadata": {f"config.{CONFIG}": "patient and thorough"},
    }
}
CLASS = """
import windsock

class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = 10
    system_prompt: str = "You are a patient teacher. Explain step by step, ask back, and never give the answer away."
"""


def at_80_columns(folder, *arguments, told=subprocess.DEVNULL):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    with subprocess.Popen(
        [WINDSOCK, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=told,
        env=os.environ | {"NO_COLOR": "1", "TERM": "xterm-256color"},
    ):  # fmt: skip
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            written += part
        os.close(ours)
    return written.decode().replace("\r\n", "\n")


@pytest.fixture
def project(tmp_path, write, git):
    (tmp_path / "app.py").write_text(CLASS)
    rule = {
        "if": [{"in": [{"var": "company"}, ["Acme Incorporated", "Globex", "Initech", "Umbrella"]]}, "on"]
    }
    write({"checkout": boolean(rule), "unused": boolean()})
    write(PROFILES, "profiles")
    git("add", ".")
    git("commit", "-qm", "one")
    rule["if"][0]["in"][1].append("Hooli")
    write({"checkout": boolean(rule, owner="payments"), "unused": boolean(default="on")})
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan",),
        ("diff",),
        ("stale",),
        ("explain", "teacher", "--user", "ada", "--settings", "app:Teacher"),
        ("lint", "--explain", "missing-default"),
        ("doctor",),
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_no_word_is_broken(project, windsock, arguments):
    shown = at_80_columns(project, *arguments)
    assert shown.split() == windsock(*arguments).stdout.split()
    too_long = [line for line in shown.splitlines() if len(line) > COLUMNS and len(line.split()) > 1]
    assert too_long == []


def test_a_profile_has_its_name(project, windsock):
    told = windsock("explain", "teacher", "--user", "ada", "--settings", "app:Teacher").stdout
    assert "25  profile teacher.profile/patient and thorough" in told
    assert windsock("eval", "teacher.profile", "--user", "ada").stderr.startswith(
        f"variant patient and thorough ({CONFIG})"
    )
    done = windsock("explain", "teacher", "--user", "ada", "--settings", "app:Teacher", "--json")
    assert json.loads(done.stdout)["config_name"] == "patient and thorough"


def test_a_refused_value_is_told_once(project, write, windsock):
    flag = {"state": "ENABLED", "variants": {"on": {"retrieval_top_k": "many"}}, "defaultVariant": "on"}
    write({"teacher": flag}, "t")
    done = windsock("explain", "teacher", "--user", "bob", "--settings", "app:Teacher")
    assert "refused: retrieval_top_k from base teacher/on: Input should be a valid integer" in done.stdout
    assert done.stderr == ""
    told = json.loads(windsock("explain", "teacher", "--settings", "app:Teacher", "--json").stdout)
    assert "Input should be a valid integer" in json.dumps(told)


def test_wrong_usage_fits(project):
    shown = at_80_columns(project, "token", "make", "bob", "--role", "boss", told=subprocess.STDOUT)
    assert "Error: Invalid value for '--role': " in shown
    assert "admin" in shown
    assert max(map(len, shown.splitlines())) <= COLUMNS


def test_a_long_value_shares_a_line_with_its_layer_where_both_fit(project):
    model = "anthropic/claude-3.5-sonnet-20241022"
    with (project / "app.py").open("a") as file:
        file.write(f"    model: str = {model!r}\n")
    shown = at_80_columns(project, "explain", "teacher", "--user", "ada", "--settings", "app:Teacher")
    assert f"  model            {model}  default\n" in shown
    assert "  retrieval_top_k  25  profile teacher.profile/patient and thorough" in shown


def test_the_command_that_lifts_is_one_line(project, windsock):
    board = project / ".windsock" / "quarantine.json"
    from windsock.healing.boards import FileBoard
    from windsock.healing.quarantine import Outbox, Withdrawal
    from windsock.settings.place import fingerprint

    (project / "flagd" / "mirror").mkdir()
    (project / "flagd" / "profiles.flagd.json").rename(project / "flagd" / "mirror" / "profiles.flagd.json")
    typo = fingerprint("typo")
    FileBoard(board).exchange(
        Outbox(withdrawn=(Withdrawal("teacher.profile", CONFIG, "system_prompt", typo, '"typo"', "failed"),))
    )
    shown = at_80_columns(project, "quarantine", "list")
    assert "  windsock quarantine lift teacher.profile 'patient and thorough' system_prompt\n" in shown
    done = windsock("quarantine", "lift", "teacher.profile", "patient and thorough", "system_prompt")
    assert done.returncode == 0, done.stderr
    assert windsock("quarantine", "list").stdout == "nothing is withdrawn\n"
