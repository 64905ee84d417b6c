"""Who is signed in: a random cookie, kept as its hash, changed every five minutes, good for twelve hours."""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from windsock.api.tokens import Role, Token, digest
from windsock.postgres.queries import load_queries

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

LONGEST: Final = 12 * 3600.0
"""Seconds until a session ends, however busy it is; one that is idle for an hour ends as well."""

_QUERIES = load_queries("windsock.console", "queries.sql")


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        id: The row in the database.
        person: Who it is, and what they may do now.
        form_key: In every form that they are sent; what comes back without it is another site's.
        due: Whether the cookie should change.
    """

    id: int
    person: Token
    form_key: str
    due: bool


def opened(connection: "Connection", person: Token, seconds: float = LONGEST) -> str:
    """Sign somebody in; gives the text of the cookie."""
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


def found(connection: "Connection", text: str) -> Session | None:
    """The session of a cookie, if it has not ended and its token was not revoked."""
    row = connection.execute(_QUERIES["find_session"], {"digest": digest(text)}).fetchone()
    if row is None:
        return None
    number, name, role, flags, token, form_key, due = row
    return Session(number, Token(name, Role(role), tuple(flags), token or b""), form_key, due)


def rotated(connection: "Connection", session: Session) -> str | None:
    """Another text for the cookie; None if another request has just changed it."""
    text = secrets.token_urlsafe(32)
    row = connection.execute(
        _QUERIES["rotate_session"], {"digest": digest(text), "id": session.id}
    ).fetchone()
    return None if row is None else text


def closed(connection: "Connection", session: Session) -> None:
    """Sign somebody out."""
    connection.execute(_QUERIES["close_session"], {"id": session.id})
