"""A kept connection survives what ends its session while nobody uses it."""

import psycopg
from tests.waiting import eventually

from windsock.postgres.connection import KeptConnection


def test_a_session_that_the_server_ended_is_replaced_before_it_is_used(database):
    """By `idle_session_timeout`, a pooler or a restart; a batch would fail for nothing, and be told as an outage."""
    kept = KeptConnection(database, "kept", "a test")
    first = kept.opened()
    assert kept.opened() is first
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", [first.info.backend_pid])
    eventually(lambda: kept.opened() is not first)
    assert kept.opened().execute("select 1").fetchone() == (1,)
    assert first.closed
    kept.close()
