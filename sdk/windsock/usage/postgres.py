"""The PostgreSQL sink: one transaction per batch, with COPY and an idempotent insert."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from windsock.errors import ConfigurationError
from windsock.postgres import shapes
from windsock.postgres.connection import KeptConnection
from windsock.postgres.queries import load_queries
from windsock.postgres.refusals import is_about_the_row, may_be_about_the_row
from windsock.text import one_line
from windsock.usage.experiment_records import (
    EVENT_COLUMNS,
    EXPOSURE_COLUMNS,
    EventRecord,
    ExposureRecord,
    Record,
)
from windsock.usage.record import COLUMNS, UsageRecord
from windsock.usage.sinks import RowsRefusedError

QUERIES = load_queries("windsock.usage", "queries.sql")

_TYPES = {  # the types that a column may have; text if not listed
    **shapes.USAGE.columns,
    "first_item_ms": shapes.NUMBER,
    "version": ("integer",),
    "first_exposed_at": shapes.TIME,
    "allocation": ("real",),
    "attributes": ("jsonb",),
    "value": ("double precision",),
    "occurred_at": shapes.TIME,
}


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, its columns in the order of the records' fields, and the names of its insert queries."""

    name: str
    columns: tuple[str, ...]
    suffix: str = ""

    def query(self, step: str) -> bytes:
        return QUERIES[step + self.suffix]


_USAGE = _Table("public.usage_logs", COLUMNS)
_EXPOSURES = _Table("windsock.exposures", EXPOSURE_COLUMNS, "_exposures")
_EVENTS = _Table("windsock.metric_events", EVENT_COLUMNS, "_events")


class PostgresSink:
    """Writes records to ``public.usage_logs``, ``windsock.exposures`` and ``windsock.metric_events``.

    It works through any pooler, including transaction poolers. The role needs the rights of
    ``windsock_writer`` and permission to create temporary tables. The connection is opened at the first batch
    and reopened after any fault.

    Args:
        database_url: A libpq connection string or URL.

    Attributes:
        destination: Identifies the database, without user and password: records waiting for one database are
            never sent to another.

    Raises:
        ConfigurationError: `database_url` isn't a connection string.
        MissingExtraError: psycopg isn't installed.
    """

    def __init__(self, database_url: str) -> None:
        self._connection = KeptConnection(database_url, "windsock-usage", "writing usage_logs to PostgreSQL")
        import psycopg  # noqa: PLC0415 - an extra, and it is there
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

        parts = conninfo_to_dict(database_url)
        place = [str(parts.get(key) or "") for key in ("service", "host", "hostaddr", "port", "dbname")]
        self.destination = f"postgres-{sha256('|'.join(place).encode()).hexdigest()[:12]}"
        self._psycopg = psycopg

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Store the rows in one transaction; existing rows are left unchanged.

        A batch that the database rejects is halved until the offending rows are isolated.

        Raises:
            RowsRefusedError: The database will always reject these rows, for example because of an encoding
                or a constraint that you added. The others are stored.
            ConfigurationError: The table is missing or has another shape. The batch must be written again.
            psycopg.Error: The database can't be reached or denies access. The batch must be written again.
        """
        self._store_all(rows, _USAGE)

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Store exposures as `write` stores rows; for a known unit and arm, the earlier time counts."""
        self._store_all(rows, _EXPOSURES)

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Store events as `write` stores rows."""
        self._store_all(rows, _EVENTS)

    def close(self) -> None:
        """Close the connection if this process opened one."""
        self._connection.close()

    def _store_all(self, rows: Sequence[Record], table: _Table) -> None:
        refused: list[tuple[Record, Exception]] = []
        self._store(rows, table, refused)
        if not refused:
            return
        self._check_shape(table)
        # A trigger or policy that refuses each row means the database; one that refuses some means those.
        undecided = [error for _, error in refused if not is_about_the_row(error)]
        if undecided and len(refused) == len(rows):
            raise undecided[0]
        raise RowsRefusedError([(row, one_line(error)) for row, error in refused])

    def _store(self, rows: Sequence[Record], table: _Table, refused: list[tuple[Record, Exception]]) -> None:
        """Store rows, and add rejected rows to `refused`."""
        try:
            self._write(rows, table)
        except Exception as error:
            if not _may_spare_others(error):
                raise
            if len(rows) == 1:
                refused.append((rows[0], error))
                return
            middle = len(rows) // 2
            self._store(rows[:middle], table, refused)
            self._store(rows[middle:], table, refused)

    def _write(self, rows: Sequence[Record], table: _Table) -> None:
        connection = self._connection.opened()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(QUERIES["limits"])
                cursor.execute(table.query("stage"))
                with cursor.copy(table.query("copy")) as copy:
                    for row in rows:
                        copy.write_row(row.to_tuple())
                cursor.execute(table.query("insert"))
                if table is _USAGE:
                    cursor.execute(QUERIES["expose_assigned"])
        except self._psycopg.ProgrammingError as error:
            self._check_shape(table)
            if error.sqlstate is not None and not may_be_about_the_row(error):
                self.close()
            raise
        except BaseException as error:
            if not _may_spare_others(error):
                self.close()
            raise

    def _check_shape(self, table: _Table) -> None:
        """Reject a table that doesn't match windsock's migrations.

        Raises:
            ConfigurationError: The message says what differs.
        """
        found = self._connection.opened().execute(QUERIES["shape"], [table.name]).fetchall()
        if not found:
            raise ConfigurationError(f'relation "{table.name}" does not exist: run `windsock migrate`')
        wrong = _differences(found, table)
        if wrong:
            raise ConfigurationError(
                f"{table.name} is not the table that windsock writes ({'; '.join(wrong)}): run "
                "`windsock migrate`, and rename a table of your own that has this name"
            )


def _differences(columns: Sequence[tuple[str, str, bool, bool]], table: _Table) -> list[str]:
    """Compare a table's columns (name, type, whether it needs a value, whether it is unique) with ours."""
    types = {name: kind for name, kind, _, _ in columns}
    wrong = shapes.misfits({name: _TYPES.get(name, shapes.TEXT) for name in table.columns}, types)
    wrong += [
        f"{name} needs a value"
        for name, _, is_needed, _ in columns
        if is_needed and name not in table.columns
    ]
    if "id" in table.columns and not any(is_key for name, _, _, is_key in columns if name == "id"):
        wrong.append("id is not its primary key")
    return wrong


def _may_spare_others(error: BaseException) -> bool:
    """Whether the other rows of a batch may be stored without the one that an error is about."""
    return is_about_the_row(error) or may_be_about_the_row(error)
