"""A database that stalls holds up no request: the rows wait on disk, and are there once it goes on."""

import os
import signal
import threading

import psycopg
import pytest
from tests.waiting import eventually

import windsock
from windsock.postgres import connection as kept
from windsock.usage.postgres import PostgresSink


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(kept, "_SECONDS", 0.3)


@pytest.fixture
def asking(monkeypatch):
    """The threads that ask for the connection: only these can wait for the database."""
    threads = set()
    opened = kept.KeptConnection.opened

    def noted(connection):
        threads.add(threading.current_thread().name)
        return opened(connection)

    monkeypatch.setattr(kept.KeptConnection, "opened", noted)
    return threads


def backends(connection):
    query = "select pid from pg_stat_activity where application_name = 'windsock-usage'"
    return [pid for (pid,) in connection.execute(query)]


def rows(connection):
    return connection.execute("select count(*) from usage_logs").fetchone()[0]


@pytest.mark.slow
def test_rows_of_a_paused_server_arrive_once_by_another_connection(
    database, impatient, asking, tmp_path, monkeypatch
):
    class Plain(windsock.Settings, flag="plain"):
        top_k: int = 3

    def answer(number):
        with windsock.request(user_id=str(number)):
            assert Plain.for_user(str(number)).top_k == 3

    monkeypatch.chdir(tmp_path)
    with (
        psycopg.connect(database, autocommit=True) as connection,
        windsock.start(flags=tmp_path, usage=PostgresSink(database)),
    ):
        answer(0)
        eventually(lambda: rows(connection) == 1)
        paused = backends(connection)
        assert paused
        for pid in paused:
            os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(1, 50):
                answer(number)
            eventually(lambda: rows(connection) == 50)  # while the first connection is still paused
        finally:
            for pid in paused:
                os.kill(pid, signal.SIGCONT)
        eventually(lambda: not set(paused) & set(backends(connection)))
        assert rows(connection) == 50
    assert asking == {"windsock-usage-sink"}, "no request waits for the database"
