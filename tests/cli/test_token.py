"""`windsock token` as a program, on a real database."""

import os
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
    made = run("ann", "--role", "admin")
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    with psycopg.connect(database, autocommit=True) as connection:
        assert authenticate(connection, text) == Token("ann", Role.ADMIN)
        assert run("ann", "--revoke").stdout == "ann is refused from now on\n"
        assert authenticate(connection, text) is None


def test_a_name_that_is_taken_is_an_error_in_one_line(run):
    assert run("ann").returncode == 0
    again = run("ann")
    assert (again.returncode, again.stdout) == (1, "")
    assert "there is a token 'ann' already" in again.stderr


def test_a_database_that_was_not_migrated_is_named(run, make_database):
    done = run("ann", url=make_database())
    assert done.returncode == 1
    assert "windsock migrate" in done.stderr
    assert "Traceback" not in done.stderr
