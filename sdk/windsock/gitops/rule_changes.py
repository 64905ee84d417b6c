"""Describes the changes of a targeting rule in words, branch by branch."""

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final

from windsock.flags import Flag, JsonValue
from windsock.flags.model import same_json
from windsock.flags.words import (
    Branch,
    branches,
    condition_in_words,
    gives_in_words,
    listed,
    members_of,
    split_of,
    where_in_words,
)

_COMPARED: Final = 500  # branches; comparing takes quadratic time
_LINES: Final = 50


def rule_changes(before: Flag, after: Flag) -> tuple[str, ...]:
    """Describe how a flag's rule changed, one line for each branch that differs.

    Such as ``on: 10 % → 20 %``, ``if tier is "pro", on → off``, ``added: if tier is "plus": on``, and
    ``on: if tier is "pro" → if tier is "plus"`` for another condition with the same result.

    Returns:
        At most 51 lines; the last counts those left out. Empty if words don't show the difference.
    """
    old = [each for each in branches(before.targeting) if each.is_end]
    new = [each for each in branches(after.targeting) if each.is_end]
    old, new = _without_common_ends(old, new)
    if max(len(old), len(new)) > _COMPARED:
        return ()
    lines = list(_Difference(before.default_variant, after.default_variant).between(old, new))
    more = len(lines) - _LINES
    return tuple(lines) if more <= 0 else (*lines[:_LINES], f"and {more:,} more")


class _Difference:
    def __init__(self, default_before: str | None, default_after: str | None) -> None:
        self._default_before = default_before
        self._default_after = default_after

    def between(self, old: Sequence[Branch], new: Sequence[Branch]) -> Iterator[str]:
        """The lines; branches with the same conditions are paired."""
        matcher = SequenceMatcher(None, [*map(_key, old)], [*map(_key, new)], autojunk=False)
        for what, start, end, new_start, new_end in matcher.get_opcodes():
            pairs = zip_longest(old[start:end], new[new_start:new_end])
            for one, other in pairs:
                if one is None or other is None or what == "equal":
                    yield from self._pair(one, other)
                elif same_json(one.gives, other.gives):
                    yield f"{gives_in_words(one.gives, self._default_before)}: {_moved(one, other)}"
                else:
                    yield from (*self._pair(one, None), *self._pair(None, other))

    def _pair(self, one: Branch | None, other: Branch | None) -> Iterator[str]:
        if one is not None and other is not None:
            if not same_json(one.gives, other.gives):
                where = where_in_words(other.conditions)
                yield f"{where}, {self._given(one, other)}" if where else self._given(one, other)
        elif one is not None:
            yield f"removed: {_whole(one, self._default_before)}"
        elif other is not None:
            yield f"added: {_whole(other, self._default_after)}"

    def _given(self, one: Branch, other: Branch) -> str:
        old, new = split_of(one.gives), split_of(other.gives)
        if old and new and old.by == new.by and list(old.weights) == list(new.weights):
            shares = [(name, old.share(name), new.share(name)) for name in old.weights]
            changed = [f"{name}: {was} → {now}" for name, was, now in shares if was != now]
            if changed:
                return changed[0] if len(shares) == 2 else ", ".join(changed)  # the other has the rest
        words = (
            gives_in_words(one.gives, self._default_before),
            gives_in_words(other.gives, self._default_after),
        )
        return _arrow(words, (one.gives, other.gives))


def _moved(one: Branch, other: Branch) -> str:
    """How the conditions of a branch changed."""
    if len(one.conditions) == len(other.conditions) == 1:
        old, new = members_of(one.conditions[0]), members_of(other.conditions[0])
        if old and new and same_json(old[0], new[0]):
            added, removed = _missing_in(old[1], new[1]), _missing_in(new[1], old[1])
            changed = [
                f"{verb} {listed(each)}" for verb, each in (("with", added), ("without", removed)) if each
            ]
            if changed:
                return f"{condition_in_words(one.conditions[0])}, now {' and '.join(changed)}"
    words = where_in_words(one.conditions) or "for all", where_in_words(other.conditions) or "for all"
    return _arrow(words, (list(one.conditions), list(other.conditions)))


def _missing_in(known: Sequence[JsonValue], members: Sequence[JsonValue]) -> list[JsonValue]:
    keys = set(map(json.dumps, known))
    return [each for each in members if json.dumps(each) not in keys]


def _arrow(words: tuple[str, str], rules: tuple[JsonValue, JsonValue]) -> str:
    """The change in words, or as JSON if the words are the same."""
    old, new = words if words[0] != words[1] else map(json.dumps, rules)
    return f"{old} → {new}"


def _whole(branch: Branch, default_variant: str | None) -> str:
    where, gives = where_in_words(branch.conditions), gives_in_words(branch.gives, default_variant)
    return f"{where}: {gives}" if where else gives


def _key(branch: Branch) -> str:
    return json.dumps(branch.conditions or (None,), sort_keys=True)


def _without_common_ends(old: list[Branch], new: list[Branch]) -> tuple[list[Branch], list[Branch]]:
    start = 0
    while start < min(len(old), len(new)) and _same(old[start], new[start]):
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and _same(old[-1 - end], new[-1 - end]):
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


def _same(one: Branch, other: Branch) -> bool:
    return _key(one) == _key(other) and same_json(one.gives, other.gives)
