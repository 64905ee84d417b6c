"""When a flag's rules change results by themselves: the moments they compare ``$flagd.timestamp`` with."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from windsock.flags import Flag, JsonValue

MOST: Final = 100
"""Moments evaluated for one change; a rule with more is treated as one that computes with the time."""

_TIME: Final = "$flagd.timestamp"
_FIRST_PART: Final = "$flagd"
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999; what a rule does later doesn't matter."""

_COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "===", "!=", "!=="})
_LOOPS: Final = frozenset({"map", "filter", "reduce", "all", "some", "none"})
"""Operators whose inner rule sees an element of a list and not the context."""

_READERS: Final = frozenset({"var", "missing", "missing_some"})


@dataclass(frozen=True, slots=True)
class Moments:
    """When a flag change's effect differs from its effect now.

    Attributes:
        times: Unix seconds after the moment of the plan, rising, at which a rule may give something else.
        computed: Whether a rule does more with the time than compare it with numbers, so that `times` may be
            incomplete.
    """

    times: tuple[int, ...]
    computed: bool


def moments(flags: tuple[Flag | None, Flag | None], after: float) -> Moments:
    """Find the moments of a flag's rules before and after a change.

    Args:
        flags: The flag before and after; None if it doesn't exist.
        after: Unix seconds; earlier moments are left out.
    """
    times: set[int] = set()
    computed = False
    for flag in flags:
        for found in _found(flag.targeting if flag is not None else None):
            if found is None:
                computed = True
            elif after < found <= _LATEST:
                times.add(found)
    listed = sorted(times)
    return Moments(tuple(listed[:MOST]), computed or len(listed) > MOST)


def _found(rule: JsonValue) -> Iterator[int | None]:
    """The moments in a rule; None for each use of the time other than a comparison with numbers."""
    stack = [rule]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, Mapping):
            for operator, arguments in value.items():
                boundaries = _boundaries(arguments) if operator in _COMPARISONS else None
                if boundaries is not None:
                    yield from boundaries
                    continue
                if operator in _READERS and _may_read_the_time(arguments):
                    yield None
                if operator in _LOOPS and isinstance(arguments, list) and len(arguments) > 1:
                    stack += [arguments[0], *arguments[2:]]
                else:
                    stack.append(arguments)


def _boundaries(arguments: JsonValue) -> list[int] | None:
    """Where a comparison of the time with numbers flips; None for any other expression."""
    listed = arguments if isinstance(arguments, list) else [arguments]
    if not any(_is_time(each) for each in listed):
        return None
    numbers = [each for each in listed if not _is_time(each)]
    found: list[int] = []
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return None
        if abs(number) <= _LATEST:  # a comparison flips at the number itself or right after it
            found += [math.ceil(number), math.floor(number) + 1]
    return found


def _is_time(value: JsonValue) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and value.get("var") in (_TIME, [_TIME])


def _may_read_the_time(name: JsonValue) -> bool:
    """Whether ``var`` with this argument may read the time: by name, as the whole context, or computed."""
    if isinstance(name, str):
        parts = list(filter(None, name.split(".")))
        return not parts or (parts[0] == _FIRST_PART and parts[1:] != ["flagKey"])
    if isinstance(name, list):
        return not name or any(map(_may_read_the_time, name))
    return isinstance(name, Mapping) or name is None
