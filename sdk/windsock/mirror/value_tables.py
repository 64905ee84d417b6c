"""Tables to write values to and read units from: their names and required shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from windsock.errors import ConfigurationError, DatabaseUnfitError
from windsock.mirror.queries import quoted
from windsock.postgres.queries import load_queries

if TYPE_CHECKING:
    from psycopg import Connection

_queries = load_queries("windsock.mirror", "base_tables.sql")


@dataclass(frozen=True, slots=True)
class TableName:
    """A table or view.

    Attributes:
        schema: The schema, as in the catalog.
        name: The table, as in the catalog.
    """

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``table``, which implies ``public``, or ``schema.table``.

        Raises:
            ConfigurationError: It is neither.
        """
        schema, _, name = text.rpartition(".")
        if not name or "." in schema or set(text) & set("\0%") or text.startswith("."):
            raise ConfigurationError(f"{text!r} names no table: write table or schema.table, without %")
        return cls(schema or "public", name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def of_units(self) -> "TableName":
        """The companion table for the values of units."""
        return TableName(self.schema, f"{self.name}_units")

    def query(self, connection: "Connection", name: str) -> bytes:
        """A named query for this table."""
        return _queries[name].replace(b"{table}", quoted(connection, self.schema, self.name))


DEFAULT = TableName("public", "learning_config")
"""The table created by a windsock migration, which also creates its units table."""


@dataclass(frozen=True, slots=True)
class ValueTableShape:
    """A table's required shape.

    Attributes:
        purpose: A description of its rows.
        columns: The types that each column may have, by name.
        key: The columns that must be unique together, sorted; empty for a read-only table.
        advice: Its columns in ``create table`` syntax.
        migrated: The table of this shape that `windsock migrate` creates.
    """

    purpose: str
    columns: Mapping[str, tuple[str, ...]]
    key: tuple[str, ...]
    advice: str
    migrated: TableName | None = None

    def check(self, connection: "Connection", table: TableName) -> None:
        """Check that a table exists and has this shape.

        Raises:
            DatabaseUnfitError: It doesn't; the message says what's missing.
        """
        parameters = {"schema": table.schema, "name": table.name}
        rows = connection.execute(_queries["table_columns"], parameters)
        columns: dict[str, str] = dict(rows.fetchall())
        if not columns:
            remedy = "run `windsock migrate`" if table == self.migrated else f"create it {self.advice}"
            raise DatabaseUnfitError(f"there is no table {table} for {self.purpose}: {remedy}")
        wrong = [
            f"no column {column}" if column not in columns else f"{column} is {columns[column]}"
            for column, kinds in self.columns.items()
            if columns.get(column, "") not in kinds
        ]
        keys = [tuple(names) for (names,) in connection.execute(_queries["table_keys"], parameters)]
        if self.key and self.key not in keys and columns.keys() >= set(self.key):
            wrong.append(f"no primary key or unique index on {', '.join(self.key)}")
        if wrong:
            raise DatabaseUnfitError(
                f"table {table} cannot be used for {self.purpose}: {', '.join(wrong)}; "
                f"it should be {self.advice}"
            )

    def is_met(self, connection: "Connection", table: TableName) -> bool:
        """Whether a table exists and has this shape."""
        try:
            self.check(connection, table)
        except DatabaseUnfitError:
            return False
        return True


_TEXT = ("text", "character varying")  # the first type is the recommended one
_VALUES = {
    "key": _TEXT,
    "value": ("jsonb",),
    "revision": _TEXT,
    "updated_at": ("timestamp with time zone", "timestamp without time zone"),
}
BASE = ValueTableShape(
    "base values",
    _VALUES,
    ("key",),
    "(key text primary key, value jsonb not null, revision text, updated_at timestamptz)",
    DEFAULT,
)
OF_UNITS = ValueTableShape(
    "values of units",
    {"unit": _TEXT, **_VALUES},
    ("key", "unit"),
    "(unit text, key text, value jsonb not null, revision text, updated_at timestamptz,"
    " primary key (unit, key))",
    DEFAULT.of_units,
)
SOURCE = ValueTableShape(
    "units",
    {"id": (*_TEXT, "uuid", "bigint", "integer")},
    (),
    "(id text primary key, and a column for each attribute that targeting asks for)",
)
