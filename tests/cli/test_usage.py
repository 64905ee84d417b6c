"""`windsock usage` as a program, on a real database."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from windsock.usage import Healed, Measured, Pending, Use, hashed_user_id
from windsock.usage.making_rows import clean
from windsock.usage.postgres import PostgresSink

WINDSOCK = Path(sys.executable).parent / "windsock"
CONFIG = uuid4()


def run(*arguments, url, stdin="", **variables):
    environment = os.environ | {"DATABASE_URL": url, "NO_COLOR": "1"} | variables
    return subprocess.run(
        [WINDSOCK, "usage", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        input=stdin,
        timeout=60,
        check=False,
    )


@pytest.fixture
def logged(database):
    """Three rows: a plain one, one under a profile, one healed."""

    def row(minute, use, measured=None):
        when = datetime(2026, 11, 1, 12, minute, tzinfo=UTC)
        return clean(Pending(uuid4(), when, use, measured or Measured()))

    plain = Use("teacher", None, None, "r1", "DEFAULT", "test", "ann", {"top_k": 10})
    tuned = Use(
        "teacher", str(CONFIG), CONFIG, "r1", "TARGETING_MATCH", "test", "bob", {"top_k": 25, "tag": "[red]"}
    )
    failed = Healed("model", "gpt-4oo", "404", "base")
    healed = Use("teacher", None, None, "r1", "DEFAULT", "test", "bob", {"model": "gpt-4o"}, [failed])
    sink = PostgresSink(database)
    sink.write([row(1, plain), row(2, tuned, Measured("q", 0.5, 10, 20, Decimal("0.1"))), row(3, healed)])
    sink.close()
    return database


def test_the_table_shows_the_newest_first(logged):
    done = run(url=logged)
    assert done.returncode == 0, done.stderr
    assert "\x1b[" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line != line.rstrip()] == []
    order = [done.stdout.index(text) for text in ("12:03:00", "12:02:00", "12:01:00")]
    assert order == sorted(order)
    assert "model=gpt-4oo failed, fell to base" in done.stdout
    assert "tag=[red]" in done.stdout
    assert "10+20" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "minutes"),
    [
        ((), [3, 2, 1]),
        (("--user", "ann"), [1]),
        (("--user", "nobody' or true --"), []),
        (("--config", str(CONFIG)), [2]),
        (("--healed",), [3]),
        (("--healed", "--user", "ann"), []),
        (("--limit", "1"), [3]),
    ],
)
def test_options_select(logged, arguments, minutes):
    rows = json.loads(run("--json", *arguments, url=logged).stdout)
    assert [int(row["requested_at"][14:16]) for row in rows] == minutes


def test_json_has_whole_rows(logged):
    (row,) = json.loads(run("--json", "--config", str(CONFIG), url=logged).stdout)
    assert row["values"] == {"top_k": 25, "tag": "[red]"}
    assert (row["config_id"], row["latency_ms"], row["cost"]) == (str(CONFIG), 500, "0.1")


def test_a_hashed_user_is_found_by_the_plain_id_and_the_key(logged):
    hashed = Use("teacher", None, None, None, None, "test", "cy", {"top_k": 1})
    sink = PostgresSink(logged)
    sink.write([clean(Pending(uuid4(), datetime.now(UTC), hashed, Measured()), b"secret")])
    sink.close()
    (row,) = json.loads(run("--json", "--user", "cy", url=logged, WINDSOCK_USER_ID_KEY="secret").stdout)
    assert row["user_id"].startswith("hmac:")
    assert json.loads(run("--json", "--user", "cy", url=logged).stdout) == []


def test_a_database_without_the_table_says_what_to_do(empty_database):
    done = run(url=empty_database)
    assert done.returncode == 1
    assert "windsock migrate" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_table_says_so(database):
    assert "no rows" in run(url=database).stdout


def test_a_profile_is_named_by_its_name(database):
    with psycopg.connect(database) as connection:
        query = "select id from app_configurations where name = 'experimental_v1'"
        [config] = connection.execute(query).fetchone()
    tuned = Use("teacher", str(config), config, "r1", "TARGETING_MATCH", "test", "bob", {"top_k": 25})
    sink = PostgresSink(database)
    sink.write([clean(Pending(uuid4(), datetime.now(UTC), tuned, Measured()))])
    sink.close()
    done = run("--config", "experimental_v1", url=database)
    assert "experimental_v1" in done.stdout
    assert str(config) not in done.stdout
    done = run("--config", "experimental_v2", url=database)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no profile is named 'experimental_v2'; did you mean 'experimental_v1'?" in done.stderr


def test_hash_prints_what_the_tables_hold(database):
    ids = ["ada", "Zoë 🙂"]
    printed = run("hash", *ids, url=database, WINDSOCK_USER_ID_KEY="secret")
    assert printed.stdout.splitlines() == [hashed_user_id(each, b"secret") for each in ids]
    piped = run("hash", url=database, WINDSOCK_USER_ID_KEY="secret", stdin="ada\r\nZoë 🙂\n")
    assert piped.stdout == printed.stdout


def test_hash_without_a_key_says_that_ids_are_plain(database):
    done = run("hash", "ada", url=database, WINDSOCK_USER_ID_KEY="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "WINDSOCK_USER_ID_KEY is not set" in done.stderr


def test_rows_of_other_software_are_shown_as_far_as_they_make_sense(logged):
    with psycopg.connect(logged, autocommit=True) as connection:
        connection.execute(
            """insert into usage_logs (id, requested_at, flag, reason, environment, "values", healed)
               values (gen_random_uuid(), now(), 'teacher', 'DEFAULT', 'test', '[1]', '[2, {"field": "tone"}]')"""
        )
    done = run(url=logged)
    assert (done.returncode, done.stderr) == (0, "")
    assert "tone=? failed" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "unreadable",
    ["repeat('[', 4000) || repeat(']', 4000)", "'{\"a\": 1e9999}'", "'{\"a\": ' || repeat('9', 6000) || '}'"],
    ids=["deep", "exponent", "digits"],
)
@pytest.mark.parametrize("column", ['"values"', "healed"])
def test_a_row_that_python_cannot_read_hides_no_other(logged, column, unreadable):
    with psycopg.connect(logged, autocommit=True) as connection:
        connection.execute(f"update usage_logs set {column} = ({unreadable})::jsonb where user_id = 'ann'")
    done = run("--json", url=logged)
    assert done.returncode == 0, done.stderr[-300:]
    assert [len(row["values"]) for row in json.loads(done.stdout)][:2] == [1, 2]
    assert run(url=logged).stdout.count("teacher") == 3
