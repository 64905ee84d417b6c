"""Whether the portable list explains what flagd's evaluators make of a rule for given attributes."""

from collections.abc import Mapping
from typing import Any

from windsock.lint.portable.search import find_in_rule

LISTINGS = ("filter", "map", "all", "some", "none")


class _UnportableError(Exception):
    """An attribute, or a step into one, that the list has in its section on attributes."""


def is_explained(rule: Any, context: Mapping[str, Any]) -> bool:
    """Whether something of the list is in the rule, or in it with the attributes written where they are read."""
    key = context.get("targetingKey")
    if key is not None and not (isinstance(key, str) and key.isascii()):
        return True
    try:
        return bool(find_in_rule(rule)) or bool(find_in_rule(_written(rule, context)))
    except _UnportableError:
        return True


def _written(rule: Any, context: Mapping[str, Any]) -> Any:
    """The rule with the attributes in it."""
    if isinstance(rule, list):
        return [_written(item, context) for item in rule]
    if not isinstance(rule, dict) or len(rule) != 1:
        return rule
    ((name, arguments),) = rule.items()
    if name == "var":
        return _attribute(arguments, context)
    if name in LISTINGS:
        return _listing(name, arguments, context)
    return {name: _written(arguments, context)}


def _attribute(arguments: Any, context: Mapping[str, Any]) -> Any:
    path, *default = arguments if isinstance(arguments, list) else [arguments]
    if (
        not isinstance(path, str)
        or path.startswith("$flagd")
        or isinstance(default and default[0], (dict, list))
    ):
        raise _UnportableError
    value: Any = context
    for step in path.split("."):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, Mapping) or (isinstance(value, list) and step.isdigit()):
            return default[0] if default else None
        else:
            raise _UnportableError
    if value is None and default:
        raise _UnportableError
    return value


def _listing(name: str, arguments: list[Any], context: Mapping[str, Any]) -> Any:
    """The operator over the list; its condition is looked through with each element in the place of ``""``."""
    items = _written(arguments[0], context)
    for element in items if isinstance(items, list) else []:
        if find_in_rule({"if": [_with(arguments[1], element), "a"]}):
            raise _UnportableError
    return {name: [items, *arguments[1:]]}


def _with(condition: Any, element: Any) -> Any:
    if isinstance(condition, list):
        return [_with(item, element) for item in condition]
    if not isinstance(condition, dict) or len(condition) != 1:
        return condition
    ((name, arguments),) = condition.items()
    return element if name == "var" else {name: _with(arguments, element)}
