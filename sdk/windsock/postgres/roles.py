"""Detect a database whose migrations are applied but whose roles are missing, as after restoring a dump."""

from typing import TYPE_CHECKING

from windsock.postgres.queries import load_queries
from windsock.text import count

if TYPE_CHECKING:
    import psycopg


def missing_roles(connection: "psycopg.Connection") -> str:
    """Describe what a migrated database lacks because roles were missing; empty if nothing.

    A dump contains grants and the ledger, but no roles. Where they don't exist, its grants fail, and our
    functions stay with the role that restored it.
    """
    query = load_queries("windsock.postgres", "ledger.sql")["missing_roles"]
    missing, owner = connection.execute(query).fetchone() or ([], None)
    found = []
    if missing:
        found.append(f"{count(len(missing), 'role')} and their rights are missing ({', '.join(missing)})")
    if owner:
        found.append(f"functions that should run as windsock_definer run as {owner}")
    return " and ".join(found)
