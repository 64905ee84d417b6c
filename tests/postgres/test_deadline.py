"""A server that stalls holds a request up to its deadline and no longer: stopped by a signal, a lock, a proxy."""

import asyncio
import os
import signal
import time
from contextlib import contextmanager

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from windsock.postgres.deadline import AsyncDeadlineConnection, within

SECONDS = 0.3


@contextmanager
def paused(pid):
    """A process of the server's, stopped as `docker pause` or a stalled disk stops it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def gives_up():
    """Not before the deadline. What stalls goes on only after this, so a wait without a deadline never ends."""
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match=r"did not answer within 0\.3 s"):
        yield
    assert time.monotonic() - began >= SECONDS


def test_a_statement_of_a_paused_server_ends_at_the_deadline(database):
    with within(SECONDS).connect(database, autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        with paused(connection.info.backend_pid), gives_up():
            connection.execute("select 1")
        assert connection.closed


def test_a_statement_that_waits_for_a_lock_ends_at_the_deadline(database):
    with psycopg.connect(database) as holder, within(SECONDS).connect(database) as connection:
        holder.execute("lock table app_configurations")
        with gives_up():
            connection.execute("select * from app_configurations")


def test_a_transaction_is_left_without_a_second_wait(database):
    def use():
        with (
            within(SECONDS).connect(database) as connection,
            paused(connection.info.backend_pid),
            connection.transaction(),
        ):
            connection.execute("select 1")

    with gives_up():
        use()


def test_a_pool_replaces_the_connection_that_gave_up(database):
    with ConnectionPool(
        database, connection_class=within(SECONDS), min_size=1, max_size=1, timeout=30
    ) as pool:
        with pool.connection() as connection:
            first = connection.info.backend_pid
        with paused(first), gives_up(), pool.connection() as connection:
            connection.execute("select 1")
        with pool.connection() as connection:
            assert connection.execute("select 1").fetchone() == (1,)
            assert connection.info.backend_pid != first


def test_the_same_holds_for_asyncio(database):
    class Bounded(AsyncDeadlineConnection):
        seconds = SECONDS

    async def run():
        connection = await Bounded.connect(database, autocommit=True)
        with paused(connection.info.backend_pid), gives_up():
            await connection.execute("select 1")
        assert connection.closed

    asyncio.run(run())


def test_what_is_slow_but_in_time_is_answered(database):
    with within(20.0).connect(database) as connection:
        assert connection.execute("select 'late' from pg_sleep(0.4)").fetchone() == ("late",)


def test_an_answer_that_a_proxy_swallows_is_not_waited_for(database, proxy):
    url = proxy.url(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
    with within(SECONDS).connect(url, autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        proxy.stalls = True
        with gives_up():
            connection.execute("select 1")
