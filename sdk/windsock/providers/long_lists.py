"""Finding and cutting the long lists of a flag's rule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from windsock.evaluator.membership import membership
from windsock.flags.model import JsonValue

_LONG: Final = 1_000
"""Texts of a list that is worth an index; with it, all lists for the same attribute are indexed."""

_LOGIC: Final = frozenset({"if", "?:", "and", "or", "!"})
"""Operators whose arguments are rules; those of others may be data, lists included."""

Steps: TypeAlias = tuple[str | int, ...]
"""The way to a part of a rule: keys and positions."""


def long_list_attributes(rule: JsonValue) -> frozenset[str]:
    """The attributes that a rule compares with a long list."""
    return frozenset(_attributes(rule))


def _attributes(rule: JsonValue) -> Iterator[str]:
    test = membership(rule)
    if test is not None:
        if len(test.texts) >= _LONG:
            yield test.name
        return
    _, parts = _combined(rule)
    for part in parts:
        yield from _attributes(part)


def _combined(rule: JsonValue) -> tuple[str, Sequence[JsonValue]]:
    """The operator of a rule that combines rules, and these rules; none for any other rule."""
    if isinstance(rule, dict) and len(rule) == 1:
        ((operator, arguments),) = rule.items()
        if operator in _LOGIC and isinstance(arguments, list):
            return operator, arguments
    return "", ()


@dataclass(frozen=True, slots=True)
class Cut:
    """Cuts the lists for some attributes out of a rule.

    Attributes:
        attributes: The attributes.
        lists: The lists that were cut, each with the way to its place.
    """

    attributes: frozenset[str]
    lists: list[tuple[Steps, Sequence[str]]] = field(default_factory=list)

    def rule(self, rule: JsonValue, way: Steps = ()) -> JsonValue:
        """A copy of a rule with null in place of each list."""
        test = membership(rule)
        indexed = test is not None and test.reads_numbers and test.name in self.attributes
        if indexed and isinstance(rule, dict):
            self.lists.append(((*way, "in", 1), rule["in"][1]))
            return {"in": [rule["in"][0], None]}
        operator, parts = _combined(rule)
        if not parts:
            return rule
        return {operator: [self.rule(part, (*way, operator, number)) for number, part in enumerate(parts)]}
