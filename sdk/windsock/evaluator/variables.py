"""Look up ``var``, ``missing`` and ``missing_some`` in data, as the flagd server does."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

from windsock.evaluator.values import (
    RuleError,
    Value,
    as_float,
    describe,
    is_number,
    number,
    number_text,
    plain,
)
from windsock.evaluator.work_limit import spend

_OUT_OF_RANGE: Final = -(2**63)

_LOOKING_UP: Final = 4
"""The cost of looking up one name of ``missing``, in steps."""


def look_up(data: Value, name: Value) -> Value:
    """The value that an evaluated ``var`` argument names.

    Args:
        data: The context, or the current element inside ``filter``, ``map`` and the like.
        name: A dotted path of keys and list positions, a number, or a list of path and default.

    Raises:
        RuleError: The argument isn't a name.
    """
    if name is None:
        return data if isinstance(data, (bool, int, float, str)) else None
    if is_number(name):
        name = number_text(as_float(name))  # type: ignore[arg-type]
    default: Value = None
    if type(name) is list:
        if not name:
            return data
        if len(name) == 2:
            default = name[1]
        name = name[0]
    if type(name) is not str:
        raise RuleError(f"var needs a name, not {describe(name)}")
    return default if data is None else walk(data, tuple(filter(None, name.split("."))), default)


def walk(data: Value, path: tuple[str, ...], default: Value) -> Value:
    """Follow a path of keys and list positions; return the default if the value is missing or null."""
    value = plain(data)
    for step in path:
        if type(value) is dict or isinstance(value, Mapping):
            value = plain(value.get(step))
        elif type(value) is list:
            position = index_of(number(step))
            if not 0 <= position < len(value):
                return default
            value = plain(value[position])
        else:
            return default
        if value is None:
            return default
    return value


def index_of(value: float) -> int:
    """Truncate a number to an index; the smallest 64-bit integer if it doesn't fit in 64 bits."""
    return int(value) if isfinite(value) and abs(value) < 2.0**63 else _OUT_OF_RANGE


def missing(data: Value, names: Value) -> list[Value]:
    """The names whose value is null or missing."""
    if type(names) is str:
        names = [names]
    if type(names) is not list:
        raise RuleError(f"missing needs names, not {describe(names)}")
    spend(_LOOKING_UP * len(names))
    return [name for name in names if look_up(data, name) is None]


def missing_some(data: Value, arguments: Value) -> list[Value]:
    """The missing names, unless at least the given number of names is present."""
    if type(arguments) is not list or len(arguments) < 2 or type(arguments[1]) is not list:
        raise RuleError("missing_some needs a number and a list of names")
    absent = missing(data, arguments[1])
    return absent if index_of(number(arguments[0])) > len(arguments[1]) - len(absent) else []


def solve(rule: Value, data: Value, evaluate: Callable[[Value, Value], Value]) -> Value:
    """Replace each ``var`` found in the data with its value; return the same object if there are none.

    flagd's ``filter``, ``all``, ``none`` and ``some`` do this to their condition before they visit any
    element, so a context attribute hides an element's property of the same name.
    """
    if type(rule) is dict:
        made: dict[str, Value] = {}
        for key, value in rule.items():
            if key != "var":
                made[key] = solve(value, data, evaluate)
            elif _stays(value):
                made[key] = value
            else:
                found = look_up(data, evaluate(value, data))
                if found is not None:
                    return found
                made[key] = value
        return rule if all(made[key] is value for key, value in rule.items()) else made
    if type(rule) is list:
        items = [solve(item, data, evaluate) for item in rule]
        return rule if all(left is right for left, right in zip(items, rule, strict=True)) else items
    return rule


def names_something(rule: Value) -> bool:
    """Whether ``solve`` could replace anything in a rule."""
    if type(rule) is dict:
        return any(
            not _stays(value) if key == "var" else names_something(value) for key, value in rule.items()
        )
    return type(rule) is list and any(map(names_something, rule))


def _stays(name: Value) -> bool:
    return type(name) is str and (not name or name.startswith("."))
