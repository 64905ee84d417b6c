"""`windsock token` as a program, on a real database."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from windsock.api import Role
from windsock.api.tokens import Token, authenticate

WINDSOCK = Path(sys.executable).parent / "windsock"


@pytest.fixture
def run(database):
    def run(*arguments, url=database):
        environment = os.environ | {"DATABASE_URL": url, "NO_COLOR": "1"}
        return subprocess.run(
            [WINDSOCK, "token", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
        )

    return run


def test_a_token_is_printed_once_serves_and_is_revoked(run, database):
    made = run("make", "ann", "--role", "admin")
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    with psycopg.connect(database, autocommit=True) as connection:
        assert authenticate(connection, text) == Token("ann", Role.ADMIN)
        assert run("revoke", "ann").stdout == "ann is refused from now on\n"
        assert authenticate(connection, text) is None


def test_a_name_that_is_taken_is_an_error_in_one_line(run):
    assert run("make", "ann").returncode == 0
    again = run("make", "ann")
    assert (again.returncode, again.stdout) == (1, "")
    assert "there is a token 'ann' already" in again.stderr


def test_a_misspelt_name_is_not_revoked_and_a_suggestion_names_valid_tokens_only(run):
    run("make", "deploy-bot")
    run("make", "old-bot")
    run("revoke", "old-bot")
    missed = run("revoke", "deploy-bto")
    assert (missed.returncode, missed.stdout) == (1, "")
    assert "'deploy-bto', so nothing was revoked; did you mean 'deploy-bot'?" in missed.stderr
    assert "old-bot" not in run("revoke", "old-bott").stderr.replace("old-bott", "")


def test_a_database_that_was_not_migrated_is_named(run, make_database):
    url = make_database()
    for verb in (["make", "ann"], ["list"], ["revoke", "ann"]):
        done = run(*verb, url=url)
        assert done.returncode == 1
        assert "windsock migrate" in done.stderr
        assert "Traceback" not in done.stderr


def test_tokens_are_listed_without_their_text(run):
    assert "there are no tokens" in run("list").stdout
    text = run("make", "ann", "--role", "editor", "--flag", "teacher").stdout.strip()
    run("make", "bot")
    run("revoke", "bot")
    shown = run("list").stdout
    assert re.sub(r"\d{4}-\d\d-\d\d", "DAY", shown).splitlines() == [
        "ann  editor, made DAY; flags: teacher…",
        "bot  reader, made DAY, revoked DAY; flags: all",
    ]
    assert text not in shown
    ann, bot = json.loads(run("list", "--json").stdout)
    assert (ann["name"], ann["role"], ann["flags"], ann["revoked_at"]) == ("ann", "editor", ["teacher"], None)
    assert bot["revoked_at"] is not None


@pytest.mark.parametrize("old", [["ann"], ["ann", "--revoke"], ["ann", "--role", "admin"]])
def test_a_name_without_a_verb_makes_no_token(run, old):
    refused = run(*old)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "No such command 'ann'" in refused.stderr
    assert "there are no tokens" in run("list").stdout
