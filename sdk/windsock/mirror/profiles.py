"""Changes that people make to profiles and assignments: plan, audit, undo."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from windsock.errors import ChangedSinceError, ConfigurationError
from windsock.postgres import shapes
from windsock.postgres.queries import load_queries
from windsock.text import count, did_you_mean

if TYPE_CHECKING:
    import psycopg

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

QUERIES: Final = load_queries("windsock.mirror", "profiles.sql")
MOST_USERS: Final = 10_000
"""Maximum users that one command assigns; for more, use an experiment or a migration."""


@dataclass(frozen=True, slots=True)
class ProfileSummary:
    """A profile in a list.

    Attributes:
        name: Its name.
        active: Whether it's served.
        users: How many users have it.
        fields: The fields that it sets, or the flags if settings are nested by flag.
    """

    name: str
    active: bool
    users: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """The content of a profile.

    Attributes:
        settings: A partial set of settings.
        description: A description for readers.
        active: Whether it's served.
    """

    settings: Mapping[str, object]
    description: str | None = None
    active: bool = True

    def as_data(self) -> dict[str, object]:
        """The row in its audit log form."""
        return {"settings": dict(self.settings), "description": self.description, "active": self.active}

    def edited(
        self,
        values: Mapping[str, object],
        unset: Sequence[str] = (),
        *,
        active: bool | None = None,
        description: str | None = None,
    ) -> "ProfileRow":
        """The row with new values and without some fields; None keeps the existing content.

        Raises:
            ConfigurationError: A field in `unset` isn't set.
        """
        if missing := [field for field in unset if field not in self.settings]:
            named = ", ".join(map(repr, missing))
            raise ConfigurationError(f"the profile doesn't set {named}; leave it out of --unset")
        kept = {field: value for field, value in self.settings.items() if field not in unset}
        return ProfileRow(
            {**kept, **values},
            self.description if description is None else description,
            self.active if active is None else active,
        )


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A change in the audit log.

    Attributes:
        id: The number for `undo`.
        changed_at: When it was made.
        actor: The database role, or the person signed in to the console.
        action: ``create``, ``edit``, ``assign`` or ``undo``.
        profile: The profile's name; None if users were unassigned.
        before: The content before the change.
        after: The content after the change.
        undone_by: The change that undid it.
    """

    id: int
    changed_at: datetime
    actor: str
    action: str
    profile: str | None
    before: Mapping[str, object]
    after: Mapping[str, object]
    undone_by: int | None

    @property
    def verb(self) -> str:
        """The command that made the change: ``unassign`` is stored as an assignment of no profile."""
        return "unassign" if self.action == "assign" and self.profile is None else self.action


def summaries(connection: "Connection") -> list[ProfileSummary]:
    """All profiles, by name."""
    rows = connection.execute(QUERIES["list"]).fetchall()
    return [ProfileSummary(name, active, users, tuple(fields)) for name, active, users, fields in rows]


def load(connection: "Connection", name: str) -> tuple[ProfileRow, int]:
    """Read a profile and how many users have it; it's locked until the transaction ends.

    Raises:
        ConfigurationError: The profile doesn't exist.
    """
    row = connection.execute(QUERIES["row"], [name]).fetchone()
    if row is None:
        hint = did_you_mean(name, [each.name for each in summaries(connection)])
        raise ConfigurationError(f"there is no profile {name!r}{hint}")
    config_id, _, description, settings, active = row
    users = connection.execute(QUERIES["users"], [config_id]).fetchone()
    return ProfileRow(settings, description, active), users[0] if users else 0


def exists(connection: "Connection", name: str) -> bool:
    """Whether a profile with this name exists."""
    return connection.execute(QUERIES["row"], [name]).fetchone() is not None


def save(
    connection: "Connection",
    name: str,
    before: ProfileRow | None,
    after: ProfileRow,
    actor: str | None = None,
) -> int:
    """Write a profile and the audit log; return the change's number.

    Args:
        connection: A connection of the tables' owner or of the console.
        name: The profile.
        before: The result of `load`; None for a new profile.
        after: The new content.
        actor: Who makes the change, for the audit log; by default the database role.
    """
    _write(connection, name, after)
    was = {} if before is None else before.as_data()
    return _record(
        connection, _Step("create" if before is None else "edit", name, actor), was, after.as_data()
    )


def differences(before: ProfileRow | None, after: ProfileRow) -> Iterator[str]:
    """Describe the differences, one per line."""
    old = {} if before is None else before.settings
    for field in dict.fromkeys((*old, *after.settings)):
        if field not in old:
            yield f"+ {field}  {_json(after.settings[field])}"
        elif field not in after.settings:
            yield f"- {field}  {_json(old[field])}"
        elif old[field] != after.settings[field]:
            yield f"~ {field}  {_json(old[field])} → {_json(after.settings[field])}"
    if before is not None and before.active != after.active:
        yield f"~ {'activated' if after.active else 'deactivated: its users get the layers below'}"
    if before is not None and before.description != after.description:
        yield f"~ description  {_json(before.description)} → {_json(after.description)}"


def moves(
    connection: "Connection", name: str | None, users: Sequence[str], *, new: bool = False
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Each affected user's current and new profile; locked in the transaction.

    Args:
        connection: A connection of the assigning role or the owner.
        name: The profile; None unassigns.
        users: The users' ids in `profiles`.
        new: Whether to include users without a row, who have no profile; `add` creates their rows, if ids are
            UUIDs.

    Raises:
        ConfigurationError: The profile doesn't exist or isn't active, or a user has no row or isn't a UUID.
    """
    if len(users) > MOST_USERS:
        raise ConfigurationError(
            f"{len(users):,} users at once; assign at most {MOST_USERS:,} in one command"
        )
    config_id = None
    if name is not None:
        row = connection.execute(QUERIES["id_of"], [name]).fetchone()
        if row is None:
            active = [each for (each,) in connection.execute(QUERIES["active"]).fetchall()]
            raise ConfigurationError(f"there is no active profile {name!r}{did_you_mean(name, active)}")
        config_id = str(row[0])
    has_uuids = _has_uuids(connection)
    have = _having(connection, users, has_uuids=has_uuids)
    others = [user for user in users if user not in have]
    malformed = next((user for user in others if has_uuids and not is_uuid(user)), None)
    if malformed is not None:
        raise ConfigurationError(f"{malformed!r} is not a UUID, and the users' ids in profiles are UUIDs")
    unknown = [user for user in (_as_stored(others) if has_uuids else others) if user not in have]
    if new and has_uuids:
        have |= dict.fromkeys(unknown, None)
    elif unknown:
        shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise ConfigurationError(
            f"no row in profiles for {shown}; nothing was changed. Your application makes the rows"
            + (", or `windsock profile assign --create`" if has_uuids else "")
        )
    before = {user: had for user, had in have.items() if had != config_id}
    return before, dict.fromkeys(before, config_id)


def add(connection: "Connection", users: Iterable[str]) -> None:
    """Create rows in `profiles` for users without one, whose ids are UUIDs."""
    connection.execute(QUERIES["add"], [[UUID(user) for user in users]])


def assign(
    connection: "Connection",
    name: str | None,
    before: Mapping[str, object],
    after: Mapping[str, object],
    actor: str | None = None,
) -> int:
    """Apply the result of `moves`, write the audit log, and return the change's number; see `save`."""
    _set_profiles(connection, after)
    return _record(connection, _Step("assign", name, actor), before, after)


def undo(connection: "Connection", number: int, actor: str | None = None) -> ProfileChange:
    """Undo a change, if its result is still in place. For `actor`, see `save`.

    Raises:
        ConfigurationError: The change doesn't exist, was already undone, or was followed by another change.
    """
    row = connection.execute(QUERIES["change"], [number]).fetchone()
    if row is None:
        raise ConfigurationError(f"there is no change {number}; see `windsock profile show NAME`")
    action, profile, before, after, undone_by = row
    if undone_by is not None:
        raise ChangedSinceError(f"change {number} was undone already, by change {undone_by}")
    if action == "undo":
        raise ConfigurationError(f"change {number} is an undo itself; make the change again")
    if (action in ("create", "edit") and _now(connection, profile) != after) or (
        action not in ("create", "edit") and not _is_assigned(connection, after)
    ):
        raise ChangedSinceError(
            f"change {number} can't be undone: what it made was changed since; nothing was changed"
        )
    if action not in ("create", "edit") and _names_missing(connection, before):
        raise ChangedSinceError(
            f"change {number} can't be undone: a profile that its users had is gone; nothing was changed"
        )
    if not _is_undoable(action, before, after):
        raise ConfigurationError(f"windsock recorded no such change as {number}; nothing was changed")
    if action == "create" and (users := load(connection, profile)[1]):
        raise ChangedSinceError(
            f"change {number} can't be undone: {count(users, 'user')} got {profile} since; unassign it first"
        )
    if action == "create":
        connection.execute(QUERIES["remove"], [profile])
    elif action == "edit":
        _write(connection, profile, ProfileRow(before["settings"], before["description"], before["active"]))
    else:
        _set_profiles(connection, before)
    done = _record(connection, _Step("undo", profile, actor), after, before)
    connection.execute(QUERIES["undone"], [done, number])
    return history(connection, None, 1)[0]


def history(connection: "Connection", name: str | None, limit: int) -> list[ProfileChange]:
    """The latest changes to a profile, or to all profiles; taking it from users is one."""
    rows = connection.execute(QUERIES["noted"], {"profile": name, "limit": limit}).fetchall()
    return [ProfileChange(*row) for row in rows]


def _write(connection: "Connection", name: str, row: ProfileRow) -> None:
    parameters = {"name": name, "description": row.description, "active": row.active}
    connection.execute(QUERIES["save"], parameters | {"settings": _json(row.settings)})


@dataclass(frozen=True, slots=True)
class _Step:
    """A change's audit log entry, apart from its content."""

    action: str
    profile: str | None
    actor: str | None


def _record(connection: "Connection", step: _Step, before: object, after: object) -> int:
    row = connection.execute(
        QUERIES["note"], [step.action, step.profile, _json(before), _json(after), step.actor]
    ).fetchone()
    assert row is not None  # noqa: S101 - RETURNING gives the row
    return int(row[0])


def _now(connection: "Connection", name: str) -> dict[str, object] | None:
    return load(connection, name)[0].as_data() if exists(connection, name) else None


def _is_assigned(connection: "Connection", after: Mapping[str, object]) -> bool:
    return _having(connection, list(after), has_uuids=_has_uuids(connection)) == dict(after)


def _names_missing(connection: "Connection", before: Mapping[str, object]) -> bool:
    """Whether users had a profile that doesn't exist."""
    had = {str(config_id) for config_id in before.values() if config_id is not None}
    return len(connection.execute(QUERIES["kept"], [list(had)]).fetchall()) < len(had)


def _is_undoable(action: str, before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Whether a change has the form of those recorded here; `windsock_assigner` can record any."""
    match action, before:
        case "create", _:
            return True
        case "edit", {"settings": dict(), "description": str() | None, "active": bool()}:
            return True
        case "assign", _:
            return before.keys() == after.keys()
    return False


def _having(connection: "Connection", users: Sequence[str], *, has_uuids: bool) -> dict[str, str | None]:
    """The profiles of the users that have a row in `profiles`; locked in the transaction."""
    known = _as_stored(filter(is_uuid, users)) if has_uuids else users
    return dict(connection.execute(QUERIES["assigned"], [_array(known)]).fetchall())


def _has_uuids(connection: "Connection") -> bool:
    """Whether ids in `profiles` are UUIDs; an application may have made the table with others."""
    return shapes.id_type(connection) == "uuid"


def _set_profiles(connection: "Connection", users: Mapping[str, object]) -> None:
    connection.execute(QUERIES["assign"], [_json(users), _array(users)])


def _array(texts: Iterable[str]) -> str:
    """A PostgreSQL array literal; its elements get the type that the statement needs."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


def _as_stored(users: Iterable[str]) -> list[str]:
    """UUIDs as PostgreSQL writes them, each once; people may give them in capitals or without dashes."""
    return list(dict.fromkeys(str(UUID(user)) for user in users))


def is_uuid(text: str) -> bool:
    """Whether an id could belong to a row in `profiles`."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
