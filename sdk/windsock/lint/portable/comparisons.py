"""Constructs in comparisons on which the flagd implementations disagree."""

from collections.abc import Iterator
from typing import Final

from windsock.flags.kinds import ARITHMETIC, UNKNOWN, Kinds, kinds_of, without_numerals
from windsock.flags.model import JsonValue
from windsock.lint.portable.construct import Found

COMPARISONS: Final = ("==", "!=", "===", "!==", "<", "<=", ">", ">=")
_STRICT: Final = ("===", "!==")
_ORDERED: Final = ("<", "<=", ">", ">=")


def comparison(name: str, arguments: JsonValue) -> Iterator[Found]:
    """The constructs in a comparison."""
    most = 3 if name in _ORDERED else 2
    if not isinstance(arguments, list) or not 2 <= len(arguments) <= most:
        yield "comparison-arguments", ()
        return
    given = [kinds_of(value) for value in arguments]
    if name in _STRICT:
        yield from _strict(arguments)
    else:
        if _mixed(frozenset().union(*given), ordered=name in _ORDERED) or any(map(is_astral, arguments)):
            yield "compare-types", ()
        yield from _loose(name, arguments, given)
    for index, value in enumerate(arguments):
        if given[index] & {"list", "object"}:
            yield "compare-lists", (index,)
        if isinstance(value, dict) and "boolean" in given[index]:
            yield "compare-conditions", (index,)


def _strict(arguments: list[JsonValue]) -> Iterator[Found]:
    for index, value in enumerate(arguments):
        if isinstance(value, (bool, int, float)) and value in (0, 1):
            yield "strict-boolean", (index,)


def _loose(name: str, arguments: list[JsonValue], given: list[Kinds]) -> Iterator[Found]:
    may_be_null = not frozenset().union(*given).isdisjoint(("null", *UNKNOWN))
    for index, value in enumerate(arguments):
        if name in ("==", "!=") and "null" in given[index] and not _is_told_from_null(arguments[1 - index]):
            yield "compare-with-null", (index,)
        if name not in ("<", ">") and _is_zero(value) and may_be_null:
            yield "compare-with-zero", (index,)
        if index and "boolean" not in given[index] and not _is_simply_computed(value):
            yield "compare-computed", (index,)


def _mixed(kinds: Kinds, *, ordered: bool) -> bool:
    """Whether comparing values of these kinds depends on each language's conversions."""
    if ordered and kinds & {"boolean", "null"}:
        return True
    types = kinds & {"text", "number", "boolean"}
    return len(types) > 1 or ("numeral" in kinds and bool(kinds & {"boolean", "null"}))


def is_astral(value: JsonValue) -> bool:
    """Whether literal text contains characters above U+FFFF, which count as two in JavaScript."""
    return isinstance(value, str) and not value.isascii() and max(value) > "\uffff"


def _is_simply_computed(value: JsonValue) -> bool:
    """Whether all parts of an expression have the same type as the whole, as far as its text shows."""
    if not isinstance(value, dict) or len(value) != 1:
        return True
    ((name, arguments),) = value.items()
    inner = arguments if isinstance(arguments, list) else [arguments]
    if name in ("var", "cat"):
        return not any(isinstance(each, dict) for each in inner)
    return name in (*ARITHMETIC, "substr") and all(map(_is_simply_computed, inner))


def _is_told_from_null(value: JsonValue) -> bool:
    """Whether every language distinguishes an expression from null, or another finding covers it."""
    return _is_zero(value) or without_numerals(kinds_of(value)) == {"text"}


def _is_zero(value: JsonValue) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, (int, float)) and value == 0
