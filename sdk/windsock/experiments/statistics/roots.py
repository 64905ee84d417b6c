"""Finds where an increasing function crosses zero."""

from collections.abc import Callable

_STEPS = 200


def bisect(function: Callable[[float], float], low: float, high: float, *, tolerance: float = 0.0) -> float:
    """Find the root of an increasing function by halving the interval.

    Args:
        function: Increasing on the interval.
        low: A point where it is negative or zero.
        high: A point where it is positive or zero.
        tolerance: Maximum error of the answer; 0 continues to the limit of floating point.
    """
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high) or high - low < tolerance:
            break
        if function(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def above(function: Callable[[float], float]) -> float:
    """Find a point at which an increasing function isn't negative, by doubling from 1.

    Args:
        function: Increasing, and positive somewhere above zero.
    """
    point = 1.0
    while function(point) < 0:
        point *= 2
    return point
