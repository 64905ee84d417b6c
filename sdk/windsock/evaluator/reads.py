"""Which attribute decides a rule, as far as static analysis can tell."""

from collections.abc import Iterator
from typing import Final

from windsock.evaluator.membership import attribute_name
from windsock.evaluator.operators import EAGER
from windsock.evaluator.values import Value
from windsock.flags.kinds import if_results
from windsock.flags.model import CONTAINERS

_BRANCHING: Final = frozenset({"if", "?:", "fractional"})
_SEES_ARGUMENTS_ONLY: Final = EAGER.keys() - {"var", "missing", "missing_some"} | {"and", "or"}


def deciding_attribute(rule: Value) -> str | None:
    """The only attribute that a rule reads.

    The result of such a rule depends on nothing else in the context, so a caller who knows the attribute can
    skip the rest.

    Returns:
        Its name (``targetingKey`` for the user's id); None if the rule reads several or none, or if only an
        evaluation can tell.
    """
    try:
        names = set(_names(rule))
    except RecursionError:
        return None
    return names.pop() if len(names) == 1 else None


def _names(rule: Value) -> Iterator[str | None]:
    """The attributes that a rule reads; None for those that can't be determined statically."""
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
    """Whether this is an ``if`` without object results, which flagd would evaluate as rules."""
    if operator not in ("if", "?:") or type(arguments) is not list:
        return False
    return all(
        type(result) is not dict or (len(result) == 1 and next(iter(result)) in _BRANCHING)
        for _, result in if_results(arguments)
    )
