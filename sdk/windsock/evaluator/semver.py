"""Semantic versions as the flagd server compares them (Go's ``golang.org/x/mod/semver``)."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from windsock.evaluator.values import Value, as_float, number_text

_NUMBER: Final = "0|[1-9][0-9]*"
_IDENTIFIER: Final = f"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION: Final = re.compile(
    rf"(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER})(?:\.(?P<patch>{_NUMBER})"
    rf"(?:-(?P<pre>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)?)?"
)
_LONGEST: Final = 1024
_EXPONENT_FROM: Final = 1e6
"""From this value up, flagd formats numbers in exponent notation, which is not a valid version."""

_Version: TypeAlias = tuple[int, int, int, tuple[tuple[int, int, str], ...]]

_RELATIONS: Final[dict[str, Callable[[_Version, _Version], bool]]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "^": lambda left, right: left[0] == right[0],
    "~": lambda left, right: left[:2] == right[:2],
}


def compare_versions(left: Value, relation: Value, right: Value) -> bool | None:
    """Whether a relation holds between two versions; None if a version or the relation is invalid.

    Args:
        left: A version such as ``1.2.3-rc.1``; minor and patch are optional, and a leading ``v`` or ``V`` is
            ignored.
        relation: ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``^`` (same major) or ``~`` (same major and
            minor).
        right: The version to compare with.
    """
    first, second = parse_version(left), parse_version(right)
    relate = _RELATIONS.get(relation) if type(relation) is str else None
    return None if first is None or second is None or relate is None else relate(first, second)


def parse_version(value: Value) -> _Version | None:
    """Parse a version to a sortable tuple, or None. A number below a million is read as text: 1.5."""
    if type(value) is str:
        return _parse(value) if len(value) <= _LONGEST else None
    if type(value) in (int, float):
        number = as_float(value)  # type: ignore[arg-type]
        return _parse(number_text(number)) if number < _EXPONENT_FROM else None
    return None


@lru_cache(maxsize=4096)
def _parse(text: str) -> _Version | None:
    found = _VERSION.fullmatch(text[1:] if text[:1] in ("v", "V") else text)
    if found is None:
        return None
    major, minor, patch, pre = found.group("major", "minor", "patch", "pre")
    return int(major), int(minor or 0), int(patch or 0), _order(pre)


def _order(pre: str | None) -> tuple[tuple[int, int, str], ...]:
    """Pre-release identifiers as a sort key: numbers, then text; a release, which has none, sorts last."""
    if pre is None:
        return ((2, 0, ""),)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split("."))
