"""Where the data is: PostgreSQL, files read by DuckDB, Spark, or any other Ibis backend."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import TableNotFound

from windsock.errors import ConfigurationError, MissingExtraError, UnreachableError, WindsockError
from windsock.experiments.data.checked_select import checked_select
from windsock.experiments.data.deadline import STATEMENT_SECONDS, TOO_LONG, deadline
from windsock.experiments.data.folder import Files, first_line, open_files
from windsock.experiments.data.our_tables import is_ours, typed
from windsock.experiments.data.refusals import missing_table, refusal
from windsock.postgres.urls import check_url
from windsock.text import did_you_mean, mask_passwords, one_line

if TYPE_CHECKING:
    import psycopg

ANALYST: Final = "windsock_analyst"

Row = dict[str, object]


class Backend(Protocol):
    """The part of an Ibis backend that this package needs."""

    name: str

    def sql(self, query: str, /, *, schema: object = None) -> ir.Table:
        """A table from a query."""

    def table(self, name: str, /, **database: object) -> ir.Table:
        """A table by name."""

    def list_tables(self) -> list[str]:
        """The names of its tables."""

    def list_databases(self) -> list[str]:
        """The names of its schemas."""

    def to_pyarrow(self, expr: ir.Expr, /) -> Any:
        """Run an expression."""

    def create_table(self, name: str, obj: ir.Table, /, *, temp: bool, overwrite: bool) -> ir.Table:
        """A temporary table of an expression."""

    def raw_sql(self, query: str, /) -> Any:
        """Run a statement."""

    def disconnect(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A place to run expressions.

    Attributes:
        backend: Ibis's connection.
        connection: The underlying PostgreSQL connection, if there is one.
        as_analyst: Whether statements run as the role `windsock_analyst`, read-only.
        owned: Whether it was opened here, and is closed when the block ends.
        seconds: How long a statement of DuckDB may run; PostgreSQL counts for itself.
        files: The files that are read, if it is a folder.
    """

    backend: Backend
    connection: "psycopg.Connection | None" = None
    as_analyst: bool = False
    owned: bool = False
    seconds: float = STATEMENT_SECONDS
    files: Files | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened here; the caller's Ibis connection stays open."""
        if self.owned:
            self.backend.disconnect()

    @property
    def dialect(self) -> str:
        """Sqlglot's name for the dialect."""
        return {"pyspark": "spark"}.get(self.backend.name, self.backend.name)

    def table(self, name: str, where: str = "") -> ir.Table:
        """Return a table by schema and name; a folder of files has no schemas, and takes the name alone.

        Args:
            name: The table.
            where: The metric that reads it, for error messages.

        Raises:
            ConfigurationError: There is no such table.
        """
        found = self.find(name)
        if found is None:
            raise ConfigurationError(f"{where or self.backend.name}: {self._missing(name)}")
        return found

    def _missing(self, name: str) -> str:
        if self.connection is not None:
            return missing_table(self.connection, name)
        if self.files is not None:
            return self.files.missing(name)
        known = sorted(self.backend.list_tables())
        return f"there is no table {name!r}{did_you_mean(name.rpartition('.')[2], known)}"

    def find(self, name: str) -> ir.Table | None:
        """A table, or None if it doesn't exist.

        Raises:
            ConfigurationError: It exists, and can't be read.
            UnreachableError: The warehouse went away.
        """
        *schema, bare = name.split(".")
        tries: list[dict[str, object]] = [{}]
        if schema:
            tries = [{"database": tuple(schema) if len(schema) > 1 else schema[0]}]
        if schema and self.connection is None:  # a folder of files has no schemas
            tries.append({})
        for options in tries:
            with self._failing(name, ""):
                try:
                    table = self.backend.table(bare, **options)
                except TableNotFound:
                    continue
                except Exception:
                    if self.connection is not None or not self._lacks(options.get("database")):
                        raise
                    continue
            return typed(table) if self.connection is None and is_ours(name) else table
        return None

    def _lacks(self, schema: object) -> bool:
        """Whether there is no such schema, which not every backend calls a table that isn't found."""
        return isinstance(schema, str) and schema not in self.backend.list_databases()

    def select(self, sql: str, where: str) -> ir.Table:
        """A table from a declared SELECT.

        Raises:
            ConfigurationError: It isn't a single SELECT that only reads, or may not run here.
        """
        query = checked_select(sql, self.dialect, where)
        if self.connection is None:
            with self._failing(where, query), warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # ibis 12 calls what duckdb has renamed
                return self.backend.sql(query)
        if not self.as_analyst:
            raise ConfigurationError(
                f"{where}: a declared SELECT runs as the role {ANALYST}, which this connection may not "
                f"become: run windsock migrate, then grant {ANALYST} to the connection's user"
            )
        with self._failing(where, query):
            return self.backend.sql(query, schema=_schema(self.connection, query))

    def rows(self, expression: ir.Table, where: str = "", query: str = "") -> list[Row]:
        """Run an expression and return its rows.

        Args:
            expression: What to compute.
            where: The metric that it belongs to, for error messages.
            query: Its SQL, if that is known: writing it may take longer than running it.

        Raises:
            UnreachableError: The warehouse went away.
            ConfigurationError: The warehouse refuses the statement.
        """
        query = query or self.sql(expression)
        with self._failing(where or self.backend.name, query):
            if self.connection is not None:
                cursor = self.connection.execute(query.encode())
                names = [column.name for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            if self.backend.name == "pyspark":
                return [row.asDict() for row in self.backend.raw_sql(query).collect()]
            if self.backend.name == "duckdb":
                answer = self.backend.raw_sql(query).to_arrow_table()
            else:
                answer = self.backend.to_pyarrow(expression)
            found: list[Row] = answer.to_pylist()
            return found

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[Self]:
        """The same place, whose statements may run only this long; Spark and other backends know no limit."""
        if self.connection is not None:
            self._limit(seconds)
        try:
            yield replace(self, seconds=min(seconds, self.seconds))
        finally:
            if self.connection is not None and not self.connection.closed:
                self._limit(self.seconds)

    def _limit(self, seconds: float) -> None:
        assert self.connection is not None  # noqa: S101 - asked before
        with self._failing("the statement timeout", ""):
            milliseconds = f"{seconds * 1000:.0f}"
            self.connection.execute(
                "select pg_catalog.set_config('statement_timeout', %s, false)", (milliseconds,)
            )

    def kept(self, table: ir.Table) -> ir.Table:
        """A table that several queries read; computed once, unless that would write to a database."""
        if self.backend.name != "duckdb" or not self.owned:
            return table
        with self._failing("units", self.sql(table)):
            return self.backend.create_table("windsock_units", table, temp=True, overwrite=True)

    def now(self) -> datetime:
        """The time: of the database, if it is PostgreSQL, since this machine's clock may be wrong."""
        if self.connection is None:
            return datetime.now(UTC)
        with self._failing("the time", ""):
            row = self.connection.execute("select pg_catalog.now()").fetchone()
        return utc(row[0] if row else None)

    def sql(self, expression: ir.Table) -> str:
        """The SQL of an expression, as it runs."""
        return str(ibis.to_sql(expression, dialect=self.backend.name))

    @contextlib.contextmanager
    def _failing(self, where: str, query: str) -> Iterator[None]:
        running = getattr(self.backend, "con", None) if self.backend.name == "duckdb" else None
        try:
            with deadline(running, self.seconds):
                yield
            self._check_files()
        except WindsockError:
            raise
        except Exception as error:  # every driver has its own error classes
            if self.connection is not None and self.connection.closed:
                raise UnreachableError(f"{where}: the database went away: {_reason(error)}") from error
            self._check_files()
            reason = _reason(error)
            if self.files is not None:
                reason = self.files.blamed(error, query) + reason
            if self.connection is not None and isinstance(error, type(self.connection).Error):
                reason = refusal(self.connection, error, query)
            raise ConfigurationError(f"{where}: {reason}") from error

    def _check_files(self) -> None:
        if self.files is not None:
            self.files.check_unchanged()


def _reason(error: Exception) -> str:
    """What a driver says, without the query that DuckDB quotes."""
    if type(error).__name__ == "InterruptException":
        return TOO_LONG
    if "CSV" in str(error):
        return first_line(error)
    text = (
        str(error).partition("\nLINE ")[0] if "Error: " in str(error) else str(error).strip().split("\n")[0]
    )
    return one_line(text)[:300] or type(error).__name__


def utc(value: object) -> datetime:
    """A time from a row; UTC if it has no time zone.

    Raises:
        ConfigurationError: It is not a time.
    """
    if not isinstance(value, datetime):
        raise ConfigurationError(f"expected a time, found a {type(value).__name__}")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_warehouse(place: "str | Path | Backend") -> Warehouse:
    """Open the place where the data is.

    Args:
        place: A PostgreSQL URL or connection string, a folder of Parquet and CSV files, the URL of another
            backend as `ibis.connect` takes it, or an Ibis connection.

    Raises:
        UnreachableError: It cannot be reached.
        ConfigurationError: `place` is none of these.
    """
    if isinstance(place, Path):
        return open_folder(place)
    if not isinstance(place, str):
        return Warehouse(place)
    if place.startswith(("postgres://", "postgresql://")):
        return open_postgres(place)
    if "://" not in place:
        if _is_folder(place):
            return open_folder(Path(place))
        if "=" in place:
            return open_postgres(place)
        # without what was given: it may be a database's URL, with its password
        raise UnreachableError(
            "the folder of the data isn't there; a database is named by its URL, such as postgresql://…"
        )
    try:
        return Warehouse(ibis.connect(place), owned=True)
    except Exception as error:  # noqa: BLE001 - each backend has its own error classes
        scheme = place.partition("://")[0]
        reason = mask_passwords(str(error).replace(place, f"{scheme}://…"))
        raise UnreachableError(f"{scheme}: cannot be opened: {reason[:200]}") from None


def _is_folder(place: str) -> bool:
    try:
        return Path(place).is_dir()
    except (OSError, ValueError):  # a connection string that is too long for a path; the error would quote it
        return False


def open_postgres(url: str) -> Warehouse:
    """Connect to PostgreSQL: read-only, with a statement timeout, as `windsock_analyst` where allowed.

    Raises:
        UnreachableError: The database does not answer.
        ConfigurationError: `url` can't be read.
        MissingExtraError: psycopg is not installed.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise MissingExtraError("reading PostgreSQL", "experiments") from missing
    check_url(url)
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=10,
            application_name="windsock experiment",
            client_encoding="utf8",
        )
    except psycopg.OperationalError as error:
        raise UnreachableError(f"the database does not answer: {one_line(error)[:300]}") from None
    connection.execute("set session characteristics as transaction read only")
    connection.execute(f"set statement_timeout = '{STATEMENT_SECONDS}s'")
    # Without statistics on an experiment and its version the planner guesses one unit, and loops for minutes.
    connection.execute("set enable_nestloop = off")
    member = connection.execute(
        "select pg_catalog.pg_has_role(oid, 'member') from pg_catalog.pg_roles where rolname = %s", (ANALYST,)
    ).fetchone()
    as_analyst = member is not None and bool(member[0])
    if as_analyst:
        connection.execute(f"set role {ANALYST}")
    return Warehouse(ibis.postgres.from_connection(connection), connection, as_analyst, owned=True)


def open_folder(folder: Path, *, memory: str | None = None) -> Warehouse:
    """Open a folder of `<table>.parquet`, `<table>.csv` or `<table>/*.parquet` with DuckDB, and nothing else.

    Args:
        folder: Where the files are.
        memory: DuckDB's memory limit, such as `4GB`; by default DuckDB's own, most of the machine's memory.

    Raises:
        UnreachableError: There is no such folder, or a file in it can't be read.
        ConfigurationError: It has no table.
    """
    backend, files = open_files(folder, memory)
    return Warehouse(backend, owned=True, files=files)


def _schema(connection: "psycopg.Connection", query: str) -> ibis.Schema:
    """The columns of a query; PostgreSQL describes them without running it."""
    cursor = connection.execute(f"select * from ({query}) as metric limit 0")  # noqa: S608 - parsed, and written by sqlglot
    names = [column.name for column in cursor.description or ()]
    oids = [column.type_code for column in cursor.description or ()]
    known = {
        16: "boolean",
        20: "int64",
        21: "int16",
        23: "int32",
        25: "string",
        700: "float32",
        701: "float64",
        1043: "string",
        1082: "date",
        1114: "timestamp",
        1184: "timestamp('UTC')",
        1700: "decimal",
        2950: "uuid",
    }
    return ibis.schema({name: known.get(oid, "unknown") for name, oid in zip(names, oids, strict=True)})
