"""Sessions: a random cookie, stored as a hash, rotated every five minutes, valid for twelve hours."""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from windsock.api.tokens import Role, Token, digest
from windsock.postgres.queries import load_queries

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

LONGEST: Final = 12 * 3600.0
"""Seconds until a session ends even if it's in use; an hour without requests ends it too."""

_QUERIES = load_queries("windsock.console", "queries.sql")


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person's session.

    Attributes:
        id: The row in the database.
        person: Who it is, and what they may do now.
        form_key: Included in every form sent to them; a submission without it comes from another site.
        due: Whether the cookie should be rotated.
    """

    id: int
    person: Token
    form_key: str
    due: bool


def start(connection: "Connection", person: Token, seconds: float = LONGEST) -> str:
    """Start a session and return the cookie's value."""
    text = secrets.token_urlsafe(32)
    row = {
        "digest": digest(text),
        "form_key": secrets.token_urlsafe(32),
        "token": person.digest or None,
        "actor": person.name,
        "role": person.role.value,
        "flags": list(person.flags),
        "seconds": min(seconds, LONGEST),
    }
    connection.execute(_QUERIES["open_session"], row)
    return text


def find(connection: "Connection", text: str) -> Session | None:
    """Find a cookie's session; None if it has ended or its token was revoked."""
    row = connection.execute(_QUERIES["find_session"], {"digest": digest(text)}).fetchone()
    if row is None:
        return None
    number, name, role, flags, token, form_key, due = row
    return Session(number, Token(name, Role(role), tuple(flags), token or b""), form_key, due)


def rotate(connection: "Connection", session: Session) -> str | None:
    """Replace the cookie's value and return the new one; None if another request has just rotated it."""
    text = secrets.token_urlsafe(32)
    row = connection.execute(
        _QUERIES["rotate_session"], {"digest": digest(text), "id": session.id}
    ).fetchone()
    return None if row is None else text


def end(connection: "Connection", session: Session) -> None:
    """End a session."""
    connection.execute(_QUERIES["close_session"], {"id": session.id})
