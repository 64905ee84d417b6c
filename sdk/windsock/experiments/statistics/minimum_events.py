"""How many events an arm needs before a normal approximation may decide.

Without a gate an asymptotic test of heavy-tailed values in a canary of 5 %, looked at 200 times, rolls back
falsely in half of all A/A experiments; bench/experiments_looks.py simulates what these numbers leave of it.
"""

RATE_EVENTS = 25
"""For a proportion: units with the event, in each arm."""

MEAN_EVENTS = 100
"""For a mean or ratio: units whose value is not zero, in each arm."""


def enough(events: int, *, proportion: bool) -> bool:
    """Whether the smaller arm has had events enough for a normal approximation.

    Args:
        events: Units with an event (a proportion) or with a value that is not zero, in the smaller arm.
        proportion: The metric is a proportion of units.
    """
    return events >= (RATE_EVENTS if proportion else MEAN_EVENTS)
