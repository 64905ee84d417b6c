"""The size of a rule with its shared rules expanded."""

from typing import Final

from windsock.flags.model import JsonValue

MAX_OPERATIONS: Final = 100_000
"""Maximum operators and lists in a rule, counting shared rules at every use."""


def expanded_size(rule: JsonValue) -> tuple[int, int]:
    """The number of operators and lists in a rule, counting shared rules at every use, and the nesting depth.

    A rule doubled ten times over by ten shared rules is small in memory but expensive to run; this counts
    what runs.
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
