"""Checks a metric's SQL, which is untrusted: it must be exactly one SELECT that only reads."""

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


def checked_select(sql: str, dialect: str, where: str) -> str:
    """Parse a metric's SQL and regenerate it.

    The role it runs as limits which tables it may read; this check ensures that it only reads, and that it
    calls nothing that could change the role, the session or a file (`set_config`, `pg_read_file`, `dblink`).

    Args:
        sql: The declared SQL.
        dialect: sqlglot's name for the warehouse's dialect.
        where: The metric, for error messages.

    Raises:
        ConfigurationError: It is not one SELECT, or does more than read.
    """
    try:
        return _checked(sql, dialect, where)
    except (sqlglot.ParseError, sqlglot.TokenError) as error:
        first = one_line(str(error).partition("\n")[0])[:200]  # then it quotes the query
        raise ConfigurationError(f"{where}: the SQL cannot be parsed: {first}") from None
    except RecursionError:  # writing it again recurses where parsing loops: a::int::int…
        raise ConfigurationError(f"{where}: the SQL is nested too deeply; put it in a view") from None


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
    return statements[0].sql(dialect=dialect, comments=False)
