"""Which attribute decides a rule, as far as the rule alone shows."""

from collections.abc import Iterator
from typing import Final

from windsock.evaluator.membership import attribute_name
from windsock.evaluator.operators import EAGER
from windsock.evaluator.values import Value
from windsock.flags.kinds import branches
from windsock.flags.model import CONTAINERS

_BRANCHING: Final = frozenset({"if", "?:", "fractional"})
_SEES_ARGUMENTS_ONLY: Final = EAGER.keys() - {"var", "missing", "missing_some"} | {"and", "or"}


def deciding_attribute(rule: Value) -> str | None:
    """The one attribute that a rule reads.

    What such a rule gives depends on nothing else in the context, so that a caller who knows the attribute
    need not gather the rest.

    Returns:
        Its name (``targetingKey`` for the user's id); None where a rule reads several or none, and wherever
        only an evaluation tells what it reads.
    """
    try:
        names = set(_names(rule))
    except RecursionError:
        return None
    return names.pop() if len(names) == 1 else None


def _names(rule: Value) -> Iterator[str | None]:
    """The attributes that a rule reads; None for those that the rule alone does not show."""
    if type(rule) is list:
        if CONTAINERS.isdisjoint(map(type, rule)):
            return
        for item in rule:
            yield from _names(item)
    elif type(rule) is dict and len(rule) == 1:
        ((operator, arguments),) = rule.items()
        if operator == "var":
            if arguments != "$flagd.flagKey":  # a constant to the compiler
                yield attribute_name(rule)
            return
        if operator == "fractional":
            yield "targetingKey"
        elif operator not in _SEES_ARGUMENTS_ONLY and not _is_plain_choice(operator, arguments):
            yield None
        yield from _names(arguments)


def _is_plain_choice(operator: str, arguments: Value) -> bool:
    """Whether this is an ``if`` without objects as results, which flagd would evaluate as rules."""
    if operator not in ("if", "?:") or type(arguments) is not list:
        return False
    return all(
        type(result) is not dict or (len(result) == 1 and next(iter(result)) in _BRANCHING)
        for _, result in branches(arguments)
    )
