"""The board in PostgreSQL tables, through which all processes share withdrawals."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from windsock.errors import ConfigurationError
from windsock.healing.mirrors import MirrorReport
from windsock.healing.quarantine import EXPIRY, FAULTS, MEMORY, Fault, Outbox, Withdrawal
from windsock.logs import get_logger
from windsock.postgres.connection import KeptConnection
from windsock.postgres.queries import load_queries
from windsock.postgres.refusals import is_about_the_row
from windsock.text import bounded, one_line

if TYPE_CHECKING:
    import psycopg

logger = get_logger("windsock.healing")

_UNDEFINED_TABLE = "42P01"  # PostgreSQL's error codes, appendix A of its manual
# Bytes; the tables allow more. A database whose encoding is SQL_ASCII would cut within a character.
_LIMITS = {"request_id": 1_000, "error": 5_000, "reason": 5_000}
_MAX_VALUE = 300_000

_queries = load_queries("windsock.healing", "queries.sql")


class PostgresBoard:
    """The tables from windsock's migrations: all processes' faults count together, and the mirror reads them.

    Args:
        database_url: A libpq connection string or URL. The role needs the rights of `windsock_writer`.

    Raises:
        MissingExtraError: psycopg isn't installed.
    """

    def __init__(self, database_url: str) -> None:
        purpose = "sharing withdrawals through PostgreSQL"
        self._connection = KeptConnection(database_url, "windsock-quarantine", purpose)
        self.interval = 5.0
        self.mirrored = True
        self.mirrors: tuple[MirrorReport, ...] = ()

    def exchange(self, outbox: Outbox) -> Sequence[Withdrawal]:
        """Tell, then read; entries that the tables reject are logged, and the others are shared.

        What is read has a transaction of its own: a server that sends to a frozen process waits without end,
        whatever its timeouts, and would keep the rows locked that this process has just written.

        Raises:
            ConfigurationError: The tables are missing.
            psycopg.Error: The database can't be reached, or denies access to the tables.
        """
        try:
            connection = self._connection.opened()
            if any(outbox):
                with connection.transaction():
                    connection.execute(_queries["limits"])
                    _tell_all(connection, outbox)
            with connection.transaction():
                connection.execute(_queries["limits"])
                self.mirrors = _reports(connection)
                return [Withdrawal(*row) for row in connection.execute(_queries["in_force"])]
        except BaseException as error:
            self.close()
            if getattr(error, "sqlstate", None) == _UNDEFINED_TABLE:
                raise ConfigurationError(f"{one_line(error)}: run `windsock migrate`") from error
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _tell_all(connection: "psycopg.Connection[tuple[Any, ...]]", outbox: Outbox) -> None:
    for name, entries in (("report", outbox.faults), ("withdraw", outbox.withdrawn), ("lift", outbox.lifted)):
        for entry in entries:
            _tell(connection, name, entry)
    if outbox.faults:
        limits = {"memory": MEMORY, "expiry": EXPIRY, "faults": FAULTS}
        connection.execute(_queries["withdraw_reported"], limits)
        connection.execute(_queries["forget"])


def _tell(connection: "psycopg.Connection[tuple[Any, ...]]", name: str, entry: Fault | Withdrawal) -> None:
    """Run one statement in a savepoint; text that the tables can't hold is replaced or cut."""
    row = {
        key: bounded(value, _LIMITS.get(key, _MAX_VALUE)) if isinstance(value, str) else value
        for key, value in asdict(entry).items()
    }
    try:
        with connection.transaction():
            connection.execute(_queries[name], row)
    except Exception as error:
        if not is_about_the_row(error):
            raise
        logger.error(  # noqa: TRY400 - the reason, not the stack
            "what happened to %s of %.80s is not shared with other processes: %s",
            entry.field,
            entry.flag,
            error,
        )


def _reports(connection: "psycopg.Connection[tuple[Any, ...]]") -> tuple[MirrorReport, ...]:
    if connection.execute(_queries["sees_mirrors"]).fetchone() != (True,):
        return ()
    now = time.monotonic()
    rows = connection.execute(_queries["mirrors"])
    return tuple(MirrorReport(group, right, trouble, now) for group, right, trouble in rows)
