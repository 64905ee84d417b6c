"""The queries of `queries.sql` by their names, and what a loop is: it runs them on a connection."""

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, TypeAlias

import psycopg

Result: TypeAlias = dict[str, object]
Connection: TypeAlias = "psycopg.AsyncConnection[Any]"
Run: TypeAlias = Callable[[Connection], Awaitable[Result]]


def _read_queries() -> Mapping[str, bytes]:
    """The name of a query is in the line above it."""
    _, *parts = files(__package__).joinpath("queries.sql").read_text(encoding="utf-8").split("-- name: ")
    named = (part.split("\n", 1) for part in parts)
    return {name.strip(): text.strip().encode() for name, text in named}


QUERIES = _read_queries()
