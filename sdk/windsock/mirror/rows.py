"""The rows that the mirror reads, and what of a configuration can be published."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from windsock.mirror.documents import Profile
from windsock.mirror.id_lists import IdList, json_text
from windsock.values import fingerprint

MAX_SETTINGS_BYTES = (
    256 * 1024
)  # flagd's default client refuses messages of 4 MiB; a shard carries many settings
MAX_DEPTH = 20  # depth 40 fails over gRPC
_MAX_SAFE_INTEGER = 2**53  # flagd and JavaScript hold numbers as doubles


@dataclass(frozen=True, slots=True)
class ConfigurationRow:
    """One row of `app_configurations`.

    Attributes:
        id: The key, as text.
        name: The name that people gave it.
        is_active: Null in the database counts as active, which is the column's default.
        settings: The settings as JSON text; None where they are larger than `MAX_SETTINGS_BYTES`.
        size: The size of the settings' JSON text in bytes.
        withdrawn: Values that are not published because they failed in use: settings flag and field, to the
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
    """Who has which configuration; `config_id` is None for a user without one, or who is gone."""

    user_id: str
    config_id: str | None


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
        configurations: The rows that changed and are still there.
        gone: The ids of configurations that are not there any more.
        assignments: The assignments that changed.
        cursor: The newer snapshot.
        transactions: How many transactions that was.
    """

    configurations: tuple[ConfigurationRow, ...]
    gone: tuple[str, ...]
    assignments: tuple[AssignmentRow, ...]
    cursor: str
    transactions: int

    def __len__(self) -> int:
        return len(self.configurations) + len(self.gone) + len(self.assignments)


class HeldBackError(ValueError):
    """A row's settings cannot be published; the message says which part and why."""


def read_profile(row: ConfigurationRow, flags: tuple[str, ...]) -> Profile:
    """Turn a row into what is published of it.

    Where one flag is mirrored, the settings are that class's own; where several are, they nest by flag name.

    Raises:
        HeldBackError: The settings cannot be served by every flagd client.
    """
    settings = _decode(row)
    if len(flags) == 1:
        return Profile(row.name, {flags[0]: json_text(_served(row, flags[0], settings))})
    by_flag = {}
    for flag in flags:
        part = settings.get(flag, {})
        if not isinstance(part, dict):
            raise HeldBackError(f"settings.{flag} is {_kind(part)}, not an object of that class's settings")
        if part:
            by_flag[flag] = json_text(_served(row, flag, part))
    if settings and not by_flag:
        raise HeldBackError(
            f"no key of settings is a mirrored flag ({', '.join(flags)}): with several flags, settings "
            "nest by flag"
        )
    return Profile(row.name, by_flag)


def last_good(row: ConfigurationRow, published: Profile) -> Profile:
    """Give what was published of a row that cannot be published now, without what is withdrawn since."""
    return Profile(
        published.name,
        {flag: json_text(_served(row, flag, json.loads(text))) for flag, text in published.settings.items()},
    )


def _served(row: ConfigurationRow, flag: str, settings: Mapping[str, object]) -> dict[str, object]:
    """Leave out what is withdrawn; a value that has changed since then is served."""
    return {
        name: value
        for name, value in settings.items()
        if (flag, name) not in row.withdrawn or row.withdrawn[flag, name] != fingerprint(value)
    }


def _decode(row: ConfigurationRow) -> dict[str, object]:
    if row.settings is None:
        raise HeldBackError(
            f"settings are {row.size:,} bytes, more than the {MAX_SETTINGS_BYTES:,} that are published"
        )
    try:
        settings = json.loads(row.settings)
    except RecursionError as error:
        raise HeldBackError(f"settings are nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise HeldBackError("settings hold a number too large for a double") from error
    if not isinstance(settings, dict):
        raise HeldBackError(f"settings are {_kind(settings)}, not an object")
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
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MAX_SAFE_INTEGER:
        yield f"{where}: an integer beyond 2^53 is rounded by flagd; write it as a string"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: the number is too large for a double"


def _kind(value: object) -> str:
    names = {
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        dict: "an object",
    }
    return names.get(type(value), "null")
