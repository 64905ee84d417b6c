"""Find the constructs in a rule on which the flagd implementations disagree."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from windsock.flags.kinds import ARITHMETIC, LIST_OPERATORS, choices, kinds_of, miscounted, unfit
from windsock.flags.model import CONTAINERS, Flag, JsonValue, pointer_of
from windsock.flags.raw import Tokens
from windsock.flags.values import MOST_EXACT
from windsock.lint.portable.attributes import find_attributes
from windsock.lint.portable.comparisons import COMPARISONS
from windsock.lint.portable.construct import Found
from windsock.lint.portable.known import BY_CODE, CONSTRUCTS, Construct
from windsock.lint.portable.operators import CHECKS

__all__ = [
    "BY_CODE",
    "CONSTRUCTS",
    "Construct",
    "Nonportable",
    "find_by_attribute",
    "find_in_flag",
    "find_in_rule",
]


@dataclass(frozen=True, slots=True)
class Nonportable:
    """A construct at one place.

    Attributes:
        construct: The construct found.
        pointer: Its place, as a JSON pointer from the rule, or from the flag for ``find_in_flag``.
    """

    construct: Construct
    pointer: str


def find_in_flag(flag: Flag) -> tuple[Nonportable, ...]:
    """The constructs in a flag's rule and variant names, except those that depend on attributes."""
    names = tuple(
        Nonportable(BY_CODE["variant-characters"], pointer_of("variants", name))
        for name in flag.variants
        if _ESCAPED.search(name)
    )
    found = _Finder().find(flag.targeting) if flag.targeting is not None else ()
    return names + tuple(
        Nonportable(BY_CODE[code], pointer_of("targeting", *tokens)) for code, tokens in found
    )


def find_in_rule(rule: JsonValue) -> tuple[Nonportable, ...]:
    """Like ``find_in_flag``, for a rule alone."""
    return tuple(Nonportable(BY_CODE[code], pointer_of(*tokens)) for code, tokens in _Finder().find(rule))


def find_by_attribute(rule: JsonValue) -> tuple[Nonportable, ...]:
    """The constructs that matter only if an attribute is missing or has an unexpected type."""
    return tuple(Nonportable(BY_CODE[code], pointer_of(*tokens)) for code, tokens in find_attributes(rule))


_ESCAPED: Final = re.compile(r'["\\<>&\x00-\x1f\u2028\u2029]')
_LOGIC: Final = ("if", "?:", "and", "or", "!", "!!")
_OTHERS: Final = ("var", "missing", "missing_some", "in", "cat", "substr", "merge")
_TEXT_TESTS: Final = ("sem_ver", "starts_with", "ends_with")
_FLAGD: Final = ("fractional", *_TEXT_TESTS)
_KNOWN: Final = frozenset((*COMPARISONS, *ARITHMETIC, *LIST_OPERATORS, *_LOGIC, *_OTHERS, *_FLAGD))
_INSPECTED: Final = CONTAINERS | {int, float}  # types that `_walk` has to inspect


class _Finder:
    """Walks one rule; a shared rule is walked only at its first place."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def find(self, rule: JsonValue) -> tuple[Found, ...]:
        if not isinstance(rule, dict):
            return (("rule-not-object", ()),)
        return (*self._results(rule, ()), *self._walk(rule, ()))

    def _results(self, value: JsonValue, at: Tokens) -> Iterator[Found]:
        """The rule's results, at the ends of its branches."""
        if isinstance(value, str) and _ESCAPED.search(value):
            yield "variant-characters", at
            return
        inner = choices(value)
        for tokens, result in inner:
            yield from self._results(result, (*at, *tokens))
        if not inner:
            kinds = kinds_of(value)
            if "list" in kinds:
                yield "list-result", at
            if "number" in kinds:
                yield "number-result", at

    def _walk(self, value: JsonValue, at: Tokens) -> Iterator[Found]:
        if isinstance(value, (dict, list)):
            if id(value) in self._seen:
                return
            self._seen.add(id(value))
        if isinstance(value, dict):
            yield from self._operation(value, at)
        elif isinstance(value, list):
            if _INSPECTED.isdisjoint(map(type, value)):
                return
            for index, item in enumerate(value):
                if isinstance(item, (dict, list)) or _is_big(item):
                    yield from self._walk(item, (*at, index))
        elif _is_big(value):
            yield "big-integer", at

    def _operation(self, value: Mapping[str, JsonValue], at: Tokens) -> Iterator[Found]:
        if len(value) > 1:
            yield "several-operators", at
        for name, arguments in value.items():
            if len(value) == 1:
                if name not in _KNOWN:
                    yield "unknown-operator", (*at, name)
                for check in (CHECKS.get(name), _arguments):
                    if check is not None:
                        yield from ((code, (*at, name, *inner)) for code, inner in check(name, arguments))
            if name == "var" and arguments in ("", [""]) and not _in_condition(at):
                yield "argument-type", (*at, name)
            if name == "fractional" and _in_condition(at):  # it reads the element's targeting key
                yield "variable-in-list-condition", (*at, name)
            if name in _TEXT_TESTS and _in_condition(at):
                yield "flagd-operator-in-list-condition", (*at, name)
            yield from self._walk(arguments, (*at, name))


def _in_condition(at: Tokens) -> bool:
    """Whether a place is inside a condition that a list operator runs on its elements."""
    return any(name in LIST_OPERATORS and index != 0 for name, index in pairwise(at))


def _is_big(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and abs(value) > MOST_EXACT


def _arguments(name: str, arguments: JsonValue) -> Iterator[Found]:
    """Check every operator's number of arguments and their types."""
    if miscounted(name, arguments):
        if isinstance(arguments, list) or name not in _LOGIC:
            yield "argument-count", ()
        return
    for index in unfit(name, arguments):
        yield "argument-type", (index,)
    if name in _LOGIC and isinstance(arguments, list):
        conditions = arguments[:-1:2] if name in ("if", "?:") else arguments
        for index, condition in enumerate(conditions):
            if "object" in kinds_of(condition) and not (isinstance(condition, dict) and len(condition) > 1):
                yield "object-as-condition", (index * (2 if name in ("if", "?:") else 1),)
