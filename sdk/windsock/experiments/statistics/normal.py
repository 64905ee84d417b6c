"""The standard normal distribution, from the standard library."""

from math import erfc, sqrt
from statistics import NormalDist

_STANDARD = NormalDist()


def cdf(z: float) -> float:
    """Probability that a standard normal variable is at most `z`; exact far out in the lower tail."""
    return erfc(-z / sqrt(2)) / 2


def upper_tail(z: float) -> float:
    """Probability that a standard normal variable is above `z`; exact far out in the upper tail."""
    return erfc(z / sqrt(2)) / 2


def upper_quantile(probability: float) -> float:
    """The `z` that is exceeded with this probability, between 0 and 1 exclusive."""
    return -_STANDARD.inv_cdf(probability)
