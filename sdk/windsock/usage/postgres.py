"""The PostgreSQL sink: one transaction per batch, by COPY and an insert that a replay cannot double."""

from collections.abc import Sequence
from hashlib import sha256

from windsock.errors import ConfigurationError
from windsock.postgres.connection import KeptConnection
from windsock.postgres.queries import load_queries
from windsock.usage.record import COLUMNS, UsageRecord
from windsock.usage.sinks import RowsRefusedError

QUERIES = load_queries("windsock.usage", "queries.sql")

# Classes of SQLSTATE (PostgreSQL manual, appendix A) that concern the connection, the session, the schema or
# the server, so that every batch would meet them. Any other one is about what a row says.
_NOT_THE_ROWS = frozenset(
    [
        "08",
        "0A",
        "25",
        "26",
        "28",
        "2D",
        "34",
        "3B",
        "3D",
        "3F",
        "40",
        "42",
        "53",
        "55",
        "57",
        "58",
        "F0",
        "XX",
    ]
)

_TYPES = {  # what a column of usage_logs may be
    "id": ("uuid",),
    "requested_at": ("timestamp with time zone",),
    "config_id": ("uuid",),
    "values": ("jsonb",),
    "healed": ("jsonb",),
    "latency_ms": ("double precision", "numeric"),
    "input_tokens": ("bigint", "numeric"),
    "output_tokens": ("bigint", "numeric"),
    "cost": ("numeric",),
}
_TEXT = ("text", "character varying")


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

        A batch that the database refuses is halved until the rows that it objects to are alone.

        Raises:
            RowsRefusedError: The database refuses these rows whenever they come, because of an encoding or a
                constraint of your own, say. The others are stored.
            ConfigurationError: The table is missing or of another shape. The batch has to be written again.
            psycopg.Error: The database can't be reached or denies access. Likewise.
        """
        refused: list[tuple[UsageRecord, str]] = []
        self._store(rows, refused)
        if refused:
            self._check_shape()
            raise RowsRefusedError(refused)

    def close(self) -> None:
        """Close the connection if this process opened one."""
        self._connection.close()

    def _store(self, rows: Sequence[UsageRecord], refused: list[tuple[UsageRecord, str]]) -> None:
        """Store rows, and add those that are refused to `refused`."""
        try:
            self._write(rows)
        except Exception as error:
            if not self._is_about_rows(error):
                raise
            if len(rows) == 1:
                refused.append((rows[0], _reason(error)))
                return
            middle = len(rows) // 2
            self._store(rows[:middle], refused)
            self._store(rows[middle:], refused)

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
        except self._psycopg.ProgrammingError as error:
            self._check_shape()
            if error.sqlstate is not None:
                self.close()
            raise
        except BaseException as error:
            if not self._is_about_rows(error):
                self.close()
            raise

    def _is_about_rows(self, error: BaseException) -> bool:
        """Whether the database objects to what a row says, and would take other rows."""
        if not isinstance(error, self._psycopg.Error):
            return isinstance(error, (ValueError, TypeError, ArithmeticError))  # a value that can't be sent
        if error.sqlstate is not None:
            return error.sqlstate[:2] not in _NOT_THE_ROWS
        return not isinstance(error, (self._psycopg.OperationalError, self._psycopg.InterfaceError))

    def _check_shape(self) -> None:
        """Refuse a table that isn't the one of windsock's migrations.

        Raises:
            ConfigurationError: The message says what differs.
        """
        found = self._connection.opened().execute(QUERIES["shape"]).fetchall()
        if not found:
            raise ConfigurationError('relation "public.usage_logs" does not exist: run `windsock migrate`')
        wrong = _differences(found)
        if wrong:
            raise ConfigurationError(
                f"public.usage_logs is not the table that windsock writes ({'; '.join(wrong)}): run "
                "`windsock migrate`, and rename a table of your own that has this name"
            )


def _differences(columns: Sequence[tuple[str, str, bool, bool]]) -> list[str]:
    """Compare a table's columns (name, type, whether it needs a value, whether it is unique) with ours."""
    types = {name: kind for name, kind, _, _ in columns}
    wrong = [
        f"{name} is {types[name]}, not {kinds[0]}" if name in types else f"no column {name}"
        for name, kinds in ((name, _TYPES.get(name, _TEXT)) for name in COLUMNS)
        if types.get(name) not in kinds
    ]
    wrong += [
        f"{name} needs a value" for name, _, is_needed, _ in columns if is_needed and name not in COLUMNS
    ]
    if not any(is_key for name, _, _, is_key in columns if name == "id"):
        wrong.append("id is not its primary key")
    return wrong


def _reason(error: Exception) -> str:
    """Say why a row was refused, without what the row says."""
    diagnosis = getattr(error, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error)
    return " ".join(text.split())
