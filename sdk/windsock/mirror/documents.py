"""Configurations and assignments as flagd documents: pure functions; equal rows yield equal bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from windsock.flag_names import COUNT, NO_CHANGE, PROFILE
from windsock.mirror.id_lists import IdList, IdTally, json_text

MAX_SHARDS = 1_000
_LINES = ",\n"  # one line per part, so that diffs are readable
_FIRST = '"targeting":{"if":['
_LIST = '{"in":[{"var":"targetingKey"},['
_END = "]]},"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which flags are mirrored, and across how many files.

    Attributes:
        flags: The settings classes' flag names: ``("teacher",)`` gives the flag ``teacher.profile``.
        shards: The number of files, 1 to 1,000.
    """

    flags: tuple[str, ...]
    shards: int = 1

    @property
    def file_names(self) -> tuple[str, ...]:
        """The documents' names, shard by shard."""
        if self.shards == 1:
            return ("profiles.flagd.json",)
        return tuple(f"profiles.{number:02}.flagd.json" for number in range(self.shards))

    def flag_key(self, flag: str, shard: int) -> str:
        """The key of a class's profile flag in one shard."""
        return flag + PROFILE if self.shards == 1 else f"{flag}{PROFILE}.{shard}"


@dataclass(frozen=True, slots=True)
class Profile:
    """The published part of one configuration.

    Attributes:
        name: The configuration's display name; it goes into the flag's metadata.
        settings: Each class's settings as JSON text, by flag name. Classes not in it get nothing.
    """

    name: str
    settings: Mapping[str, str]


@dataclass(slots=True)
class Shard:
    """The content of one document: profiles, and who is assigned to which, both by configuration id."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    assigned: dict[str, IdList] = field(default_factory=dict)


def render(layout: Layout, number: int, shard: Shard) -> bytes:
    """Write one document.

    Args:
        layout: The flags and the number of shards.
        number: Which shard this is, from 0.
        shard: Its content. Configurations without a user in this shard are left out.
    """
    flags = [
        f"{json_text(layout.flag_key(flag, number))}:{_profile_flag(flag, shard)}" for flag in layout.flags
    ]
    if number == 0:
        flags.extend(
            f"{json_text(flag + PROFILE + COUNT)}:{_static_integer('shards', layout.shards)}"
            for flag in layout.flags
        )
    text = _LINES.join(flags)
    return f'{{"metadata":{{"owner":"windsock mirror"}},"flags":{{\n{text}\n}}}}\n'.encode()


def _profile_flag(flag: str, shard: Shard) -> str:
    used = sorted(
        config_id
        for config_id in shard.assigned
        if config_id in shard.profiles and flag in shard.profiles[config_id].settings
    )
    variants = [f'"{NO_CHANGE}":{{}}']
    rule: list[str] = []
    metadata: dict[str, str] = {}
    for config_id in used:
        profile = shard.profiles[config_id]
        variants.append(f"{json_text(config_id)}:{profile.settings[flag]}")
        rule.append(f"{_LIST}{shard.assigned[config_id].text}]]}}")
        rule.append(json_text(config_id))
        metadata[f"config.{config_id}"] = profile.name
    body = [
        '"state":"ENABLED"',
        f'"variants":{{{_LINES.join(variants)}}}',
        f'"defaultVariant":"{NO_CHANGE}"',
        f'"metadata":{json_text(metadata)}',
    ]
    if rule:
        body.append(f"{_FIRST}{_LINES.join(rule)}]}}")
    return f"{{{_LINES.join(body)}}}"


def _static_integer(variant: str, value: int) -> str:
    return f'{{"state":"ENABLED","variants":{{"{variant}":{value}}},"defaultVariant":"{variant}"}}'


def parse(
    layout: Layout, number: int, document: bytes, tallies: Mapping[str, IdTally] | None = None
) -> Shard:
    """Parse the output of `render`: the documents are the mirror's only record of assignments.

    Args:
        layout: The flags and the number of shards.
        number: Which shard this is, from 0.
        document: Its bytes.
        tallies: How many users each configuration has, if known for exactly these bytes. The lists of ids
            are then used unparsed, which saves most of the work.

    Raises:
        ValueError: The document doesn't have this layout.
    """
    try:
        skeleton, lists = _cut_lists(document.decode())
        flags = json.loads(skeleton)["flags"]
        shard = Shard()
        for flag in layout.flags:
            written = flags.get(layout.flag_key(flag, number))
            if written is not None:
                _read_flag(flag, written, shard)
        for config_id, text in lists:
            tally = tallies.get(config_id) if tallies else None
            shard.assigned[config_id] = IdList.read(text) if tally is None else IdList(text, *tally)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"not a document of the mirror: {error!r}") from error
    if shard.assigned.keys() != shard.profiles.keys():
        raise ValueError("not a document of the mirror: its rules are not as the mirror writes them")
    return shard


def _cut_lists(document: str) -> tuple[str, list[tuple[str, str]]]:
    """Split a document into its text without the lists of ids, and each list with its configuration."""
    lines = document.split("\n")  # newlines in strings are escaped, so these are `render`'s lines
    lists = []
    for at, line in enumerate(lines):
        start = line.removeprefix(_FIRST)
        if start.startswith(_LIST) and line.endswith(_END):
            lines[at] = line[: len(line) - len(start) + len(_LIST)] + _END
            config_id = json.loads(lines[at + 1].rstrip("]},"))
            lists.append((config_id, start[len(_LIST) : -len(_END)]))
    return "\n".join(lines), lists


def shard_count(document: bytes) -> int:
    """Read the number of shards that the first document of a folder publishes.

    Raises:
        ValueError: The document doesn't state it.
    """
    try:
        flags = json.loads(document)["flags"]
        return next(int(flags[key]["variants"]["shards"]) for key in flags if key.endswith(PROFILE + COUNT))
    except (KeyError, TypeError, StopIteration) as error:
        raise ValueError("not the first document of a mirror") from error


def _read_flag(flag: str, written: Mapping[str, object], shard: Shard) -> None:
    variants = cast("dict[str, object]", written["variants"])
    metadata = cast("dict[str, str]", written["metadata"])
    rule = cast("dict[str, list[object]]", written.get("targeting", {"if": []}))["if"]
    for config_id in rule[1::2]:
        if not isinstance(config_id, str):
            raise TypeError(config_id)
        before = shard.profiles.get(config_id)
        settings = {**(before.settings if before else {}), flag: json_text(variants[config_id])}
        shard.profiles[config_id] = Profile(metadata[f"config.{config_id}"], settings)
