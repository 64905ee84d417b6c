"""A reading may take as long as it likes, as long as there is something to read."""

import time
from contextlib import closing

import psycopg
import pytest

from windsock.mirror import postgres

PARTS = 16


@pytest.fixture
def many(world):
    """Users enough that the answer doesn't fit into the buffers on its way."""
    world.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), %s from generate_series(1, 50000)",
        world.seed,
    )
    return world


def users_read_slowly(reading, pause):
    found = 0
    for each in reading.assignments(PARTS):
        found += each.users.count
        time.sleep(pause)
    return found


@pytest.mark.slow  # twelve seconds
def test_a_reading_that_goes_on_is_not_cut(many, monkeypatch):
    monkeypatch.setattr(postgres, "_READING_SECONDS", 8.0)
    with closing(postgres.connect(many.url)) as source, source.read() as reading:
        assert users_read_slowly(reading, 0.75) == 50_000


@pytest.mark.slow  # seven seconds
def test_a_reading_that_goes_on_ends_by_no_timeout_of_a_statement(many):
    with closing(postgres.connect(many.url)) as source, source.read() as reading:
        source._connection.execute("set statement_timeout = '3s'")
        assert users_read_slowly(reading, 0.4) == 50_000
        assert source._connection.execute("show statement_timeout").fetchone() == ("0",)
    with closing(postgres.connect(many.url)) as source:
        with source.read() as reading:
            users_read_slowly(reading, 0)
        assert source._connection.execute("show statement_timeout").fetchone() == ("1min",)


@pytest.mark.slow  # four seconds
def test_a_reading_that_waits_is_cut(many, monkeypatch):
    monkeypatch.setattr(postgres, "_READING_SECONDS", 2.0)
    with (
        closing(postgres.connect(many.url)) as source,
        pytest.raises(psycopg.OperationalError),
        source.read() as reading,
    ):
        users_read_slowly(reading, 4.0)
