"""`windsock quarantine` on the host's file and on a database."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.flagfiles import object_flag, write_flags

from windsock.healing.boards import FileBoard
from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Outbox, Withdrawal
from windsock.settings.place import fingerprint

WINDSOCK = Path(sys.executable).parent / "windsock"
BASE = Withdrawal("teacher", "base", "model", fingerprint("typo"), '"typo"', "failed in 5 requests: 404")
PROFILE = Withdrawal("teacher.profile", "3f0c", "model", fingerprint("typo"), '"typo"', "failed")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(*arguments):
        return subprocess.run(
            [WINDSOCK, "quarantine", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def withdrawn(tmp_path):
    FileBoard(tmp_path / ".windsock/quarantine.json").exchange(Outbox(withdrawn=(BASE, PROFILE)))


def test_nothing_is_withdrawn(run):
    assert run("list").stdout == "nothing is withdrawn\n"


def test_a_folder_that_is_refused_is_no_matter_for_a_migration(run, tmp_path):
    (tmp_path / ".windsock").mkdir(mode=0o777)
    (tmp_path / ".windsock").chmod(0o777)
    done = run("list")
    assert done.returncode == 1
    assert "chmod 700" in done.stderr
    assert "migrate" not in done.stderr


def test_the_list(run, withdrawn):
    shown = run("list").stdout
    assert "typo" in shown
    assert "failed in 5 requests: 404" in shown
    data = json.loads(run("list", "--json").stdout)
    assert [each["flag"] for each in data] == ["teacher", "teacher.profile"]


def test_the_change_can_be_applied_with_git(run, withdrawn, tmp_path):
    path = tmp_path / "flagd/teacher.flagd.json"
    write_flags(path, {"teacher": object_flag({"base": {"model": "typo", "top_k": 3}}, "base")})
    profiles = object_flag({"none": {}, "3f0c": {"model": "typo"}}, "none")
    profiles["metadata"] = {"config.3f0c": "patient and thorough"}
    write_flags(tmp_path / "flagd/mirror/profiles.flagd.json", {"teacher.profile": profiles})
    done = run("list", "--as-change")
    assert "# windsock profile edit --unset=model -- 'patient and thorough'\n" in done.stdout
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    patch = subprocess.run(
        ["git", "apply"], cwd=tmp_path, input=done.stdout, text=True, check=False, capture_output=True
    )
    assert patch.returncode == 0, patch.stderr
    assert json.loads(path.read_text())["flags"]["teacher"]["variants"] == {"base": {"top_k": 3}}


def test_lifting(run, withdrawn):
    assert run("lift", "teacher", "base", "model").returncode == 0
    assert [each["flag"] for each in json.loads(run("list", "--json").stdout)] == ["teacher.profile"]
    again = run("lift", "teacher", "base", "model")
    assert again.returncode == 1
    assert "is not withdrawn" in again.stderr


@pytest.fixture
def explained(tmp_path):
    (tmp_path / "app.py").write_text(
        "import windsock\nclass Teacher(windsock.Settings, flag='teacher'):\n    model: str = 'small'\n"
    )

    def explained(*arguments) -> str:
        command = [WINDSOCK, "explain", "teacher", "--settings", "app:Teacher", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    return explained


def test_explain_names_a_withdrawn_value_unless_it_was_changed(run, withdrawn, explained, tmp_path):
    path = tmp_path / "flagd/teacher.flagd.json"
    write_flags(path, {"teacher": object_flag({"base": {"model": "typo"}}, "base")})
    assert "withdrawn: model failed in use, and services don't serve this value" in explained()
    write_flags(path, {"teacher": object_flag({"base": {"model": "small-2"}}, "base")})
    assert "withdrawn" not in explained()


def test_explain_says_that_it_could_not_read_the_withdrawals(explained, tmp_path):
    write_flags(
        tmp_path / "flagd/teacher.flagd.json", {"teacher": object_flag({"base": {"model": "typo"}}, "base")}
    )
    nowhere = ("--database-url", "postgresql://127.0.0.1:1/nowhere")
    told = json.loads(explained(*nowhere, "--json"))
    assert told["withdrawn"] == []
    (note,) = told["notes"]
    assert note.startswith("the withdrawals cannot be read: ")
    assert "\n" not in note
    assert note in explained(*nowhere)


def test_on_a_database(run, database):
    board = PostgresBoard(database)
    board.exchange(Outbox(withdrawn=(BASE,)))
    assert "typo" in run("list", "--database-url", database).stdout
    assert run("lift", "teacher", "base", "model", "--database-url", database).returncode == 0
    assert board.exchange(Outbox()) == []
    board.close()


def test_a_database_without_the_tables(run, empty_database):
    done = run("list", "--database-url", empty_database)
    assert done.returncode == 1
    assert "windsock migrate" in done.stderr
