"""Whether the portable list explains what flagd's evaluators make of a rule for given attributes."""

from collections.abc import Iterator, Mapping
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
    return _joined({name: _written(arguments, context)})


def _attribute(arguments: Any, context: Mapping[str, Any]) -> Any:
    path, *default = arguments if isinstance(arguments, list) else [arguments]
    if (
        not isinstance(path, str)
        or path.startswith("$flagd")
        or (default and isinstance(default[0], (dict, list)))
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
    for element in _elements(items):
        if find_in_rule({"if": [_with(arguments[1], element), "a"]}):
            raise _UnportableError
    if (
        name == "filter"
        and isinstance(items, list)
        and not any(isinstance(each, (dict, list)) for each in items)
    ):
        return items  # what it leaves is of the same types
    return {name: [items, *arguments[1:]]}


def _joined(rule: dict[str, Any]) -> Any:
    """The list that a ``merge`` of literals gives, where everybody gives the same."""
    lists = rule.get("merge")
    if not isinstance(lists, list) or find_in_rule({"if": [rule, "a"]}) or not all(map(_is_literal, lists)):
        return rule
    return [item for each in lists for item in (each if isinstance(each, list) else [each])]


def _is_literal(value: Any) -> bool:
    return not isinstance(value, dict) and (not isinstance(value, list) or all(map(_is_literal, value)))


def _elements(items: Any) -> Iterator[Any]:
    """What a list holds; of a computed one, every literal that it is made of."""
    if isinstance(items, list):
        yield from items
    elif isinstance(items, dict):
        for arguments in items.values():
            for part in arguments if isinstance(arguments, list) else [arguments]:
                yield from _elements(part) if isinstance(part, (list, dict)) else (part,)


def _with(condition: Any, element: Any) -> Any:
    if isinstance(condition, list):
        return [_with(item, element) for item in condition]
    if not isinstance(condition, dict) or len(condition) != 1:
        return condition
    ((name, arguments),) = condition.items()
    return element if name == "var" else {name: _with(arguments, element)}
