"""Constructs in each operator on which the flagd implementations disagree."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from windsock.flags.kinds import ARITHMETIC, LIST_OPERATORS, UNKNOWN, choices, kinds_of, without_numerals
from windsock.flags.model import JsonValue
from windsock.flags.operations import operations
from windsock.lint.portable.comparisons import COMPARISONS, comparison, is_astral
from windsock.lint.portable.construct import Found

Check: TypeAlias = Callable[[str, JsonValue], Iterator[Found]]
"""Takes an operator's name and arguments; returns codes, with places relative to the operator."""

_FULL_VERSION: Final = re.compile(
    r"[vV]?\d{1,15}\.\d{1,15}\.\d{1,15}(-(?!.*\d{16})[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII
)
_RELATIONS: Final = ("=", "!=", "<", "<=", ">", ">=", "^", "~")


def _always(code: str) -> Check:
    return lambda _name, _arguments: iter([(code, ())])


def _needs_list(_: str, arguments: JsonValue) -> Iterator[Found]:
    if not isinstance(arguments, list):
        yield "arguments-without-list", ()


def _negation(_: str, arguments: JsonValue) -> Iterator[Found]:
    if not isinstance(arguments, list):
        yield "negation-without-list", ()
    elif len(arguments) == 1 and "list" in kinds_of(arguments[0]):
        yield "negation-of-list", (0,)


def _in(_: str, arguments: JsonValue) -> Iterator[Found]:
    if not isinstance(arguments, list) or len(arguments) != 2:
        yield "in-mixed-list", ()
        return
    needle, haystack = arguments
    needles, haystacks = without_numerals(kinds_of(needle)), without_numerals(kinds_of(haystack))
    if "text" in haystacks and needles != {"text"}:
        yield "in-text-needle", (1,)
    if haystacks != {"list"} and _may_be_empty(needle):
        yield "in-empty-text", (0,)
    if not haystacks - UNKNOWN <= {"text", "list"}:
        yield "argument-type", (1,)
    if not needles - UNKNOWN <= {"text", "number"}:
        yield "argument-type", (0,)
    if isinstance(haystack, list):
        # all texts are of the same plain kind, so checking one of a million is enough
        each = {type(item) if isinstance(item, str) else id(item): item for item in haystack}
        kinds = frozenset().union(*map(without_numerals, map(kinds_of, each.values()))) - UNKNOWN
        if len(kinds) > 1 or not kinds <= {"text", "number"} or (kinds and not needles - UNKNOWN <= kinds):
            yield "in-mixed-list", (1,)


def _may_be_empty(text: JsonValue) -> bool:
    """Whether an expression other than an attribute may yield empty text."""
    if inner := choices(text):
        return any(_may_be_empty(result) for _, result in inner)
    return text == "" or (isinstance(text, dict) and next(iter(text), "") in ("cat", "substr"))


def _division(_: str, arguments: JsonValue) -> Iterator[Found]:
    divisors = arguments[1:] if isinstance(arguments, list) else [None]
    if not all(isinstance(value, (int, float)) and value for value in divisors):
        yield "division", ()


def _cat(_: str, arguments: JsonValue) -> Iterator[Found]:
    parts = arguments if isinstance(arguments, list) else [arguments]
    filled = [index for index, part in enumerate(parts) if not _may_be_blank(part)] or [len(parts), -1]
    for index, part in enumerate(parts):
        first, last = index <= filled[0], index >= filled[-1]
        if _applies(part, "and", "or"):
            yield "cat-condition", (index,)
        elif _may_be_trimmed(part, first=first, last=last):
            yield "cat-space", (index,)
        elif part is None or isinstance(part, (bool, list)):
            yield "cat-missing", (index,)
        elif part == 0 and str(part).startswith("-"):
            yield "argument-type", (index,)
        elif _is_written_differently(part):
            yield "cat-number", (index,)


def _may_be_blank(part: JsonValue) -> bool:
    """Whether a part of joined text may consist only of white space."""
    if isinstance(part, str):
        return not part.strip()
    return kinds_of(part) != {"number"} and part != {"var": "$flagd.flagKey"}


def _may_be_trimmed(part: JsonValue, *, first: bool, last: bool) -> bool:
    """Whether a part of joined text other than an attribute may put white space at either end."""
    if inner := choices(part):
        return any(_may_be_trimmed(result, first=first, last=last) for _, result in inner)
    if isinstance(part, str):
        return (first and part[:1].isspace()) or (last and part[-1:].isspace())
    return (first or last) and isinstance(part, dict) and "substr" in part


def _is_written_differently(value: JsonValue) -> bool:
    """Whether an expression other than an attribute may yield a number that languages format differently."""
    if inner := choices(value):
        return any(_is_written_differently(result) for _, result in inner)
    if isinstance(value, float):
        written = f"{value:.15g}"  # as in Python's JSONLogic
        return "e" in written or float(written) != value
    return isinstance(value, dict) and next(iter(value), "") in ARITHMETIC


def _var(_: str, arguments: JsonValue) -> Iterator[Found]:
    name = arguments
    if isinstance(arguments, list):
        name = arguments[0] if 1 <= len(arguments) <= 2 else None
    if isinstance(name, (int, float)) and not isinstance(name, bool):
        yield "var-number", ()
    elif not isinstance(name, (str, dict)) or not kinds_of(name) - UNKNOWN <= {"text", "numeral"}:
        yield "argument-type", ()
    elif isinstance(name, str) and name and "" in name.split("."):
        yield "var-leading-dot", ()
    if isinstance(arguments, list) and any(
        _applies(default, "and", "or", "all") for default in arguments[1:2]
    ):
        yield "default-condition", (1,)


def _applies(value: JsonValue, *operators: str) -> bool:
    return isinstance(value, dict) and not value.keys().isdisjoint(operators)


def _listing(name: str, arguments: JsonValue) -> Iterator[Found]:
    if isinstance(arguments, list) and len(arguments) >= 2:
        if isinstance(arguments[0], list) and any(isinstance(item, (dict, list)) for item in arguments[0]):
            yield "argument-type", (0,)
        if not isinstance(arguments[1], dict):
            yield "argument-type", (1,)
        if name == "reduce" and not kinds_of(arguments[1]) - UNKNOWN <= kinds_of(arguments[-1]):
            yield "argument-type", (1,)  # the server converts each result to the initial value's type
        for index, condition in enumerate(arguments[1:], 1):
            if any(
                operator == "var" and (read != "" or name == "reduce")
                for operator, read in operations(condition)
            ):
                yield "variable-in-list-condition", (index,)


def _sem_ver(_: str, arguments: JsonValue) -> Iterator[Found]:
    versions = arguments[::2] if isinstance(arguments, list) else []
    if isinstance(arguments, list) and len(arguments) == 3 and arguments[1] not in _RELATIONS:
        yield "argument-type", (1,)
    for index, version in enumerate(versions):
        if not isinstance(version, dict) and not (
            isinstance(version, str) and _FULL_VERSION.fullmatch(version)
        ):
            yield "version-literal", (index * 2,)


def _fractional(_: str, arguments: JsonValue) -> Iterator[Found]:
    if not isinstance(arguments, list) or not arguments:
        yield "fractional-weight", ()
        return
    key, buckets, offset = arguments[0], arguments, 0
    if not isinstance(key, list):
        buckets, offset = arguments[1:], 1
        if any(not text.isascii() for text in _texts(key)):
            yield "fractional-non-ascii", (0,)
        if not isinstance(key, str) and (not isinstance(key, dict) or next(iter(key), "") != "cat"):
            yield "fractional-key", (0,)
    for index, bucket in enumerate(buckets, offset):
        if not isinstance(bucket, list) or not 1 <= len(bucket) <= 2 or not _is_weight(bucket[1:]):
            yield "fractional-weight", (index,)
        elif kinds_of(bucket[0]) & {"list", "object"}:
            yield "argument-type", (index, 0)


def _is_weight(weight: list[JsonValue]) -> bool:
    """Whether the weight is missing or whole; a computed weight must not divide or read attributes."""
    if not weight:
        return True
    if isinstance(weight[0], dict):
        return not any(operator in ("/", "%", "var") for operator, _ in operations(weight[0]))
    return isinstance(weight[0], int) and not isinstance(weight[0], bool)


def _texts(rule: JsonValue) -> Iterator[str]:
    """The literal texts in a rule, except attribute names."""
    if isinstance(rule, str):
        yield rule
    elif isinstance(rule, list):
        for item in rule:
            yield from _texts(item)
    elif isinstance(rule, dict):
        for name, arguments in rule.items():
            if name != "var":
                yield from _texts(arguments)
            elif isinstance(arguments, list):
                yield from _texts(arguments[1:])


def _substr(_: str, arguments: JsonValue) -> Iterator[Found]:
    if not isinstance(arguments, list) or not 2 <= len(arguments) <= 3:
        return
    text, start, *length = arguments
    if is_astral(text):
        yield "substr-attribute", (0,)
    if length and (not isinstance(length[0], (int, float)) or length[0] < 0):
        yield "substr-length", (2,)
    if not isinstance(start, (int, float)):
        yield "substr-start", (1,)
    elif isinstance(text, str):
        if start > len(text) or (length and start < -len(text)):
            yield "substr-start", (1,)
    elif start > 0 or (length and start < 0):
        yield "substr-start", (1,)


CHECKS: Final[Mapping[str, Check]] = {
    "in": _in,
    "cat": _cat,
    "substr": _substr,
    "var": _var,
    "/": _division,
    "%": _always("modulo"),
    "missing": _always("missing"),
    "missing_some": _always("missing"),
    "sem_ver": _sem_ver,
    "fractional": _fractional,
    "if": _needs_list,
    "?:": _needs_list,
    "and": _needs_list,
    "or": _needs_list,
    "!": _negation,
    "!!": _negation,
    **dict.fromkeys(COMPARISONS, comparison),
    **dict.fromkeys(LIST_OPERATORS, _listing),
}
"""The checks by operator."""
