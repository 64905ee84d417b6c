"""The operators of a targeting rule."""

from collections.abc import Iterator

from windsock.flags.model import CONTAINERS, JsonValue


def operations(rule: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """Every operator in a rule with its arguments, at any depth, in the order in which they are written."""
    rest: list[JsonValue | tuple[str, JsonValue]] = [rule]
    while rest:
        value = rest.pop()
        if isinstance(value, tuple):
            yield value
            value = value[1]
        if isinstance(value, dict):
            rest += reversed(value.items())
        elif isinstance(value, list) and not CONTAINERS.isdisjoint(map(type, value)):
            rest += reversed(value)
