"""Says why PostgreSQL refused a metric's query, and what to do about it."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import expressions as exp

from windsock.experiments.data.deadline import TOO_LONG
from windsock.postgres.queries import load_queries
from windsock.text import did_you_mean, one_line

if TYPE_CHECKING:
    import psycopg

WINDSOCKS = frozenset({"exposures", "usage_logs", "metric_events"})
"""Tables that `windsock migrate` makes and lets the analyst read."""


_LISTED = 10
"""Tables of a schema that a message lists where none has a similar name."""


def refusal(connection: "psycopg.Connection", error: "psycopg.Error", query: str) -> str:
    """The reason for an error, as the end of a sentence.

    Args:
        connection: The connection that the query ran on, in autocommit.
        error: What PostgreSQL said.
        query: The query.
    """
    from psycopg import errors  # noqa: PLC0415 - an extra

    if isinstance(error, errors.InsufficientPrivilege):
        refused = _refused(connection, _tables(query))
        if refused:
            return refused
    if isinstance(error, errors.UndefinedTable):
        named = _tables(query)
        for name in named:
            if name not in (known := known_tables(connection)) and f"public.{name}" not in known:
                return missing_table(connection, name)
    if isinstance(error, errors.QueryCanceled):
        return TOO_LONG
    primary = one_line(error) or type(error).__name__
    hint = error.diag.message_hint
    return f"{primary}; {hint[:1].lower()}{hint[1:]}" if hint else primary


def missing_table(connection: "psycopg.Connection", name: str) -> str:
    """Say that there is no such schema or table, with the nearest name."""
    known = known_tables(connection)
    schema, dot, bare = name.rpartition(".")
    if bare in WINDSOCKS and schema in ("", "windsock", "public"):
        return f"there is no table {name}; `windsock migrate` makes it"
    schemas = sorted({each.partition(".")[0] for each in known})
    if dot and schema not in schemas:
        return f"there is no schema {schema!r}{did_you_mean(schema, schemas)}"
    if not dot and (elsewhere := [each for each in known if each.endswith(f".{name}")]):
        return f"there is no table {name} outside schemas; write {' or '.join(elsewhere[:3])}"
    beside = [each for each in known if each.startswith(f"{schema or 'public'}.")]
    bare_names = {each.partition(".")[2]: each for each in (beside if dot else known)}
    if near := get_close_matches(bare, bare_names, n=1):
        return f"there is no table {name!r}; did you mean {bare_names[near[0]]!r}?"
    listed = ", ".join(map(repr, beside[:_LISTED])) + (", …" if len(beside) > _LISTED else "")
    return f"there is no table {name!r}{f'; there is {listed}' if listed else ''}"


def known_tables(connection: "psycopg.Connection") -> list[str]:
    """Every table and view of the database's own schemas, as ``schema.name``."""
    return [str(row[0]) for row in connection.execute(_QUERIES["known_tables"])]


def _tables(query: str) -> list[str]:
    """The tables that a query names, without its own common table expressions."""
    parsed = sqlglot.parse_one(query, read="postgres")
    own = {each.alias for each in parsed.find_all(exp.CTE)}
    names = (f"{each.db}.{each.name}" if each.db else each.name for each in parsed.find_all(exp.Table))
    return [name for name in dict.fromkeys(names) if name and name not in own]


def _refused(connection: "psycopg.Connection", tables: Sequence[str]) -> str:
    rows = connection.execute(_QUERIES["refused_tables"], {"names": list(tables)}).fetchall()
    if not rows:
        return ""
    role = str(rows[0][3])
    if all(bare in WINDSOCKS for _, bare, *_ in rows):
        return f"{role} may not read it; run `windsock migrate`, then: grant windsock_analyst to {role}"
    grants = [f"grant usage on schema {schema} to {role}" for schema, _, usable, _ in rows if not usable]
    grants += [f"grant select on {schema}.{bare} to {role}" for schema, bare, *_ in rows]
    named = " and ".join(f"{schema}.{bare}" for schema, bare, *_ in rows)
    return f"the role {role} may not read {named}; as its owner, run: {'; '.join(dict.fromkeys(grants))}"


_QUERIES = load_queries("windsock.experiments.data", "queries.sql")
