"""A service knows how old the mirror's word is, and says so in its health."""

import time

import psycopg
import pytest
from tests.waiting import eventually

import windsock


@pytest.fixture
def ask(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection.execute


def report(ask, group, seconds, trouble=""):
    ask(
        "insert into windsock.mirrors values (%s, 'f', now() - %s * interval '1 s', now() - %s * interval '1 s', %s)",
        [group, seconds, seconds, trouble],
    )


def test_health_tells_how_old_the_mirrors_word_is_and_what_is_wrong(tmp_path, database, ask):
    report(ask, "default", 1)
    report(ask, "east", 400)
    report(ask, "west", 2, "the disk is full")
    with windsock.start(flags=tmp_path, usage=database):
        eventually(lambda: windsock.health().mirrors)
        here, east, west = windsock.health().mirrors
        assert (here.group, here.trouble) == ("default", "")
        before = here.age
        assert 0 < before < 30
        assert (east.trouble, west.trouble) == ("it no longer reports", "the disk is full")
        assert east.age > 400
        eventually(lambda: windsock.health().mirrors[0].age > before)  # also while nothing new is heard
    assert windsock.health().mirrors == ()


@pytest.mark.parametrize(
    "without", ["drop table windsock.mirrors", "revoke all on windsock.mirrors from public"]
)
def test_without_the_table_nothing_is_known_and_nothing_fails(tmp_path, database, ask, without, caplog):
    ask(without)
    with windsock.start(flags=tmp_path, usage=database):
        time.sleep(0.5)
        assert windsock.health().mirrors == ()
    assert "withdrawals are not shared" not in caplog.text
