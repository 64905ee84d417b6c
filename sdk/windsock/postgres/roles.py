"""Questions that run no stranger's code; a database whose roles are missing, as after restoring a dump."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from windsock.postgres.queries import load_queries
from windsock.text import count

if TYPE_CHECKING:
    import psycopg


@contextlib.contextmanager
def own_path(connection: "psycopg.Connection") -> Iterator[None]:
    """A transaction in which PostgreSQL's own names come first, whatever ``search_path`` the database has."""
    with connection.transaction():
        connection.execute(load_queries("windsock.postgres", "ledger.sql")["own_path"])
        yield


def missing_roles(connection: "psycopg.Connection") -> str:
    """Describe what a migrated database lacks because roles were missing; empty if nothing.

    A dump contains grants and the ledger, but no roles. Where they don't exist, its grants fail, and our
    functions stay with the role that restored it.
    """
    query = load_queries("windsock.postgres", "ledger.sql")["missing_roles"]
    with own_path(connection):
        missing, owner = connection.execute(query).fetchone() or ([], None)
    found = []
    if missing:
        found.append(f"{count(len(missing), 'role')} and their rights are missing ({', '.join(missing)})")
    if owner:
        found.append(f"functions that should run as windsock_definer run as {owner}")
    return " and ".join(found)
