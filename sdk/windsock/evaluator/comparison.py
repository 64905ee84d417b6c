"""Comparisons of two values, of which one is often a literal number."""

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Final

from windsock.evaluator.operators import at_least, at_most, more
from windsock.evaluator.values import Expression, Value, equals, is_number, js_number, less
from windsock.evaluator.work_limit import spend_on
from windsock.flags.values import MOST_EXACT


def with_literal(
    name: str, compare: Callable[[Value, Value], bool], left: Expression, right: Value
) -> Expression:
    """Compile a comparison with a literal on the right; a literal number is converted once."""
    quick = _NUMERIC.get(name) if is_number(right) else None
    if quick is None:
        return lambda data: compare(left(data), right)
    limit = js_number(right)

    def run(data: Value) -> Value:
        value = left(data)
        if type(value) is float or (type(value) is int and -MOST_EXACT < value < MOST_EXACT):
            return quick(value, limit)
        return compare(value, right)

    return run


def metered_comparison(compare: Callable[[Value, Value], bool]) -> Callable[[Value, Value], bool]:
    """Make a comparison for list elements that charges steps for the text it reads."""

    def run(left: Value, right: Value) -> bool:
        spend_on(left)
        spend_on(right)
        return compare(left, right)

    return run


COMPARE: Final[dict[str, Callable[[Value, Value], bool]]] = {
    "==": equals,
    "!=": lambda left, right: not equals(left, right),
    "<": less,
    "<=": at_most,
    ">": more,
    ">=": at_least,
}

_NUMERIC: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
