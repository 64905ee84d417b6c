"""How many events an arm needs before a normal approximation may decide.

Without a gate, an asymptotic test of heavy-tailed values in a canary of 5 %, looked at 200 times, rolls back
wrongly in half of all A/A experiments; bench/experiments_looks.py simulates the rate with these numbers.
"""

RATE_EVENTS = 25
"""For a proportion: units with the event, in each arm."""

MEAN_EVENTS = 100
"""For a mean or ratio: units with a nonzero value, in each arm."""


def needed(*, proportion: bool) -> int:
    """The events that each arm needs before a normal approximation may decide.

    Args:
        proportion: Whether the metric is a proportion of units.
    """
    return RATE_EVENTS if proportion else MEAN_EVENTS
