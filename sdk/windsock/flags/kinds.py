"""The kinds of value that an expression can yield, and which kinds all evaluators treat alike."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar

from windsock.flags.model import JsonValue

T = TypeVar("T")

Kind: TypeAlias = Literal["null", "boolean", "number", "numeral", "text", "list", "object", "attribute"]
"""A numeral is text that every language reads as a number, and text any other text. An attribute may be of
any kind."""

Kinds: TypeAlias = frozenset[Kind]
"""The kinds that an expression can yield, "attribute" among them if that depends on attributes."""

UNKNOWN: Final[Kinds] = frozenset({"attribute"})

LIST_OPERATORS: Final = ("filter", "map", "all", "some", "none", "reduce")
"""Operators that run a condition on each element of a list."""

ARITHMETIC: Final = ("+", "-", "*", "/", "%", "min", "max")
"""Operators that yield a number."""

_NUMERAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_NULL: Final[Kinds] = frozenset({"null"})
_TEXT: Final[Kinds] = frozenset({"text", "numeral"})
_NUMBER: Final[Kinds] = frozenset({"number", "numeral"})
_PLAIN_NUMBER: Final[Kinds] = frozenset({"number"})
_LIST: Final[Kinds] = frozenset({"list"})
_SCALAR: Final[Kinds] = frozenset({"number", *_TEXT})
_MANY: Final = 10**9


def kinds_of(value: JsonValue) -> Kinds:
    """The kinds that an expression can yield."""
    if not isinstance(value, dict) or len(value) != 1:
        return frozenset({_kind_of_literal(value)})
    ((name, arguments),) = value.items()
    given = _GIVEN.get(name)
    if given is not None:
        return given
    if name == "var":
        return _FLAGD.get(arguments, UNKNOWN) if isinstance(arguments, str) else UNKNOWN
    found = [kinds_of(result) for _, result in choices(value)]
    if not found:
        return UNKNOWN
    may_give_nothing = name == "fractional" or (name in ("if", "?:") and len(arguments) % 2 == 0)
    return frozenset(_NULL if may_give_nothing else ()).union(*found)


def without_numerals(kinds: Kinds) -> Kinds:
    """The kinds, without distinguishing text that reads as a number from other text."""
    return frozenset("text" if kind == "numeral" else kind for kind in kinds)


def may_be_object(value: object) -> bool:
    """Whether an expression that isn't a literal may yield an object."""
    if not isinstance(value, dict):
        return False
    return not kinds_of(value).isdisjoint(("object", *UNKNOWN))


def choices(value: JsonValue) -> list[tuple[tuple[str | int, ...], JsonValue]]:
    """The possible result expressions of a choice, with their places; empty for anything else."""
    if not isinstance(value, dict) or len(value) != 1:
        return []
    ((name, arguments),) = value.items()
    if not isinstance(arguments, list):
        return []
    if name in ("if", "?:"):
        return [((name, index), result) for index, result in if_results(arguments)]
    places = [(name, index) for index in range(len(arguments))]
    if name in ("and", "or"):
        return list(zip(places, arguments, strict=True))
    if name == "fractional":
        return [((*at, 0), bucket[0]) for at, bucket in zip(places, arguments, strict=True) if _holds(bucket)]
    return [(at, arguments[1]) for at in places[1:]] if name == "var" and len(arguments) == 2 else []


def if_results(arguments: Sequence[T]) -> list[tuple[int, T]]:
    """The arguments of ``if`` that can be its result, with their positions."""
    last = len(arguments) - 1
    return [(index, result) for index, result in enumerate(arguments) if index % 2 or index == last]


def _holds(bucket: JsonValue) -> bool:
    return isinstance(bucket, list) and bool(bucket)


def _kind_of_literal(value: JsonValue) -> Kind:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "numeral" if _NUMERAL.fullmatch(value) else "text"
    return "list" if isinstance(value, list) else "object"


def miscounted(name: str, arguments: JsonValue) -> bool:
    """Whether an operator has more or fewer arguments than all evaluators accept."""
    least, most = _COUNTS.get(name, (0, _MANY))
    return name in _COUNTS and (not isinstance(arguments, list) or not least <= len(arguments) <= most)


def unfit(name: str, arguments: JsonValue) -> Iterator[int]:
    """The positions of arguments whose kind evaluators treat differently."""
    wanted = _WANTED.get(name)
    if wanted is None or not isinstance(arguments, list):
        return
    for index, argument in enumerate(arguments):
        if not kinds_of(argument) - UNKNOWN <= wanted[min(index, len(wanted) - 1)]:
            yield index


_FLAGD: Final[Mapping[str, Kinds]] = {
    "$flagd.flagKey": frozenset({"text"}),
    "$flagd.timestamp": _PLAIN_NUMBER,
}
_GIVEN: Final[Mapping[str, Kinds]] = {
    **dict.fromkeys(("==", "!=", "===", "!==", "<", "<=", ">", ">="), frozenset({"boolean"})),
    **dict.fromkeys(("!", "!!", "in", "all", "some", "none"), frozenset({"boolean"})),
    **dict.fromkeys(("starts_with", "ends_with", "sem_ver"), frozenset({"boolean", "null"})),
    **dict.fromkeys(ARITHMETIC, _PLAIN_NUMBER),
    **dict.fromkeys(("cat", "substr"), _TEXT),
    **dict.fromkeys(("filter", "map", "merge", "missing", "missing_some"), _LIST),
}
_COUNTS: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("!", "!!"), (1, 1)),
    **dict.fromkeys(("if", "?:", "and", "or", "+", "*", "min", "max", "cat", "merge"), (1, _MANY)),
    **dict.fromkeys(("filter", "map", "all", "some", "none", "starts_with", "ends_with"), (2, 2)),
    **dict.fromkeys(("reduce", "sem_ver"), (3, 3)),
    "-": (1, 2),
    "/": (2, 2),
    "substr": (2, 3),
}
_WANTED: Final[Mapping[str, tuple[Kinds, ...]]] = {
    **dict.fromkeys(("+", "-", "*", "/"), (_NUMBER,)),
    **dict.fromkeys(("min", "max"), (_PLAIN_NUMBER,)),
    "cat": (_SCALAR,),
    "substr": (_TEXT, _PLAIN_NUMBER),
    "merge": (frozenset({"list", "number", *_TEXT}),),
    **dict.fromkeys(LIST_OPERATORS, (_LIST, frozenset({"boolean", "number", "list", "null", *_TEXT}))),
    **dict.fromkeys(("starts_with", "ends_with"), (_TEXT,)),
}
"""By position; the last entry applies to all further arguments."""
