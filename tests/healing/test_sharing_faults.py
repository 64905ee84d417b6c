"""Sharing goes on whatever a request id or an error says, and whoever is frozen in the middle of it."""

import contextlib
import json
import threading

import psycopg
import pytest
from tests.healing.teachers import CONFIG, TYPO

from windsock.healing import postgres_board
from windsock.healing.postgres_board import PostgresBoard, _queries
from windsock.healing.quarantine import Fault, Outbox, Withdrawal
from windsock.postgres.migrations import migrate, read_migrations
from windsock.settings.place import fingerprint

KEY = ("teacher.profile", CONFIG, "reasoning_model", fingerprint(TYPO), json.dumps(TYPO))
WITHDRAWN = Withdrawal(*KEY, "a test")


@pytest.fixture
def board(database):
    board = PostgresBoard(database)
    yield board
    board.close()


@pytest.mark.parametrize(
    "text", ["a\0b", "\ud800", "\udfff" * 5_000], ids=["NUL", "half a surrogate", "many"]
)
def test_text_that_the_database_cannot_hold_stops_nothing(board, text):
    faults = [Fault(*KEY, f"404 {text}", f"{text}{number}") for number in range(5)]
    assert [each.key for each in board.exchange(Outbox(faults=tuple(faults)))] == [WITHDRAWN.key]


def test_a_database_without_an_encoding_cuts_no_text_within_a_character(database_encoded_in):
    """Nobody could read such a text, so one long message would end the sharing of everything else."""
    url = database_encoded_in("SQL_ASCII")
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
        migrate(connection, read_migrations())
    with contextlib.closing(PostgresBoard(url)) as board:
        for long in ("x" + "é" * 3_000, "é" * 3_000):  # of which one is cut at an odd byte
            other = Withdrawal(*KEY[:2], long[:2], *KEY[3:], long)
            faults = [Fault(*KEY, long, str(number)) for number in range(5)]
            found = board.exchange(Outbox(faults=tuple(faults), withdrawn=(other,)))
            assert {each.key for each in found} >= {WITHDRAWN.key, other.key}


def test_an_entry_that_the_table_refuses_stops_no_other(board, database, caplog):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter table windsock.withdrawals add check (field <> 'hostile')")
    hostile = Withdrawal("teacher.profile", CONFIG, "hostile", "f", None, "a test")
    huge = Withdrawal("teacher.profile", "".join(map(chr, range(0x4E00, 0x5E00))), "f", "f", None, "too long")
    assert [each.key for each in board.exchange(Outbox(withdrawn=(hostile, huge, WITHDRAWN)))] == [
        WITHDRAWN.key
    ]
    assert "what happened to hostile of teacher.profile is not shared" in caplog.text


@pytest.mark.parametrize("correction", ['settings = \'{"reasoning_model": "gpt-4o"}\'', None])
def test_a_frozen_service_does_not_block_the_correction_of_a_configuration(board, database, correction):
    with psycopg.connect(database, autocommit=True) as connection:
        insert = "insert into app_configurations (id, name, settings) values (%s, 'typo', %s::jsonb)"
        connection.execute(insert, [CONFIG, json.dumps({"reasoning_model": TYPO})])
        board.exchange(Outbox(withdrawn=(WITHDRAWN,)))
        with psycopg.connect(database) as frozen:
            frozen.execute("update windsock.withdrawals set reason = reason")
            connection.execute("set statement_timeout = '2s'")
            connection.execute(
                f"update app_configurations set {correction} where id = %s"
                if correction
                else "delete from app_configurations where id = %s",
                [CONFIG],
            )
            lifted = connection.execute("select count(lifted_at) from windsock.withdrawals").fetchone()
        assert lifted == (0,), "it is of the value from before, and expires"


@pytest.mark.slow
def test_a_process_that_is_frozen_in_its_exchange_lets_go_of_its_locks(board):
    held, over = threading.Event(), threading.Event()
    connection = board._connection.opened()

    def freeze():
        with contextlib.suppress(psycopg.Error), connection.transaction():
            connection.execute(_queries["limits"])
            held.set()
            over.wait(30)

    frozen = threading.Thread(target=freeze)
    frozen.start()
    held.wait(60)
    with psycopg.connect(board._connection._url, autocommit=True) as other:
        ask = "select count(*) from pg_stat_activity where application_name = 'windsock-quarantine'"
        for _ in range(300):
            if other.execute(ask).fetchone() == (0,):
                break
            over.wait(0.1)
        else:
            pytest.fail("the server did not end the frozen session")
    over.set()
    frozen.join()


def test_a_process_that_is_frozen_while_it_reads_holds_no_row(database, board, monkeypatch):
    """A server that sends to a process which reads nothing waits, whatever its timeouts."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
            " select 'teacher', 'v', 'field', n::text, repeat('x', 100000), '', now() + interval '1 hour'"
            " from generate_series(1, 90) n"
        )
    frozen = PostgresBoard(database)
    reads, over = threading.Event(), threading.Event()

    def reports(connection):
        if connection is not frozen._connection.opened():
            return ()
        connection.pgconn.send_query(_queries["in_force"].replace(b"%%", b"%"))
        reads.set()
        over.wait(60)
        connection.pgconn.finish()
        raise psycopg.OperationalError

    def exchange():
        with contextlib.suppress(psycopg.Error):
            frozen.exchange(Outbox(withdrawn=(WITHDRAWN,)))

    monkeypatch.setattr(postgres_board, "_reports", reports)
    thread = threading.Thread(target=exchange)
    thread.start()
    assert reads.wait(60)
    try:
        found = board.exchange(Outbox(withdrawn=(WITHDRAWN,)))
    finally:
        over.set()
        thread.join()
    assert WITHDRAWN.key in [each.key for each in found]


def test_withdrawals_without_number_fill_no_services_memory(database, board):
    with psycopg.connect(database, autocommit=True) as hostile:
        hostile.execute("set role windsock_writer")
        for count, value in ((1, "true"), (300, "x" * 100_000), (20_000, "x")):
            hostile.execute(
                "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
                " select 'teacher', 'v', 'field', %s || n, %s, '', now() + interval '1 hour'"
                " from generate_series(1, %s) n",
                [f"{count}-", value, count],
            )
            found = board.exchange(Outbox())
            assert found[0].fingerprint == "1-1", "the oldest, which was withdrawn before the flood"
            assert len(found) <= 10_000
            assert sum(len(each.value) for each in found) <= 10_000_000
