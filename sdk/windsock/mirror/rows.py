"""The rows that the mirror reads, and which part of a configuration can be published."""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain

from windsock.flags.values import MOST_EXACT, kind
from windsock.mirror.documents import Profile
from windsock.mirror.id_lists import IdList, IdTally, json_text
from windsock.settings.flag_input import LONG_KEYS, has_long_keys
from windsock.settings.place import fingerprint

MAX_SETTINGS_BYTES = (
    256 * 1024
)  # flagd's default client rejects messages of 4 MiB; a shard carries many settings
MAX_DEPTH = 20  # depth 40 fails over gRPC


@dataclass(frozen=True, slots=True)
class ConfigurationRow:
    """One row of `app_configurations`.

    Attributes:
        id: The key, as text.
        name: Its display name.
        is_active: Null in the database counts as active, the column's default.
        settings: The settings as JSON text; None if larger than `MAX_SETTINGS_BYTES`.
        size: The size of the settings' JSON text in bytes.
        withdrawn: Values not published because they failed in use: maps settings flag and field to the
            value's fingerprint.
    """

    id: str
    name: str
    is_active: bool
    settings: str | None
    size: int
    withdrawn: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """Who has which configuration.

    Attributes:
        user_id: The user.
        config_id: The configuration; None for a user without one, or a deleted user.
        hash: The database's hash of the user's id, for `IdList.checksum`.
    """

    user_id: str
    config_id: str | None
    hash: int


@dataclass(frozen=True, slots=True)
class AssignmentList:
    """The users of one configuration in one shard."""

    shard: int
    config_id: str
    users: IdList


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed between two snapshots.

    Attributes:
        configurations: The rows that changed and still exist.
        gone: The ids of deleted configurations.
        assignments: The assignments that changed.
        cursor: The newer snapshot.
        transactions: The number of transactions.
        tallies: How many users each configuration has, and the sum of their hashes, if unlogged changes are
            looked for.
    """

    configurations: tuple[ConfigurationRow, ...]
    gone: tuple[str, ...]
    assignments: tuple[AssignmentRow, ...]
    cursor: str
    transactions: int
    tallies: Mapping[str, IdTally] | None = None

    def __len__(self) -> int:
        return len(self.configurations) + len(self.gone) + len(self.assignments)


class HeldBackError(ValueError):
    """A row's settings can't be published; the message says which part and why."""


def read_profile(
    row: ConfigurationRow,
    settings: Mapping[str, object],
    flags: tuple[str, ...],
    fields: Mapping[str, Collection[str]] | None = None,
) -> tuple[Profile, tuple[str, ...]]:
    """Convert a row to the profile to publish.

    If one flag is mirrored, the settings are that class's. If there are several, a key that is a mirrored
    flag's name holds that class's settings, and any other key belongs to the class with that field.

    Args:
        row: The row.
        settings: What `read_settings` gave.
        flags: The mirrored flags.
        fields: The fields of each flag's settings class, by flag, as far as the class is known.

    Returns:
        The profile, and a message for each key that's left out because it belongs to no class or to several.

    Raises:
        HeldBackError: Not every flagd client can serve the settings.
    """
    if len(flags) == 1:
        return Profile(row.name, {flags[0]: json_text(_served(row, flags[0], settings))}), ()
    parts, strays = _split(settings, flags, fields or {})
    if settings and not any(parts.values()):
        raise HeldBackError("; ".join(strays) or "no settings of a mirrored flag")
    by_flag = {flag: json_text(_served(row, flag, part)) for flag, part in parts.items() if part}
    return Profile(row.name, by_flag), tuple(strays)


def is_foreign(
    settings: Mapping[str, object], flags: tuple[str, ...], fields: Mapping[str, Collection[str]]
) -> bool:
    """Whether a row's settings are another application's: no key is, or nearly is, one of this one's.

    Args:
        settings: What `read_settings` gave.
        flags: The mirrored flags.
        fields: The fields of each flag's settings class, by flag; if one is unknown, no row is foreign.
    """
    known = [*flags, *chain.from_iterable(fields.values())]
    return (
        bool(settings)
        and fields.keys() == set(flags)
        and settings.keys().isdisjoint(known)  # nearly always false, and cheaper than looking for near misses
        and not any(get_close_matches(key, known, n=1, cutoff=0.75) for key in settings)
    )


def _split(
    settings: Mapping[str, object], flags: tuple[str, ...], fields: Mapping[str, Collection[str]]
) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Distribute a row's keys; keys nested under a flag take precedence over top-level keys."""
    nested: dict[str, dict[str, object]] = {}
    beside: dict[str, dict[str, object]] = {flag: {} for flag in flags}
    strays = []
    for key, value in settings.items():
        if key in flags:
            if not isinstance(value, dict):
                raise HeldBackError(
                    f"settings.{key} is {kind(value)}, not an object of that class's settings"
                )
            nested[key] = value
            continue
        owners = [flag for flag in flags if key in fields.get(flag, ())]
        if len(owners) == 1:
            beside[owners[0]][key] = value
        elif owners:
            strays.append(f"settings.{key} is a field of {' and '.join(owners)}: nest it under the one meant")
        else:
            strays.append(
                f"settings.{key} isn't a field of a mirrored flag ({', '.join(flags)}) whose class is given "
                "with --settings: nest it under its flag, or give the class"
            )
    return {flag: beside[flag] | nested.get(flag, {}) for flag in flags}, strays


def last_good(row: ConfigurationRow, published: Profile) -> Profile:
    """The last published profile of a row that can't be published now, minus values withdrawn since."""
    return Profile(
        published.name,
        {flag: json_text(_served(row, flag, json.loads(text))) for flag, text in published.settings.items()},
    )


def _served(row: ConfigurationRow, flag: str, settings: Mapping[str, object]) -> dict[str, object]:
    """Leave out withdrawn values; a value that has changed since is served."""
    return {
        name: value
        for name, value in settings.items()
        if (flag, name) not in row.withdrawn or row.withdrawn[flag, name] != fingerprint(value)
    }


def read_settings(row: ConfigurationRow) -> dict[str, object]:
    """Parse a row's settings.

    Raises:
        HeldBackError: They aren't an object that every flagd client can serve.
    """
    if row.settings is None:
        raise HeldBackError(
            f"settings are {row.size:,} bytes, more than the {MAX_SETTINGS_BYTES:,} that are published"
        )
    try:
        settings = json.loads(row.settings)
    except RecursionError as error:
        raise HeldBackError(f"settings are nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:  # an integer with more digits than Python parses
        raise HeldBackError("settings hold a number too large for a double") from error
    if not isinstance(settings, dict):
        raise HeldBackError(f"settings are {kind(settings)}, not an object")
    for name, value in settings.items():
        if has_long_keys({name: value}):
            raise HeldBackError(f"settings.{name[:60]}: {LONG_KEYS}")
    for problem in _problems(settings, "settings", 1):
        raise HeldBackError(problem)
    return settings


def _problems(value: object, where: str, depth: int) -> Iterator[str]:
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            yield f"settings are nested deeper than {MAX_DEPTH}"
            return
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            path = f"{where}.{key}" if isinstance(value, dict) else f"{where}[{key}]"
            if key == "$ref":
                yield f"{path}: flagd would replace a $ref inside settings; rename the key"
            yield from _problems(item, path, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > MOST_EXACT:
        yield f"{where}: an integer beyond 2^53 is rounded by flagd; write it as a string"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: the number is too large for a double"
