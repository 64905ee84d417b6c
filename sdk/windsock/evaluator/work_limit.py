"""The work limit of one evaluation: a rule over lists in lists ends as an error instead of never."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from windsock.evaluator.values import RuleError, Value

MAX_STEPS: Final = 2_000_000
"""Most steps of one evaluation: operators run on elements, and what they copy. They take about a second."""

MAX_TEXT: Final = 1_000_000
"""Longest text that ``cat`` joins, in characters."""

MAX_LIST: Final = 10_000_000
"""Longest list that ``merge`` joins."""


class _Meter:
    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS


_meter: ContextVar[_Meter] = ContextVar("steps left")


def begin() -> _Meter:
    """Start counting the steps of an evaluation."""
    meter = _Meter()
    _meter.set(meter)
    return meter


def spend(steps: int) -> None:
    """Take steps; raises ``RuleError`` when there are none left."""
    meter = _meter.get(None) or begin()
    meter.left -= steps
    if meter.left < 0:
        raise RuleError(f"it takes more than {MAX_STEPS:,} steps for this context; shorten its lists")


def spend_on(value: Value) -> None:
    """Take the steps that reading or writing a value costs."""
    if type(value) is str:
        spend(len(value) >> 2)
    elif type(value) is dict:
        spend(len(value))
    elif type(value) is list:
        steps = len(value)
        for item in value:
            if type(item) is str:
                steps += len(item) >> 2
        spend(steps)


def metered(operator: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """An operator for use on elements: it takes steps for what it reads and writes."""

    def run(arguments: Value, data: Value) -> Value:
        spend_on(arguments)
        result = operator(arguments, data)
        spend_on(result)
        return result

    return run


def size_of(rule: Value) -> int:
    """How many values a rule is made of."""
    size, rest = 0, [rule]
    while rest:
        value = rest.pop()
        size += 1
        if type(value) is dict:
            rest.extend(value.values())
        elif type(value) is list:
            rest.extend(value)
    return size
