"""Operators on evaluated arguments, computed as in the flagd server's library."""

from collections.abc import Callable
from functools import reduce
from math import copysign, fmod, inf, isnan, nan
from typing import Final, TypeAlias

from windsock.evaluator.semver import compare_versions
from windsock.evaluator.values import (
    PLAIN,
    RuleError,
    Value,
    describe,
    equals,
    is_number,
    less,
    number,
    plain,
    strictly_equals,
    text_of,
    trim,
    truthy,
)
from windsock.evaluator.variables import index_of, look_up, missing, missing_some
from windsock.evaluator.work_limit import MAX_LIST, MAX_TEXT, spend, spend_on

Operator: TypeAlias = Callable[[Value, Value], Value]
"""Takes the evaluated arguments and the data; raises ``RuleError``."""


def _list(arguments: Value, least: int = 0) -> list[Value]:
    if type(arguments) is not list:
        raise RuleError(f"the arguments must be a list, not {describe(arguments)}")
    if len(arguments) < least:
        raise RuleError(f"{least} arguments are needed, not {len(arguments)}")
    return arguments


def var(arguments: Value, data: Value) -> Value:
    """``var``: the value that a name refers to."""
    return look_up(data, arguments)


def negate(arguments: Value, _: Value) -> bool:
    """``!``: negates the first argument, or a single value written without a list."""
    return not truthy(arguments[0] if type(arguments) is list and arguments else arguments)


def _comparison(compare: Callable[[Value, Value], bool]) -> Operator:
    """A comparison of two values, or of three in a row (between)."""

    def operator(arguments: Value, _: Value) -> Value:
        values = _list(arguments)
        if len(values) < 2:
            return False
        if len(values) == 3:
            return compare(values[0], values[1]) and compare(values[1], values[2])
        return compare(values[0], values[1])

    return operator


def at_most(left: Value, right: Value) -> bool:
    """``<=``."""
    return less(left, right) or equals(left, right)


def more(left: Value, right: Value) -> bool:
    """``>``."""
    return less(right, left)


def at_least(left: Value, right: Value) -> bool:
    """``>=``."""
    return less(right, left) or equals(right, left)


def equal(arguments: Value, _: Value) -> bool:
    """``==``; false with fewer than two arguments."""
    values = _list(arguments)
    return len(values) >= 2 and equals(values[0], values[1])


def strictly_equal(arguments: Value, _: Value) -> bool:
    """``===``; false without two arguments."""
    return type(arguments) is list and len(arguments) >= 2 and strictly_equals(arguments[0], arguments[1])


def within(arguments: Value, _: Value) -> bool:
    """``in``: searches text, or a list whose inner lists are ranges."""
    values = _list(arguments, 1)
    return contains(values[0], values[1] if len(values) > 1 else None)


def contains(needle: Value, haystack: Value) -> bool:
    """Whether a list or text contains a value; a number also finds text that parses to it."""
    if type(haystack) is str:
        if type(needle) is not str:
            raise RuleError(f"in finds only text in text, not {describe(needle)}")
        return needle in haystack
    return type(haystack) is list and any(_matches(needle, element) for element in haystack)


def contains_metered(needle: Value, haystack: Value) -> bool:
    """``contains``, for rules that run on list elements, and for long ones."""
    spend_on(haystack)
    if is_number(needle) and type(haystack) is list:
        spend(_READING * len(haystack))
    return contains(needle, haystack)


def _matches(needle: Value, element: Value) -> bool:
    if type(element) not in PLAIN:
        element = plain(element)
    if type(element) is list:
        if len(element) < 2:
            raise RuleError("a list inside the list of in is a range, which needs two numbers")
        return number(element[0]) <= number(needle) <= number(element[1])
    if is_number(needle):
        return number(element) == number(needle)
    if type(needle) is not type(element):
        return False
    if type(needle) is dict:
        raise RuleError("in cannot compare objects")
    return needle == element


def cat(arguments: Value, _: Value) -> str:
    """``cat``: joins text; if there are several parts, the result is trimmed."""
    if type(arguments) is str:
        return arguments
    texts = [text_of(part) for part in _list(arguments)]
    if sum(map(len, texts)) > MAX_TEXT:
        raise RuleError(f"cat joins at most {MAX_TEXT:,} characters")
    joined = "".join(texts)
    return trim(joined) if len(texts) > 1 else joined


def substr(arguments: Value, _: Value) -> str:
    """``substr``: takes a position and a length; negative ones count from the end."""
    values = _list(arguments, 2)
    text = text_of(values[0])
    start = index_of(number(values[1]))
    if start < 0:
        start += len(text)
    if not 0 <= start <= len(text):
        return text
    length = index_of(number(values[2])) if len(values) == 3 else len(text)
    end = len(text) + length if length < 0 else min(start + length, len(text))
    if end < start:
        raise RuleError("substr ends before it starts")
    return text[start:end]


def merge(arguments: Value, _: Value) -> Value:
    """``merge``: joins lists; other values are kept as they are."""
    if isinstance(arguments, (bool, int, float, str)):
        return [arguments]
    merged: list[Value] = []
    for value in _list(arguments):
        if type(value) is list:
            merged.extend(value)
        else:
            merged.append(value)
        if len(merged) > MAX_LIST:
            raise RuleError(f"merge joins at most {MAX_LIST:,} elements")
    return merged


def add(arguments: Value, _: Value) -> float:
    """``+``: a sum rounded at each step, unlike ``sum`` from Python 3.12 on; a single value as a number."""
    if type(arguments) is not list:
        return number(arguments)
    return number(arguments[0]) if len(arguments) == 1 else reduce(float.__add__, map(number, arguments), 0.0)


def subtract(arguments: Value, _: Value) -> float:
    """``-``: a difference, or a single value negated."""
    values = _list(arguments)
    if not values:
        return 0.0
    first, *rest = map(number, values)
    if not rest:
        return -1 * first
    for value in rest:
        first -= value
    return first


def multiply(arguments: Value, _: Value) -> float:
    """``*``: a product."""
    return reduce(float.__mul__, map(number, _list(arguments)), 1.0)


def divide(arguments: Value, _: Value) -> float:
    """``/``: a quotient; division by zero yields infinity or NaN, as in IEEE 754."""
    values = _list(arguments)
    if not values:
        return 0.0
    first, *rest = map(number, values)
    for value in rest:
        if value:
            first /= value
        else:
            first = nan if not first or isnan(first) else copysign(inf, first) * copysign(1, value)
    return first


def modulo(arguments: Value, _: Value) -> float:
    """``%``: the remainder, with the dividend's sign; NaN for a zero divisor."""
    left, right = map(number, _list(arguments, 2)[:2])
    try:
        return fmod(left, right)
    except ValueError:
        return nan


def absolute(arguments: Value, _: Value) -> float:
    """``abs``."""
    return abs(number(_list(arguments, 1)[0] if type(arguments) is list else arguments))


def _extreme(better: Callable[[float, float], bool]) -> Operator:
    def operator(arguments: Value, _: Value) -> Value:
        values = [number(value) for value in _list(arguments)]
        if not values:
            return None
        best = values[0]
        for value in values[1:]:
            if better(value, best):
                best = value
        return best

    return operator


def _texts(test: Callable[[str, str], bool]) -> Operator:
    """A test of two texts; null if the number of arguments is wrong or one isn't text."""

    def operator(arguments: Value, _: Value) -> Value:
        if type(arguments) is not list or len(arguments) != 2:
            return None
        left, right = arguments
        return test(left, right) if type(left) is str and type(right) is str else None

    return operator


def sem_ver(arguments: Value, _: Value) -> bool | None:
    """``sem_ver``: compares two versions by a relation; null if an argument is invalid."""
    if type(arguments) is not list or len(arguments) != 3:
        return None
    return compare_versions(*arguments)


def _found_in(left: list[Value], value: Value) -> bool:
    value = plain(value)
    return any(
        number(item) == number(value) if is_number(item) and is_number(value) else _identical(item, value)
        for item in map(plain, left)
    )


def _identical(left: Value, right: Value) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, dict)):
        raise RuleError("lists and objects cannot be compared")
    return left == right


def compile_set(
    arguments: Callable[[Value], Value], compile_rule: Callable[[Value], Callable[[Value], Value]]
) -> Callable[[Value], Value]:
    """``set``: a copy of an object with one property added or replaced.

    Args:
        arguments: Computes the object, the property's name and the value.
        compile_rule: Compiles the value, which flagd evaluates again.
    """

    def run(data: Value) -> Value:
        values = _list(arguments(data))
        target = values[0] if values else None
        if len(values) < 3 or not isinstance(target, dict):
            return target
        name, value = values[1], values[2]
        if type(name) is not str:
            raise RuleError(f"set needs the name of a property, not {describe(name)}")
        return {**target, name: compile_rule(value)(data)}

    return run


def _lists(test: Callable[[list[Value], list[Value]], bool], otherwise: bool) -> Operator:  # noqa: FBT001
    def operator(arguments: Value, _: Value) -> Value:
        if type(arguments) is not list or len(arguments) != 2:
            return otherwise
        left, right = arguments
        if type(left) is not list or type(right) is not list:
            return otherwise
        spend(len(left) * len(right))
        return test(left, right)

    return operator


_READING: Final = 3
"""The cost of reading a text as a number, in steps."""

QUADRATIC: Final = frozenset({"contains_all", "contains_any", "contains_none"})
"""Operators that compare every element of one list with every element of another."""

EAGER: Final[dict[str, Operator]] = {
    "var": var,
    "missing": lambda arguments, data: missing(data, arguments),
    "missing_some": lambda arguments, data: missing_some(data, arguments),
    "!": negate,
    "!!": lambda arguments, data: not negate(arguments, data),
    "==": equal,
    "!=": lambda arguments, data: not equal(arguments, data),
    "===": strictly_equal,
    "!==": lambda arguments, data: not strictly_equal(arguments, data),
    "<": _comparison(less),
    "<=": _comparison(at_most),
    ">": _comparison(more),
    ">=": _comparison(at_least),
    "in": within,
    "cat": cat,
    "substr": substr,
    "merge": merge,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "abs": absolute,
    "max": _extreme(lambda value, best: value > best),
    "min": _extreme(lambda value, best: value < best),
    "starts_with": _texts(str.startswith),
    "ends_with": _texts(str.endswith),
    "sem_ver": sem_ver,
    "contains_all": _lists(lambda left, right: all(_found_in(left, item) for item in right), otherwise=False),
    "contains_any": _lists(lambda left, right: any(_found_in(left, item) for item in right), otherwise=False),
    "contains_none": _lists(
        lambda left, right: not any(_found_in(left, item) for item in right), otherwise=True
    ),
}
"""Operators whose arguments are evaluated first."""
