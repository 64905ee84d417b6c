"""The work limit per evaluation: a rule over nested lists fails with an error instead of running forever."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from windsock.evaluator.values import RuleError, Value

MAX_STEPS: Final = 2_000_000
"""Maximum steps per evaluation (operators run on elements, and their copying): about a second's worth."""

MAX_TEXT: Final = 1_000_000
"""Maximum length of text that ``cat`` builds, in characters."""

MAX_LIST: Final = 1_000_000
"""Maximum length of a list that ``merge`` builds."""


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


@contextmanager
def counted_apart() -> Iterator[None]:
    """Count the steps inside from zero, and leave the evaluation's own count as it was."""
    token = _meter.set(_Meter())
    try:
        yield
    finally:
        _meter.reset(token)


def steps_spent() -> int:
    """How many steps were counted since `begin`. Call that first: only costly rules call it themselves."""
    meter = _meter.get(None)
    return 0 if meter is None else MAX_STEPS - meter.left


def spend(steps: int) -> None:
    """Use up steps; raises ``RuleError`` when none are left."""
    meter = _meter.get(None) or begin()
    meter.left -= steps
    if meter.left < 0:
        raise RuleError(f"it takes more than {MAX_STEPS:,} steps for this context; shorten its lists")


def spend_on(value: Value) -> None:
    """Use up the steps that reading or writing a value costs."""
    if type(value) is str:
        spend(len(value) >> 2)
    elif type(value) is dict:
        spend(len(value))
    elif type(value) is list:
        spend(len(value) + sum(len(item) >> 2 for item in value if type(item) is str))


def metered(operator: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """Make an operator for list elements that charges steps for what it reads and writes."""

    def run(arguments: Value, data: Value) -> Value:
        spend_on(arguments)
        result = operator(arguments, data)
        spend_on(result)
        return result

    return run


def spend_on_each(rule: Value) -> int:
    """Use up a step for each value that a rule consists of, and return how many there are.

    A rule that the context brings may hold itself: the steps end.
    """
    size, rest = 1, [rule]
    while rest:
        value = rest.pop()
        if type(value) is dict or type(value) is list:
            spend(len(value))
            size += len(value)
            rest.extend(value.values() if type(value) is dict else value)
    return size
