"""The PostgreSQL sink: one transaction per batch, by COPY and an insert that a replay cannot double."""

import logging
from collections.abc import Sequence
from hashlib import sha256

from windsock.errors import ConfigurationError
from windsock.postgres.connection import KeptConnection
from windsock.postgres.queries import load_queries
from windsock.usage.record import UsageRecord

log = logging.getLogger("windsock.usage")


QUERIES = load_queries("windsock.usage", "queries.sql")


class PostgresSink:
    """Writes records to ``public.usage_logs``, the table of windsock's migrations.

    It works through any pooler, a transaction pooler included. The role needs SELECT and INSERT on the
    table and may create temporary tables. The connection is opened at the first batch and again after any
    fault.

    Args:
        database_url: A libpq connection string or URL.

    Attributes:
        destination: Names the database, without user and password: what waits for one is never sent to
            another.

    Raises:
        ConfigurationError: `database_url` is not a connection string.
        MissingExtraError: psycopg is not installed.
    """

    def __init__(self, database_url: str) -> None:
        self._connection = KeptConnection(database_url, "windsock-usage", "writing usage_logs to PostgreSQL")
        import psycopg  # noqa: PLC0415 - an extra, and it is there
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

        try:
            parts = conninfo_to_dict(database_url)
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(
                f"the database URL for usage_logs cannot be read: {str(error).strip()}"
            ) from error
        place = [str(parts.get(key) or "") for key in ("service", "host", "hostaddr", "port", "dbname")]
        self.destination = f"postgres-{sha256('|'.join(place).encode()).hexdigest()[:12]}"
        self._psycopg = psycopg

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Store the rows in one transaction; rows that are there already stay as they are.

        A row that the table itself refuses (a constraint of your own, say) is found by halving the batch
        and is written to the log in full, at ERROR, so that it cannot hold up the others for ever.

        Raises:
            psycopg.Error: The database is away or denies it. Nothing was stored.
            ConfigurationError: The table or a column is not there yet. Nothing was stored.
        """
        try:
            self._write(rows)
        except (self._psycopg.DataError, self._psycopg.IntegrityError) as error:
            if len(rows) == 1:
                reason = str(error).strip()
                # Not `exception`: the row matters, not the stack.
                log.error("usage_logs refuses row %s: %s; the row: %s", rows[0].id, reason, rows[0].to_line())  # noqa: TRY400
                return
            middle = len(rows) // 2
            self.write(rows[:middle])
            self.write(rows[middle:])

    def close(self) -> None:
        """Close the connection if this process opened one."""
        self._connection.close()

    def _write(self, rows: Sequence[UsageRecord]) -> None:
        connection = self._connection.opened()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(QUERIES["limits"])
                cursor.execute(QUERIES["stage"])
                with cursor.copy(QUERIES["copy"]) as copy:
                    for row in rows:
                        copy.write_row(row.to_tuple())
                cursor.execute(QUERIES["insert"])
        except (self._psycopg.DataError, self._psycopg.IntegrityError):
            raise
        except (self._psycopg.errors.UndefinedTable, self._psycopg.errors.UndefinedColumn) as error:
            raise ConfigurationError(f"{error.diag.message_primary}: run `windsock migrate`") from error
        except BaseException:
            self.close()
            raise
