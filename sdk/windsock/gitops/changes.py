"""What differs between two sets of flags: flag by flag, part by part."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from windsock.flags import Flag, FlagSet, JsonValue
from windsock.flags.model import pointer_of, same_json


class Kind(StrEnum):
    """What happened to a part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a flag that differs.

    Attributes:
        flag: The flag's key.
        kind: What happened.
        pointer: The part, as a JSON pointer from the flag; empty for the whole flag.
        before: Its value before; None where it was not there.
        after: Its value now; None where it is not there.
    """

    flag: str
    kind: Kind
    pointer: str
    before: JsonValue
    after: JsonValue

    def __str__(self) -> str:
        mark = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}[self.kind]
        name = f"{mark} {self.flag}{self.pointer}"
        match self.kind:
            case Kind.ADDED:
                return f"{name}  {_short(self.after)}"
            case Kind.REMOVED:
                return f"{name}  {_short(self.before)}"
            case _:
                return f"{name}  {_short(self.before)} → {_short(self.after)}"


def changed_keys(before: FlagSet, after: FlagSet) -> tuple[str, ...]:
    """The keys of flags that were added, removed or changed, in their order, new ones last."""
    keys = dict.fromkeys((*before.flags, *after.flags))
    return tuple(key for key in keys if not _same(before.flags.get(key), after.flags.get(key)))


def changes(before: FlagSet, after: FlagSet) -> tuple[Change, ...]:
    """Every part that differs; an added or removed flag is one change."""
    return tuple(
        change
        for key in changed_keys(before, after)
        for change in flag_changes(key, before.flags.get(key), after.flags.get(key))
    )


def flag_changes(key: str, before: Flag | None, after: Flag | None) -> Iterator[Change]:
    """The parts of one flag that differ."""
    old, new = content(before), content(after)
    if before is None or after is None:
        yield Change(key, Kind.ADDED if before is None else Kind.REMOVED, "", old, new)
        return
    yield from _inside(key, "", old, new)


def content(flag: Flag | None) -> JsonValue:
    """A flag as its document has it, its shared rules written out."""
    if flag is None:
        return None
    whole: dict[str, JsonValue] = {
        "state": "ENABLED" if flag.enabled else "DISABLED",
        "variants": dict(flag.variants),
        "defaultVariant": flag.default_variant,
    }
    if flag.targeting is not None:
        whole["targeting"] = flag.targeting
    if flag.metadata:
        whole["metadata"] = dict(flag.metadata)
    return whole


def _inside(key: str, pointer: str, old: JsonValue, new: JsonValue) -> Iterator[Change]:
    """Differences, down through objects; a rule or a list is one part, since half of one says nothing."""
    if not (isinstance(old, dict) and isinstance(new, dict)) or pointer.startswith("/targeting"):
        if not same_json(old, new):
            yield Change(key, Kind.CHANGED, pointer, old, new)
        return
    for name in dict.fromkeys((*old, *new)):
        inner = pointer + pointer_of(name)
        if name not in old:
            yield Change(key, Kind.ADDED, inner, None, new[name])
        elif name not in new:
            yield Change(key, Kind.REMOVED, inner, old[name], None)
        else:
            yield from _inside(key, inner, old[name], new[name])


def _same(before: Flag | None, after: Flag | None) -> bool:
    return before is not None and after is not None and before.same_as(after)


def as_lines(flags: Mapping[str, Flag]) -> Iterator[str]:
    """Every flag, a part to a line, so that a line diff shows what changed; for Git's textconv."""
    for key in sorted(flags):
        whole = content(flags[key])
        for part, value in whole.items() if isinstance(whole, dict) else ():
            if part in ("variants", "metadata") and isinstance(value, dict):
                for name in sorted(value):
                    yield f"{key} {part}.{name}: {_long(value[name])}"
            else:
                yield f"{key} {part}: {_long(value)}"


def _short(value: JsonValue) -> str:
    text = _long(value)
    return text if len(text) <= 200 else f"{text[:197]}…"


def _long(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
