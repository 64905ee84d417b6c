"""The audit trail of one settings class, as the API shows it: who changed what, newest first."""

from typing import TYPE_CHECKING, Any, Final

from windsock.api.tokens import Token
from windsock.flagfiles.configuration import ENVIRONMENTS
from windsock.nested import FieldPath
from windsock.postgres.queries import load_queries
from windsock.settings.declaration import Declaration
from windsock.settings.layers import masked
from windsock.text import MASK

if TYPE_CHECKING:
    import psycopg

MOST: Final = 200
"""Maximum number of changes in one response."""

_queries = load_queries("windsock.api", "queries.sql")


def changes(
    connection: "psycopg.Connection[Any]",
    token: Token,
    declaration: Declaration,
    before: int | None,
    limit: int,
) -> dict[str, object]:
    """Return the newest changes of a class's flag.

    Args:
        connection: A connection that commits by itself.
        token: The caller's token; the database returns the audit only for a valid one.
        declaration: The class.
        before: Only return changes with smaller numbers; None starts with the newest.
        limit: Maximum number of changes, up to `MOST`.

    Returns:
        ``changes``, and ``next``: the number to pass as `before`, or null if these were the last.
    """
    parameters = {"digest": token.digest, "flag": declaration.flag, "before": before, "limit": limit + 1}
    rows = connection.execute(_queries["changes"], parameters).fetchall()
    shown = [
        {
            "id": number,
            "requested_at": requested.isoformat(),
            "written_at": written and written.isoformat(),
            "actor": actor,
            "revision_before": old,
            "revision_after": new,
            "changed": {pointer: _shown(declaration, pointer, ends) for pointer, ends in changed.items()},
        }
        for number, requested, written, actor, old, new, changed in rows[:limit]
    ]
    return {"changes": shown, "next": shown[-1]["id"] if len(rows) > limit else None}


def _shown(declaration: Declaration, pointer: str, ends: list[object]) -> list[object]:
    """A value before and after, with secrets masked; a flag that was written as a whole has none."""
    if pointer and declaration.is_secret(_path(pointer)):
        return [end if end is None else MASK for end in ends]
    return [masked(end) for end in ends]


def _path(pointer: str) -> FieldPath:
    """The field that a pointer into a configuration refers to."""
    tokens = tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    return tokens[2:] if len(tokens) > 2 and tokens[0] in (ENVIRONMENTS, "variants") else tokens
