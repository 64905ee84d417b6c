"""`windsock plan` for everybody who used settings: the exposure table of a real database."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from tests.cli.conftest import boolean

from windsock.usage import Measured, Pending, Use
from windsock.usage.making_rows import clean
from windsock.usage.postgres import PostgresSink

USERS = [f"user-{number}" for number in range(40)]


@pytest.fixture
def logged(database):
    """Forty users of production, three of them in staging too; one row is nobody's."""
    when = datetime(2026, 11, 1, 12, tzinfo=UTC)
    rows = [
        clean(
            Pending(
                uuid4(), when, Use("teacher", None, None, "r1", "DEFAULT", where, user, {"k": 1}), Measured()
            )
        )
        for where, users in (("production", [*USERS, *USERS, None]), ("staging", USERS[:3]))
        for user in users
    ]
    sink = PostgresSink(database)
    sink.write(rows)
    sink.close()
    return database


@pytest.fixture
def changed(write, git):
    """A rule for staging, and one for three users."""
    write({"f": boolean()})
    git("add", ".")
    git("commit", "-qm", "one")
    in_staging, listed = (
        {"==": [{"var": "environment"}, "staging"]},
        {"in": [{"var": "targetingKey"}, USERS[37:]]},
    )
    write({"f": boolean({"if": [{"or": [in_staging, listed]}, "on"]})})


@pytest.mark.parametrize("named", ["usage", "url"])
def test_everybody_in_the_table_is_planned_once_in_each_environment(
    windsock, changed, logged, tmp_path, named
):
    users, url = ("usage", logged) if named == "usage" else (logged, "")
    done = windsock("plan", "--users", users, "--out", "plan.json", "--who", "who.csv", DATABASE_URL=url)
    assert done.returncode == 3, done.stderr
    assert "the users of usage_logs, without attributes" in done.stderr
    [impact] = json.loads((tmp_path / "plan.json").read_text())["steps"][0]["impacts"]
    assert impact["population"] == 43
    moved = [row.split(",")[1] for row in (tmp_path / "who.csv").read_text().splitlines()[1:]]
    assert sorted(moved) == sorted([*USERS[:3], *USERS[37:]])


def test_limits_hold_for_the_table(windsock, changed, logged):
    assert windsock("plan", "--users", "usage", "--max-moved", "14%", DATABASE_URL=logged).returncode == 3
    done = windsock("plan", "--users", "usage", "--max-moved", "13%", DATABASE_URL=logged)
    assert done.returncode == 1
    assert "f: moves 13.95% of the population, more than 13.00%" in done.stderr


def test_hashed_ids_are_not_a_population(windsock, changed, logged):
    done = windsock("plan", "--users", "usage", DATABASE_URL=logged, WINDSOCK_USER_ID_KEY="secret")
    assert done.returncode == 1
    assert "usage_logs has hashes of the user ids" in done.stderr


def test_a_database_without_the_table_says_what_makes_it(windsock, changed, empty_database, tmp_path):
    done = windsock("plan", "--users", empty_database, "--out", "plan.json")
    assert done.returncode == 4
    assert 'relation "public.usage_logs" does not exist; run `windsock migrate`' in done.stderr
    assert not (tmp_path / "plan.json").exists()


def test_an_unreachable_database_is_exit_code_4(windsock, changed, tmp_path):
    before = sorted(tmp_path.iterdir())
    url = "postgresql://127.0.0.1:1/x?connect_timeout=2"
    done = windsock("plan", "--users", url, "--out", "plan.json", "--who", "who.csv")
    assert done.returncode == 4
    assert "the database cannot be reached" in done.stderr
    assert sorted(tmp_path.iterdir()) == before, "half of it was written"
