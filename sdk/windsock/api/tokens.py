"""Bearer tokens: random, stored as hashes, compared in constant time."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg

from windsock.errors import ConfigurationError
from windsock.postgres.queries import load_queries
from windsock.text import did_you_mean

_queries = load_queries("windsock.api", "queries.sql")

_PREFIX = "windsock_"
"""Lets secret scanners find a token that was leaked."""

_ENTROPY_BYTES = 32


class Role(StrEnum):
    """What a person or program may do: readers read, editors also change values, admins do everything."""

    READER = "reader"
    EDITOR = "editor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Token:
    """The caller, and what they may do.

    Attributes:
        name: The name shown in the audit.
        role: What they may do.
        flags: Key prefixes of the flags that they may change; empty for all flags.
        digest: The token's hash; empty for a user signed in to the console.
    """

    name: str
    role: Role
    flags: tuple[str, ...] = ()
    digest: bytes = field(default=b"", repr=False, compare=False)

    def may_change(self, flag: str) -> bool:
        """Whether they may change this flag and its values in profiles."""
        return self.role is not Role.READER and (not self.flags or flag.startswith(self.flags))


@dataclass(frozen=True, slots=True)
class Issued:
    """A token in a list: everything but its text, which isn't stored.

    Attributes:
        name: The name shown in the audit.
        role: What it allows.
        flags: Key prefixes of the flags that it may change; empty for all flags.
        created_at: When it was created.
        revoked_at: When it was revoked; None for a valid token.
    """

    name: str
    role: Role
    flags: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def create_token(
    connection: "psycopg.Connection[Any]", name: str, role: Role, flags: Sequence[str] = ()
) -> str:
    """Create a token, store its hash, and return its text, which can't be recovered later.

    Args:
        connection: A connection that commits by itself.
        name: The name to show in the audit.
        role: What it allows.
        flags: Key prefixes of the flags that it may change; empty for all flags.

    Raises:
        ConfigurationError: The name is empty or taken, even by a revoked token; or the table is missing.
    """
    text = _PREFIX + secrets.token_urlsafe(_ENTROPY_BYTES)
    if not name:
        raise ConfigurationError("a token needs a name: it is what the audit shows")
    values: dict[str, object] = {
        "name": name,
        "role": role.value,
        "digest": digest(text),
        "flags": list(flags),
    }
    if not _done(connection, "add_token", values):
        raise ConfigurationError(
            f"there is a token {name!r} already, perhaps a revoked one; choose another name"
        )
    return text


def revoke_token(connection: "psycopg.Connection[Any]", name: str) -> None:
    """Refuse a token from now on.

    Args:
        connection: A connection that commits by itself.
        name: The token's name.

    Raises:
        ConfigurationError: The token doesn't exist or is already revoked, or the table is missing.
    """
    if not _done(connection, "revoke_token", {"name": name}):
        valid = [each.name for each in listed(connection) if each.revoked_at is None]
        raise ConfigurationError(
            f"no valid token is named {name!r}, so nothing was revoked{did_you_mean(name, valid)}"
        )


def listed(connection: "psycopg.Connection[Any]") -> list[Issued]:
    """List every token by name, including revoked ones.

    Raises:
        ConfigurationError: The table is missing.
    """
    try:
        rows = connection.execute(_queries["tokens"]).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise _not_migrated() from error
    return [
        Issued(name, Role(role), tuple(flags), made, revoked) for name, role, flags, made, revoked in rows
    ]


def authenticate(connection: "psycopg.Connection[Any]", text: str) -> Token | None:
    """Look up a token; None if it isn't valid. The hashes stay in the database."""
    hashed = digest(text)
    with connection.transaction():
        connection.execute(_queries["patience"])
        row = connection.execute(_queries["token"], {"digest": hashed}).fetchone()
    return Token(row[0], Role(row[1]), tuple(row[2]), hashed) if row else None


def _done(connection: "psycopg.Connection[Any]", query: str, values: Mapping[str, object]) -> bool:
    try:
        return connection.execute(_queries[query], values).fetchone() is not None
    except psycopg.errors.UndefinedTable as error:
        raise _not_migrated() from error


def _not_migrated() -> ConfigurationError:
    return ConfigurationError("the table windsock.api_tokens is missing; run `windsock migrate` first")


def digest(text: str) -> bytes:
    """The hash under which a token is stored."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
