"""Finding the constructs in a rule on which the flagd implementations disagree."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from windsock.flags.constructs import BY_CODE, CONSTRUCTS, Construct
from windsock.flags.model import Flag, JsonValue, pointer_of
from windsock.flags.raw import Tokens

__all__ = ["BY_CODE", "CONSTRUCTS", "Construct", "Finding", "find_in_flag", "find_in_rule"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A construct at one place.

    Attributes:
        construct: What was found.
        pointer: Where, as a JSON pointer from the rule, or from the flag for ``find_in_flag``.
    """

    construct: Construct
    pointer: str


def find_in_flag(flag: Flag) -> tuple[Finding, ...]:
    """The constructs in a flag's rule and variant names; those that only attributes show are not found."""
    names = tuple(
        Finding(BY_CODE["variant-characters"], pointer_of("variants", name))
        for name in flag.variants
        if _ESCAPED.search(name)
    )
    found = _Finder().find(flag.targeting) if flag.targeting is not None else ()
    return names + tuple(Finding(BY_CODE[code], pointer_of("targeting", *tokens)) for code, tokens in found)


def find_in_rule(rule: JsonValue) -> tuple[Finding, ...]:
    """As ``find_in_flag``, for a rule by itself."""
    return tuple(Finding(BY_CODE[code], pointer_of(*tokens)) for code, tokens in _Finder().find(rule))


_ESCAPED: Final = re.compile(r'["\\<>&\x00-\x1f\u2028\u2029]')
_FULL_VERSION: Final = re.compile(r"[vV]?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_COMPARISONS: Final = ("==", "!=", "===", "!==", "<", "<=", ">", ">=")
_ARITHMETIC: Final = ("+", "-", "*", "/", "%", "min", "max")
_LISTS: Final = ("filter", "map", "all", "some", "none", "reduce")
_LOGIC: Final = ("if", "?:", "and", "or", "!", "!!")
_OTHERS: Final = ("var", "missing", "missing_some", "in", "cat", "substr", "merge")
_FLAGD: Final = ("fractional", "sem_ver", "starts_with", "ends_with")
_KNOWN: Final = frozenset((*_COMPARISONS, *_ARITHMETIC, *_LISTS, *_LOGIC, *_OTHERS, *_FLAGD))
_MOST_EXACT: Final = 2**53

_Found = tuple[str, Tokens]


class _Finder:
    """Walks one rule; a shared rule is walked at its first place only."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def find(self, rule: JsonValue) -> tuple[_Found, ...]:
        if not isinstance(rule, dict):
            return (("rule-not-object", ()),)
        return (*self._results(rule, ()), *self._walk(rule, ()))

    def _results(self, value: JsonValue, at: Tokens) -> Iterator[_Found]:
        """What the rule gives, at the ends of its branches."""
        if isinstance(value, str) and _ESCAPED.search(value):
            yield "variant-characters", at
        elif isinstance(value, list):
            yield "list-result", at
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield "number-result", at
        elif isinstance(value, dict) and len(value) == 1:
            ((name, arguments),) = value.items()
            if name in _ARITHMETIC:
                yield "number-result", at
            elif name in ("if", "?:") and isinstance(arguments, list):
                last = len(arguments) - 1
                for index, argument in enumerate(arguments):
                    if index % 2 or index == last:
                        yield from self._results(argument, (*at, name, index))

    def _walk(self, value: JsonValue, at: Tokens) -> Iterator[_Found]:
        if isinstance(value, (dict, list)):
            if id(value) in self._seen:
                return
            self._seen.add(id(value))
        if isinstance(value, dict):
            yield from self._operation(value, at)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, (dict, list)) or _is_big(item):
                    yield from self._walk(item, (*at, index))
        elif _is_big(value):
            yield "big-integer", at

    def _operation(self, value: Mapping[str, JsonValue], at: Tokens) -> Iterator[_Found]:
        if len(value) > 1:
            yield "several-operators", at
        for name, arguments in value.items():
            if len(value) == 1:
                if name not in _KNOWN:
                    yield "unknown-operator", (*at, name)
                check = _CHECKS.get(name)
                if check is not None:
                    yield from ((code, (*at, name, *inner)) for code, inner in check(name, arguments))
            yield from self._walk(arguments, (*at, name))


def _is_big(value: JsonValue) -> bool:
    return isinstance(value, int) and abs(value) > _MOST_EXACT


def _always(code: str) -> "_Check":
    return lambda _name, _arguments: iter([(code, ())])


def _needs_list(code: str) -> "_Check":
    return lambda _name, arguments: iter(() if isinstance(arguments, list) else [(code, ())])


def _in(_: str, arguments: JsonValue) -> Iterator[_Found]:
    if not isinstance(arguments, list) or len(arguments) != 2:
        yield "in-mixed-list", ()
        return
    needle, haystack = arguments
    if isinstance(haystack, str) and not isinstance(needle, str):
        yield "in-text-needle", (1,)
    if isinstance(haystack, list):
        kinds = set(map(_kind, haystack))
        mismatch = bool(kinds) and not isinstance(needle, dict) and _kind(needle) not in kinds
        if len(kinds) > 1 or not kinds <= {"str", "number"} or mismatch:
            yield "in-mixed-list", (1,)


def _kind(value: JsonValue) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def _comparison(name: str, arguments: JsonValue) -> Iterator[_Found]:
    most = 3 if name in ("<", "<=", ">", ">=") else 2
    if not isinstance(arguments, list) or not 2 <= len(arguments) <= most:
        yield "comparison-arguments", ()
        return
    for index, value in enumerate(arguments):
        if isinstance(value, list):
            yield "compare-lists", (index,)
        elif name in ("===", "!=="):
            if isinstance(value, (bool, int, float)) and value in (0, 1):
                yield "strict-boolean", (index,)
        elif (
            name not in ("<", ">") and _is_zero(value) and any(isinstance(other, dict) for other in arguments)
        ):
            yield "compare-with-zero", (index,)


def _is_zero(value: JsonValue) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


def _division(_: str, arguments: JsonValue) -> Iterator[_Found]:
    divisors = arguments[1:] if isinstance(arguments, list) else [None]
    if not all(isinstance(value, (int, float)) and value for value in divisors):
        yield "division", ()


def _cat(_: str, arguments: JsonValue) -> Iterator[_Found]:
    parts = arguments if isinstance(arguments, list) else [arguments]
    for index, part in enumerate(parts):
        if isinstance(part, str) and ((index == 0 and part[:1].isspace()) or part[-1:].isspace()):
            yield "cat-space", (index,)
        elif part is None or isinstance(part, (bool, list)):
            yield "cat-missing", (index,)


def _var(_: str, arguments: JsonValue) -> Iterator[_Found]:
    name = arguments[0] if isinstance(arguments, list) and arguments else arguments
    if isinstance(name, (int, float)):
        yield "var-number", ()
    elif isinstance(name, str) and name and "" in name.split("."):
        yield "var-leading-dot", ()


def _listing(_: str, arguments: JsonValue) -> Iterator[_Found]:
    if isinstance(arguments, list):
        for index, condition in enumerate(arguments[1:], 1):
            if any(name != "" for name in _variables(condition)):
                yield "variable-in-list-condition", (index,)


def _variables(rule: JsonValue) -> Iterator[JsonValue]:
    if isinstance(rule, dict):
        for name, value in rule.items():
            if name == "var":
                yield value
            yield from _variables(value)
    elif isinstance(rule, list):
        for item in rule:
            yield from _variables(item)


def _sem_ver(_: str, arguments: JsonValue) -> Iterator[_Found]:
    versions = arguments[::2] if isinstance(arguments, list) else []
    for index, version in enumerate(versions):
        if not isinstance(version, dict) and not (
            isinstance(version, str) and _FULL_VERSION.fullmatch(version)
        ):
            yield "version-literal", (index * 2,)


def _fractional(_: str, arguments: JsonValue) -> Iterator[_Found]:
    if not isinstance(arguments, list) or not arguments:
        yield "fractional-weight", ()
        return
    key, buckets, offset = arguments[0], arguments, 0
    if not isinstance(key, list):
        buckets, offset = arguments[1:], 1
        if isinstance(key, str):
            if not key.isascii():
                yield "fractional-non-ascii", (0,)
        elif not isinstance(key, dict) or next(iter(key), "") != "cat":
            yield "fractional-key", (0,)
    for index, bucket in enumerate(buckets, offset):
        if not isinstance(bucket, list) or not 1 <= len(bucket) <= 2 or not _is_weight(bucket[1:]):
            yield "fractional-weight", (index,)


def _is_weight(weight: list[JsonValue]) -> bool:
    """Whether there is no weight or a whole one; a computed one must not divide: Python makes a float."""
    if not weight:
        return True
    if isinstance(weight[0], dict):
        return not any(operator in ("/", "%") for operator in _operators(weight[0]))
    return isinstance(weight[0], int) and not isinstance(weight[0], bool)


def _operators(rule: JsonValue) -> Iterator[str]:
    if isinstance(rule, dict):
        for name, value in rule.items():
            yield name
            yield from _operators(value)
    elif isinstance(rule, list):
        for item in rule:
            yield from _operators(item)


_Check = Callable[[str, JsonValue], Iterator[_Found]]

_CHECKS: Final[Mapping[str, _Check]] = {
    "in": _in,
    "cat": _cat,
    "var": _var,
    "/": _division,
    "%": _always("modulo"),
    "missing": _always("missing"),
    "missing_some": _always("missing"),
    "sem_ver": _sem_ver,
    "fractional": _fractional,
    "if": _needs_list("arguments-without-list"),
    "?:": _needs_list("arguments-without-list"),
    "and": _needs_list("arguments-without-list"),
    "or": _needs_list("arguments-without-list"),
    "!": _needs_list("negation-without-list"),
    "!!": _needs_list("negation-without-list"),
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_LISTS, _listing),
}
