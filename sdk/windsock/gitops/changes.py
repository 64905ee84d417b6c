"""What differs between two sets of flags: flag by flag, part by part."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from windsock.flags import Flag, FlagSet, JsonValue
from windsock.flags.model import pointer_of, same_json
from windsock.flags.words import gives_in_words, rule_in_words
from windsock.gitops.rule_changes import rule_changes


class ChangeKind(StrEnum):
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
        before: Its value before; None if it wasn't there.
        after: Its value now; None where it is not there.
        words: A rule's change in words, one line per branch; empty for values, and if words can't express it.
    """

    flag: str
    kind: ChangeKind
    pointer: str
    before: JsonValue
    after: JsonValue
    words: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The change for a person, such as ``~ checkout/targeting  on: 10 % → 20 %``."""
        mark = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.CHANGED: "~"}[self.kind]
        name = f"{mark} {self.flag}{self.pointer}"
        if not self.pointer:
            yield from _whole(name, self.after if self.kind is ChangeKind.ADDED else self.before)
        elif self.words:
            yield from (f"{name}  {line}" for line in self.words)
        elif self.kind is ChangeKind.CHANGED:
            yield f"{name}  {_short(self.before)} → {_short(self.after)}"
        else:
            yield f"{name}  {_short(self.after if self.kind is ChangeKind.ADDED else self.before)}"


def changed_keys(before: FlagSet, after: FlagSet) -> tuple[str, ...]:
    """The keys of flags that were added, removed or changed, in file order, new ones last."""
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
        yield Change(key, ChangeKind.ADDED if before is None else ChangeKind.REMOVED, "", old, new)
        return
    for change in _inside(key, "", old, new):
        is_rule = change.pointer == "/targeting"
        yield replace(change, words=rule_changes(before, after)) if is_rule else change


def content(flag: Flag | None) -> JsonValue:
    """A flag as in its document, with its shared rules written out."""
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
    """Find differences inside objects; a rule or a list is one part, since half of one means nothing."""
    if not (isinstance(old, dict) and isinstance(new, dict)) or pointer.startswith("/targeting"):
        if not same_json(old, new):
            yield Change(key, ChangeKind.CHANGED, pointer, old, new)
        return
    for name in dict.fromkeys((*old, *new)):
        inner = pointer + pointer_of(name)
        if name not in old:
            yield Change(key, ChangeKind.ADDED, inner, None, new[name])
        elif name not in new:
            yield Change(key, ChangeKind.REMOVED, inner, old[name], None)
        else:
            yield from _inside(key, inner, old[name], new[name])


def _same(before: Flag | None, after: Flag | None) -> bool:
    return before is not None and after is not None and before.same_as(after)


def as_lines(flags: Mapping[str, Flag]) -> Iterator[str]:
    """Write every flag with one part per line, so that a line diff shows what changed; for Git's textconv."""
    for key in sorted(flags):
        whole = content(flags[key])
        for part, value in whole.items() if isinstance(whole, dict) else ():
            if part in ("variants", "metadata") and isinstance(value, dict):
                for name in sorted(value):
                    yield f"{key} {part}.{name}: {_long(value[name])}"
            else:
                yield f"{key} {part}: {_long(value)}"


def _whole(name: str, content: JsonValue) -> Iterator[str]:
    """A flag that was added or removed: its values, its rule and its metadata."""
    if not isinstance(content, Mapping):
        return
    variants, served, metadata = (content.get(part) for part in ("variants", "defaultVariant", "metadata"))
    default = served if isinstance(served, str) else None
    values = f"{_pairs(variants)}; {gives_in_words(None, default)}"
    yield f"{name}  {values}{'; DISABLED' if content['state'] == 'DISABLED' else ''}"
    if content.get("targeting") is not None:
        yield from (f"{name}/targeting  {line}" for line in rule_in_words(content["targeting"], default))
    if metadata:
        yield f"{name}/metadata  {_pairs(metadata)}"


def _pairs(values: JsonValue) -> str:
    pairs = values.items() if isinstance(values, Mapping) else ()
    return _cut(", ".join(f"{name} = {_long(value)}" for name, value in pairs))


def _short(value: JsonValue) -> str:
    return _cut(_long(value))


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}…"


def _long(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
