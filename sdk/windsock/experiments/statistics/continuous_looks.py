"""Crossing probabilities of Brownian motion on [0, 1]: the constant boundary for continuous looks.

A test statistic Z at information fraction t behaves as B(t)/√t, with B a Brownian motion (Lan and Wittes, The
B-value, Biometrics 44, 1988). Stopping the first time that the absolute value of B(t) reaches a
constant is the limit of O'Brien and Fleming's rule (Biometrics 35, 1979) for infinitely many looks: it holds
however often one looks up to t = 1.
"""

from math import exp, sqrt

from windsock.experiments.statistics.normal import cdf, upper_quantile, upper_tail
from windsock.experiments.statistics.roots import bisect

_TERMS = 50
_LARGEST_EXPONENT = 700.0
_FARTHEST = 40.0
"""No double-precision probability is left above this boundary."""


def leaves_band(boundary: float) -> float:
    """Probability that the absolute value of B reaches a boundary before time 1.

    Reflection principle for two barriers (Billingsley, Convergence of Probability Measures, 1968, eq. 11.12):
    the sum over k of (-1)^k times the mass between (2k-1)b and (2k+1)b is the probability of staying inside.

    Args:
        boundary: Above zero, in standard deviations at time 1.
    """
    if boundary <= 0:
        return 1.0
    if boundary > 1:  # the same series, arranged so that a small probability keeps its digits
        terms = ((-1.0) ** k * 4 * upper_tail((2 * k + 1) * boundary) for k in range(_TERMS))
        return min(1.0, sum(terms))
    bands = (
        (k, cdf((2 * k + 1) * boundary) - cdf((2 * k - 1) * boundary)) for k in range(-_TERMS, _TERMS + 1)
    )
    return min(1.0, max(0.0, 1.0 - sum((-1.0) ** k * mass for k, mass in bands)))


def exceeds(boundary: float) -> float:
    """Probability that B rises to a boundary before time 1: twice the upper tail (reflection principle)."""
    return min(1.0, 2 * upper_tail(boundary))


def constant_boundary(alpha: float, *, two_sided: bool = True) -> float:
    """The constant that B reaches before time 1 with probability `alpha`.

    Args:
        alpha: Between 0 and 1 exclusive.
        two_sided: the absolute value of B instead of B. 2.2414 at .05; one-sided it is 1.9600.
    """
    if not two_sided:
        return upper_quantile(alpha / 2)
    return bisect(lambda boundary: alpha - leaves_band(boundary), 0.0, _FARTHEST)


def crossing_power(boundary: float, drift: float) -> float:
    """Probability that B(t) + drift·t rises to a boundary before time 1.

    The inverse Gaussian law of first passage (Siegmund, Sequential Analysis, 1985, eq. 3.15).

    Args:
        boundary: Above zero.
        drift: The expected Z at time 1.
    """
    reflected = 2 * drift * boundary
    below = upper_tail(boundary + drift)
    mirrored = exp(reflected) * below if below and reflected < _LARGEST_EXPONENT else 0.0
    return upper_tail(boundary - drift) + mirrored


def multiplier(alpha: float, fraction: float, *, two_sided: bool = True) -> float:
    """Half the width of the interval, in standard errors, at an information fraction.

    Args:
        alpha: One minus the confidence that the interval holds at every look up to the maximum.
        fraction: Information so far over information at the maximum, in (0, 1].
        two_sided: An interval with two ends; else one bound.
    """
    return constant_boundary(alpha, two_sided=two_sided) / sqrt(fraction)
