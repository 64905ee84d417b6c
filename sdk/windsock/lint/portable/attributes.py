"""Where evaluators disagree on a rule if an attribute is missing or has an unexpected type."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from windsock.flags.kinds import ARITHMETIC, LIST_OPERATORS, UNKNOWN, choices, kinds_of, without_numerals
from windsock.flags.model import CONTAINERS, JsonValue
from windsock.flags.raw import Tokens
from windsock.lint.portable.comparisons import COMPARISONS
from windsock.lint.portable.construct import Found

_Reader: TypeAlias = Callable[[Sequence[JsonValue]], Iterator[tuple[int, str]]]
"""Maps an operator's arguments to the position of each attribute and the code of its possible problem."""


def find_attributes(rule: JsonValue) -> tuple[Found, ...]:
    """The constructs that a rule contains if its attributes are missing or have an unexpected type."""
    return (*_results(rule, ()), *_walk(rule, ()))


def _results(value: JsonValue, at: Tokens) -> Iterator[Found]:
    """The attributes that the rule returns, at the ends of its branches."""
    for tokens, result in choices(value):
        yield from _results(result, (*at, *tokens))
    if _reads_directly(value):
        yield "attribute-result", at


def _walk(value: JsonValue, at: Tokens) -> Iterator[Found]:
    if isinstance(value, list):
        if CONTAINERS.isdisjoint(map(type, value)):
            return
        for index, item in enumerate(value):
            yield from _walk(item, (*at, index))
    elif isinstance(value, dict) and len(value) == 1:
        ((name, arguments),) = value.items()
        reader = _READERS.get(name)
        if reader is not None:
            listed = arguments if isinstance(arguments, list) else [arguments]
            for index, code in reader(listed):
                yield code, (*at, name, index) if isinstance(arguments, list) else (*at, name)
        yield from _walk(arguments, (*at, name))


def _reads_directly(value: JsonValue) -> bool:
    return isinstance(value, dict) and len(value) == 1 and "var" in value and kinds_of(value) == UNKNOWN


def _may_be_attribute(value: JsonValue) -> bool:
    """Whether an expression may return an attribute unchanged."""
    return _reads_directly(value) or any(_may_be_attribute(result) for _, result in choices(value))


def _each(*codes: str, only: slice = slice(None)) -> _Reader:
    """Codes for every argument in a range that may be an attribute."""

    def read(arguments: Sequence[JsonValue]) -> Iterator[tuple[int, str]]:
        for index in range(len(arguments))[only]:
            if _may_be_attribute(arguments[index]):
                yield from ((index, code) for code in codes)

    return read


def _conditions(arguments: Sequence[JsonValue]) -> Iterator[tuple[int, str]]:
    return _each("object-as-condition", only=slice(0, len(arguments) - 1, 2))(arguments)


def _loose(arguments: Sequence[JsonValue]) -> Iterator[tuple[int, str]]:
    with_text = any(without_numerals(kinds_of(value)) == {"text"} for value in arguments)
    codes = ("compare-types", "compare-lists") if with_text else _COMPARED
    return _each(*codes)(arguments)


def _in(arguments: Sequence[JsonValue]) -> Iterator[tuple[int, str]]:
    haystack = arguments[1] if len(arguments) > 1 else None
    if isinstance(haystack, list):
        code = "in-number-among-texts" if str in map(type, haystack) else "in-boolean-among-numbers"
        yield from _each(code)(arguments[:1])
        if any(map(_may_be_attribute, haystack)):
            yield 1, "in-mixed-list"
    else:
        yield from _each("in-empty-attribute", "in-number-among-texts")(arguments[:1])
        yield from ((1, code) for _, code in _each("in-neither", "in-mixed-list")([haystack]))


def _cat(arguments: Sequence[JsonValue]) -> Iterator[tuple[int, str]]:
    yield from _each("cat-missing", "cat-decimal")(arguments)
    for index in {0, len(arguments) - 1} if arguments else ():
        yield from ((index, code) for _, code in _each("cat-space-attribute")(arguments[index : index + 1]))


def _var(arguments: Sequence[JsonValue]) -> Iterator[tuple[int, str]]:
    name, *default = arguments or [None]
    if _may_be_attribute(name):
        yield 0, "argument-type"
    if isinstance(name, str) and "." in name and not name.startswith("$flagd"):
        steps = name.split(".")[1:]
        yield 0, "var-into-list"
        if any(step.isdecimal() for step in steps):
            yield 0, "var-into-text"
    if default:
        yield 0, "default-of-null"


def _fractional(arguments: Sequence[JsonValue]) -> Iterator[tuple[int, str]]:
    if arguments and not isinstance(arguments[0], str):  # by the targeting key, or an attribute's result
        yield 0, "targeting-key-non-ascii"


_COMPARED: Final = ("compare-types", "compare-lists", "big-integer-attribute")
_READERS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(COMPARISONS, _loose),
    **dict.fromkeys(("if", "?:"), _conditions),
    **dict.fromkeys(("and", "or"), _each("object-as-condition")),
    **dict.fromkeys(("!", "!!"), _each("negation-of-list", "object-as-condition")),
    **dict.fromkeys(ARITHMETIC, _each("arithmetic-on-missing", "big-integer-attribute")),
    **dict.fromkeys(("min", "max"), _each("arithmetic-on-missing", "maximum-of-text")),
    **dict.fromkeys(LIST_OPERATORS, _each("list-of-no-list", only=slice(1))),
    "all": _each("list-of-no-list", "all-of-missing", only=slice(1)),
    "merge": _each("argument-type"),
    "in": _in,
    "cat": _cat,
    "substr": _each("substr-attribute", only=slice(1)),
    "var": _var,
    "sem_ver": _each("version-shape", only=slice(0, 3, 2)),
    "fractional": _fractional,
}
"""How each operator handles an attribute that's missing or has an unexpected type."""
