"""Records writes of flag files: an entry is begun before the file is replaced and ended after."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from windsock.api.tokens import Token
from windsock.errors import ConfigurationError
from windsock.flags import JsonValue
from windsock.postgres.queries import load_queries

_queries = load_queries("windsock.api", "queries.sql")

TOO_LARGE: Final = "the change is too large for its row of the audit; change less at once"
"""The message about one with too many values."""

_BOUNDS: Final = "configuration_audit_is_bounded"
"""The audit's constraint on the size of a row's values."""

_CHANGED_BYTES: Final = 4_000_000
"""How long it lets the changed values be together, as PostgreSQL writes them in UTF-8."""

_NAME_BYTES: Final = 500
"""How long it lets an actor's name and a flag's key be, in UTF-8."""


class BeyondAuditError(ConfigurationError):
    """The change is too large for a row of the audit; the message says which part is."""


class LostRightError(ConfigurationError):
    """The token was revoked, or restricted, between the check of its request and the write."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A write of one flag.

    Attributes:
        flag: The flag's key.
        file: Its file.
        revision_before: The file's revision before the write.
        revision_after: The file's revision after the write.
        request: What was asked for.
        changed: Each value that differs, as [before, after] by JSON pointer into the configuration; an empty
            pointer (RFC 6901: the whole) has the flag's definitions, if it was written as a whole.
    """

    flag: str
    file: str
    revision_before: str
    revision_after: str
    request: Mapping[str, JsonValue]
    changed: Mapping[str, Sequence[JsonValue]]


def too_large(changed: Iterable[tuple[str, Sequence[JsonValue]]]) -> bool:
    """Whether the audit surely has no room for these values; reads no more of them than show it.

    A hundred environments that follow the base change with it, so a small request can make a large change.
    """
    size = 0
    for pointer, ends in changed:
        size += len(pointer) + len(json.dumps(ends, ensure_ascii=False))
        if size > _CHANGED_BYTES:
            return True
    return False


def begin(connection: "psycopg.Connection[Any]", actor: Token, entry: AuditEntry) -> int:
    """Record a write that is about to happen; return its number.

    Args:
        connection: An autocommit connection.
        actor: Who writes; if they have a token, the database takes the name from it.
        entry: The write.

    Raises:
        BeyondAuditError: The audit has no room for it.
        LostRightError: The token may not write the flag any more.
    """
    values = {
        "digest": actor.digest,
        "actor": actor.name,
        "flag": entry.flag,
        "file": entry.file,
        "revision_before": entry.revision_before,
        "revision_after": entry.revision_after,
        "request": json.dumps(entry.request),
        "changed": json.dumps(entry.changed),
    }
    query = "begin_write" if actor.digest else "begin_signed_in_write"
    try:
        row = connection.execute(_queries[query], values).fetchone()
    except psycopg.errors.CheckViolation as error:
        if error.diag.constraint_name != _BOUNDS:
            raise
        raise BeyondAuditError(_beyond(actor, entry)) from error
    if row is None or row[0] is None:
        raise LostRightError(
            f"the token {actor.name!r} may not change {entry.flag} any more; nothing was written"
        )
    return int(row[0])


def end(connection: "psycopg.Connection[Any]", number: int) -> None:
    """Record that the file has been replaced."""
    connection.execute(_queries["end_write"], {"id": number})


def _beyond(actor: Token, entry: AuditEntry) -> str:
    for what, name in (("token's name", actor.name), ("flag's key", entry.flag)):
        if len(name.encode()) > _NAME_BYTES:
            return (
                f"the {what} is longer than the {_NAME_BYTES} bytes that the audit has room for; "
                "use a shorter one"
            )
    return TOO_LARGE
