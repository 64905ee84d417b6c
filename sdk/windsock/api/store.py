"""The flag file behind the API: read, merged and replaced under a lock, with each write recorded."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import psycopg

from windsock import disk
from windsock.api.audit_writing import TOO_LARGE, AuditEntry, BeyondAuditError, begin, end, too_large
from windsock.api.checking import MOST, Mistake, check_document, check_request, check_values, without
from windsock.api.tokens import Token
from windsock.errors import ConfigurationError, FlagFileError
from windsock.flagfiles.configuration import Configuration, Values, targeting_with
from windsock.flagfiles.files import read_bytes, write_bytes
from windsock.flagfiles.formatting import written
from windsock.flagfiles.locking import writing
from windsock.flags import JsonValue, read_document
from windsock.gitops.misfits import environments_of
from windsock.nested import FieldPath
from windsock.postgres.queries import load_queries
from windsock.settings.declaration import Declaration

_queries = load_queries("windsock.api", "queries.sql")

WRITABLE: Final = ".flagd.json"
"""How the names of the files end that can be written."""

_read = lru_cache(maxsize=2)(read_document)
"""An unchanged file isn't parsed again: a form, its plan and the write each read it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The file at one moment: its revision, its whole content, and the configuration in it."""

    revision: str
    content: Mapping[str, JsonValue]
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class StaleRevision:
    """The file has changed since the caller read it; `revision` is the current one."""

    revision: str


@dataclass(frozen=True, slots=True)
class Write:
    """A request to change the configuration.

    Attributes:
        request: Partial values, optionally with overrides by environment.
        actor: The caller; if they have a token, the database takes the name for the audit from it.
        expected: Accepted revisions of the file; None merges over any revision.
        cleared: Variants, each with the path of a value to remove from it.
    """

    request: Values
    actor: Token
    expected: frozenset[str] | None = None
    cleared: tuple[tuple[str, FieldPath], ...] = ()


@dataclass(frozen=True, slots=True)
class PreparedWrite:
    """A valid write, not yet performed.

    Attributes:
        before: The current file.
        after: The file after the write.
        data: The bytes of `after`.
    """

    before: Stored
    after: Stored
    data: bytes


class Store:
    """One flag in one file.

    Args:
        path: The flag file, JSON.
        declaration: The settings class that the flag is for.

    Raises:
        ConfigurationError: This system cannot lock a folder.
    """

    def __init__(self, path: Path, declaration: Declaration) -> None:
        if not disk.CAN_LOCK:
            raise ConfigurationError(
                "the configuration API locks the folder of flags with flock, which this system lacks; "
                "run it on Linux or macOS, or in a container"
            )
        self.path = path
        self._declaration = declaration

    def read(self) -> Stored:
        """Read the file.

        Raises:
            UnreachableError: It cannot be read.
            FlagFileError: It isn't JSON, lacks the flag, or the flag's shape can't be changed field by field.
        """
        if not self.path.name.endswith(WRITABLE):
            todo = f"move the flag {self._declaration.flag!r} to a *{WRITABLE}; other files aren't written"
            raise FlagFileError(str(self.path), todo)
        data = read_bytes(self.path)
        document = _read(data, str(self.path))
        flag = document.flags.get(self._declaration.flag)
        if flag is None:
            reason = "; ".join(map(str, document.problems)) or "it isn't defined there"
            raise FlagFileError(str(self.path), f"flag {self._declaration.flag!r} cannot be read: {reason}")
        variants = {name: value for name, value in flag.variants.items() if isinstance(value, Mapping)}
        if flag.default_variant not in variants or len(variants) < len(flag.variants):
            raise FlagFileError(
                str(self.path),
                f"flag {flag.key!r} needs a default variant, and objects as its variants, to be changed here",
                flag.line,
            )
        content: Mapping[str, JsonValue] = json.loads(data)
        environments = frozenset(environments_of(flag)) & variants.keys() - {flag.default_variant}
        return Stored(document.revision, content, Configuration(flag.default_variant, variants, environments))

    def write(
        self, connection: "psycopg.Connection[Any]", change: Write
    ) -> Stored | StaleRevision | tuple[Mistake, ...]:
        """Merge a change over the newest version and, if it is valid, replace the file.

        Args:
            connection: An autocommit connection, to record the write.
            change: The requested change.

        Returns:
            The new state of the file, or why it was left unchanged.

        Raises:
            UnreachableError: The file cannot be read or written, or its folder's lock is held for seconds.
            FlagFileError: As for `read`.
            LostRightError: The token may not write the flag any more.
            psycopg.Error: The write can't be recorded; the file is unchanged.
        """
        with writing(self.path.resolve().parent):
            prepared = self.prepare(self.read(), change)
            if not isinstance(prepared, PreparedWrite):
                return prepared
            try:
                self._replace(connection, change, prepared)
            except BeyondAuditError as error:
                return (Mistake("", str(error)),)
            return prepared.after

    def prepare(self, before: Stored, change: Write) -> PreparedWrite | StaleRevision | tuple[Mistake, ...]:
        """Do everything that `write` does to the file as it was read, except writing, for a plan."""
        if change.expected is not None and before.revision not in change.expected:
            return StaleRevision(before.revision)
        configuration = before.configuration
        for variant, path in change.cleared:
            configuration = configuration.cleared(variant, path)
        # Each check sees what the earlier ones accepted, so that one mistake doesn't hide another.
        faults = check_request(self._declaration, configuration, change.request)
        if len(faults) == MOST:
            return tuple(faults)
        after = configuration.merged(without(change.request, faults))
        if too_large(configuration.changed(after)):  # the checks of so many values take minutes
            return (*faults, Mistake("", TOO_LARGE))
        faults += check_values(self._declaration, after)
        after = configuration.merged(without(change.request, faults))
        content = self._with(before, after)
        data = written(content, str(self.path))
        faults += check_document(data, str(self.path), self._declaration.flag, after)
        if faults:
            return tuple(faults)
        return PreparedWrite(before, Stored(_revision(data), content, after), data)

    def _with(self, stored: Stored, after: Configuration) -> Mapping[str, JsonValue]:
        content, before = stored.content, stored.configuration
        flags = content["flags"]
        flag = flags[self._declaration.flag] if isinstance(flags, dict) else None
        if not isinstance(flags, dict) or not isinstance(flag, dict):
            raise FlagFileError(str(self.path), "`flags` must be an object keyed by flag to be changed here")
        added = sorted(after.environments - before.environments)
        targeting = targeting_with(flag.get("targeting"), added)
        changed = {**flag, "variants": dict(after.variants)}
        if targeting is not None:
            changed["targeting"] = targeting
        return {**content, "flags": {**flags, self._declaration.flag: changed}}

    def _replace(
        self,
        connection: "psycopg.Connection[Any]",
        change: Write,
        prepared: PreparedWrite,
    ) -> None:
        before, after = prepared.before, prepared.after
        entry = AuditEntry(
            flag=self._declaration.flag,
            file=str(self.path),
            revision_before=before.revision,
            revision_after=after.revision,
            request=change.request,
            changed=before.configuration.changes(after.configuration, self._declaration.secrets),
        )
        number = begin(connection, change.actor, entry)
        write_bytes(self.path, prepared.data)
        end(connection, number)


def mirrors_behind(connection: "psycopg.Connection[Any]") -> tuple[str, ...]:
    """Which mirrors will publish a change only once they work again; empty if all of them do."""
    try:
        rows = connection.execute(_queries["mirrors_behind"]).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return ()  # a database without mirrors, or before its last migrations
    except psycopg.Error:  # the change is made, so it is no failure
        return ("whether a mirror is behind isn't known: the database didn't answer",)
    return tuple(
        f"the mirror of group {group!r} was last right "
        f"{'never' if seconds is None else f'{seconds:.0f} s ago'}{f' ({trouble})' if trouble else ''}: "
        "what it writes, SQL's values among them, has this change once it is back"
        for group, trouble, seconds in rows
    )


def _revision(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
