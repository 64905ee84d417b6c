"""What nobody expects is an alarm and another attempt, never the end of the mirror."""

import time

import psycopg
import pytest
from tests.waiting import eventually

from windsock.postgres.migrations import migrate, read_migrations


def test_an_unexpected_error_is_an_alarm_and_tried_again(*, world, watching, monkeypatch, recovered):
    world.user(world.seed)
    mirror = world.mirror(poll_seconds=0.1)
    publish, errors = mirror._publish, [KeyError("boom"), AttributeError("boom"), RecursionError("boom")]

    def fail(*arguments):
        if errors:
            raise errors.pop()
        return publish(*arguments)

    monkeypatch.setattr(mirror, "_publish", fail)
    watching(mirror)
    eventually(lambda: not errors)
    recovered(world, "unexpected RecursionError, tried again: boom")


def test_a_folder_that_is_deleted_is_made_again(*, world, watching, messages, tmp_path):
    ann = world.user(world.seed)
    mirror = world.mirror(poll_seconds=0.1, shards=3)
    watching(mirror)
    eventually(lambda: mirror.status.is_ready)  # nothing is being written now
    world.folder.rename(tmp_path / "gone")
    eventually(lambda: ann in world.served())
    eventually((world.folder / "mirror.json").exists)
    assert messages() == []


@pytest.mark.parametrize("limit", ["idle_session_timeout", "transaction_timeout", "lock_timeout"])
def test_limits_of_the_database_do_not_end_the_session(world, watching, messages, limit):
    if not world.execute("select name from pg_settings where name = %s", limit):
        pytest.skip(f"this PostgreSQL has no {limit}")
    ann = world.user()
    world.execute(f"alter database {world.connection.info.dbname} set {limit} = '500ms'")
    watching(world.mirror(poll_seconds=2))
    eventually(lambda: "teacher.profile" in world.flags())
    time.sleep(3)
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    assert messages() == []


def test_a_database_that_quotes_all_names_has_the_same_tables(*, world, watching, messages):
    ann = world.user(world.seed)
    world.execute(f"alter database {world.connection.info.dbname} set quote_all_identifiers = on")
    watching(world.mirror())
    eventually(lambda: ann in world.served())
    assert messages() == []


def test_a_connection_that_fails_to_close_keeps_no_lead(*, world, watching, monkeypatch, recovered):
    """psycopg may raise before it closes; while the session lives, it holds the leader's lock."""
    world.user(world.seed)
    mirror = world.mirror(poll_seconds=0.1)
    publish, kept, errors = mirror._publish, [], [KeyError("boom")]

    def fail(source, *arguments):
        if errors:
            kept.append(source._connection)  # as a traceback or a debugger keeps it
            monkeypatch.setattr(kept[0], "close", lambda: 1 / 0)
            raise errors.pop()
        return publish(source, *arguments)

    monkeypatch.setattr(mirror, "_publish", fail)
    watching(mirror)
    recovered(world, "unexpected ZeroDivisionError, tried again: division by zero")
    assert kept[0].pgconn.status != 0


def test_text_that_is_not_utf_8_is_told_and_costs_no_connection(
    *, database_encoded_in, make_world, watching, messages, recovered
):
    """A database without an encoding takes any bytes."""
    url = database_encoded_in("SQL_ASCII")
    world = make_world(_migrated(f"{url}&client_encoding=utf8"))
    world.user(world.seed)
    mirror = watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: mirror.status.is_ready)
    with world.serving():
        with psycopg.connect(url, client_encoding="SQL_ASCII") as application:
            application.execute(b"insert into app_configurations (name, settings) values (E'\\xff', '{}')")
        eventually(lambda: "has text that can't be converted to UTF-8" in mirror.status.reason)
    world.execute("delete from app_configurations where id <> %s", world.seed)
    recovered(world, "invalid byte sequence")


def _migrated(url):
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection, read_migrations())
    return url
