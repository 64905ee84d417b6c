"""How large a rule is once its shared rules are in their places."""

from typing import Final

from windsock.flags.model import JsonValue

MAX_OPERATIONS: Final = 100_000
"""Most operators and lists that one rule may have once its shared rules are counted at every place of use."""


def expanded_size(rule: JsonValue) -> tuple[int, int]:
    """Operators and lists in a rule, shared ones counted at each place of use, and the nesting's depth.

    A rule that ten shared rules double ten times over is small in memory and large to run; this counts what
    runs.
    """
    known: dict[int, tuple[int, int]] = {}

    def measure(value: JsonValue) -> tuple[int, int]:
        if not isinstance(value, (dict, list)):
            return 0, 0
        if id(value) not in known:
            inner = value.values() if isinstance(value, dict) else value
            sizes = [measure(item) for item in inner if isinstance(item, (dict, list))]
            known[id(value)] = (
                1 + sum(size for size, _ in sizes),
                1 + max((deep for _, deep in sizes), default=0),
            )
        return known[id(value)]

    return measure(rule)
