"""Query the mirror's database: named queries, a deadline per answer, and refusals in plain words."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from windsock.errors import DatabaseUnfitError, MirrorError, MissingExtraError
from windsock.postgres.queries import load_queries
from windsock.postgres.refusals import refused_in_words
from windsock.text import one_line

try:
    import psycopg
    from psycopg import sql
except ImportError as missing:
    raise MissingExtraError("the mirror", "mirror") from missing

if TYPE_CHECKING:
    from psycopg import Connection

QUERIES = load_queries("windsock.mirror", "queries.sql")
DatabaseError = psycopg.Error
LockNotAvailable = psycopg.errors.LockNotAvailable
_WHO_MAY = (
    "the mirror's role may not read what it needs. Connect as windsock_mirror (`alter role windsock_mirror "
    "login password '...'`), or give the role BYPASSRLS and the same grants"
)


class LockedError(MirrorError):
    """Another session holds a lock that a statement may not wait for."""


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turn PostgreSQL's refusals into messages that operators can act on.

    Raises:
        DatabaseUnfitError: A right, a table or a column is missing, or a row's text can't be read.
        LockedError: Another session holds a lock.
        MirrorError: A query was cancelled.
    """
    try:
        with refused_in_words(DatabaseUnfitError, _WHO_MAY):
            yield
    except (psycopg.errors.CharacterNotInRepertoire, psycopg.errors.UntranslatableCharacter) as error:
        raise DatabaseUnfitError(
            f"a row has text that can't be converted to UTF-8: {one_line(error)}. Correct that row; a "
            "database whose encoding is SQL_ASCII doesn't refuse the next one"
        ) from error
    except psycopg.errors.LockNotAvailable as error:
        raise LockedError(
            "another session has locked a table that the mirror needs; pg_locks and pg_stat_activity say"
            f" which: {one_line(error)}"
        ) from error
    except psycopg.errors.QueryCanceled as error:
        raise MirrorError(f"a query of the mirror was cancelled: {one_line(error)}") from error


def quoted(connection: "Connection", schema: str, table: str) -> bytes:
    """Quote a table's name for SQL, whatever characters it contains."""
    return sql.Identifier(schema, table).as_bytes(connection)


def one(connection: "Connection", name: str, parameters: dict[str, object] | None = None) -> tuple[Any, ...]:
    """The single row of a named query.

    Raises:
        MirrorError: The query returned no row.
    """
    row = connection.execute(QUERIES[name], parameters).fetchone()
    if row is None:
        raise MirrorError(f"the query {name} gave no row")
    return row


@contextlib.contextmanager
def deadline(connection: "Connection", seconds: float) -> Iterator[Callable[[], None]]:
    """Break the connection if the block takes too long: a stalled server or proxy never answers.

    Yields:
        A function that restarts the timer; call it for each part of a long answer.
    """
    due, over = time.monotonic() + seconds, threading.Event()

    def again() -> None:
        nonlocal due
        due = time.monotonic() + seconds

    def watch() -> None:
        while (left := due - time.monotonic()) > 0:
            if over.wait(left):
                return
        _break(connection)

    thread = threading.Thread(target=watch, name="windsock-deadline")
    thread.start()
    try:
        yield again
    finally:
        over.set()
        thread.join()


def end(connection: "Connection") -> None:
    """Close a connection, even if psycopg raises first: an open session would keep the leader's lock."""
    try:
        connection.close()
    finally:
        connection.pgconn.finish()


def _break(connection: "Connection") -> None:
    """Shut down the socket, which is safe from any thread, unlike closing the connection."""
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as link,
    ):
        link.shutdown(socket.SHUT_RDWR)
