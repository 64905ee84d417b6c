"""Checks a metric's SQL, which is untrusted: it must be exactly one SELECT that only reads."""

import contextlib
from collections.abc import Iterator
from logging import Filter, getLogger  # noqa: TID251 - the logger is not ours
from typing import Final

import sqlglot
from sqlglot import expressions as exp

from windsock.errors import ConfigurationError
from windsock.text import one_line

_REFUSED: Final[tuple[type[exp.Expression], ...]] = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Command,
    exp.Copy,
    exp.Set,
    exp.Into,
    exp.Lock,
    exp.ReadCSV,
    exp.ReadParquet,
)
_FUNCTIONS: Final = frozenset(
    {"jsonb_array_length", "jsonb_extract_path_text", "json_array_length", "date_bin"}
)
"""Functions unknown to sqlglot that a metric may call; others belong in a view."""
_SYSTEM_SCHEMAS: Final = frozenset({"information_schema", "pg_catalog", "pg_toast"})
_SYSTEM_TABLES: Final = ("pg_", "duckdb_", "sqlite_")
"""How the names of an engine's own tables begin, outside a schema of the team's."""


def checked_select(sql: str, dialect: str, where: str) -> str:
    """Parse a metric's SQL and regenerate it.

    The role it runs as limits which tables it may read; this check ensures that it only reads, and that it
    calls nothing that could change the role, the session or a file (`set_config`, `pg_read_file`, `dblink`).
    System tables are refused too.

    Args:
        sql: The declared SQL.
        dialect: sqlglot's name for the warehouse's dialect.
        where: The metric, for error messages.

    Raises:
        ConfigurationError: It is not one SELECT, or does more than read.
    """
    try:
        with _silent():
            return _checked(sql, dialect, where)
    except (sqlglot.ParseError, sqlglot.TokenError) as error:
        first = one_line(str(error).partition("\n")[0])[:200]  # then it quotes the query
        raise ConfigurationError(f"{where}: the SQL cannot be parsed: {first}") from None
    except RecursionError:  # writing it again recurses where parsing loops: a::int::int…
        raise ConfigurationError(f"{where}: the SQL is nested too deeply; put it in a view") from None


def check_table(name: str, where: str) -> None:
    """Refuse a metric that reads the engine's own tables, most of which every role may read.

    Args:
        name: The table, as ``schema.name`` or ``name``.
        where: The metric, for error messages.

    Raises:
        ConfigurationError: It is such a table.
    """
    schema, _, bare = name.lower().rpartition(".")
    schema = schema.rpartition(".")[2]  # a catalog may come first
    if schema in _SYSTEM_SCHEMAS or (schema in ("", "main") and bare.startswith(_SYSTEM_TABLES)):
        raise ConfigurationError(
            f"{where}: a metric may not read the system table {name[:60]}; name your own tables"
        )


def _checked(sql: str, dialect: str, where: str) -> str:
    statements = [each for each in sqlglot.parse(sql, read=dialect) if each is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ConfigurationError(f"{where}: the SQL must be one SELECT")
    for node in statements[0].walk():
        if isinstance(node, _REFUSED):
            raise ConfigurationError(f"{where}: the SELECT may only read; it has {node.key.upper()}")
        if isinstance(node, exp.Anonymous) and str(node.this).lower() not in _FUNCTIONS:
            raise ConfigurationError(
                f"{where}: {str(node.this)[:60]}() may not be called here; put it in a view and read that"
            )
        if isinstance(node, exp.Table):
            check_table(f"{node.db}.{node.name}".strip("."), where)
    return statements[0].sql(dialect=dialect, comments=False)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drop sqlglot's warnings, which quote the SQL."""
    logger, ours = getLogger("sqlglot"), Filter("windsock")
    logger.addFilter(ours)
    try:
        yield
    finally:
        logger.removeFilter(ours)
