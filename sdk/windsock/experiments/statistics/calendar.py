"""Any number of looks until a date: the error is spent by calendar time, and looks are correlated by units.

How many units will arrive by the date is unknown, so their share of the total is too. Spending may still
follow the calendar, because the joint distribution of the looks so far depends only on the ratios of their
units (Lan and DeMets, Group sequential procedures: calendar versus information time, Statistics in Medicine
8, 1989).

Between two counts the boundary of B is constant and paths are followed continuously, so that the promise
holds however often one looks: a Brownian bridge from x to y stays below c for a time t with probability
1 - exp(-2(c - x)(c - y)/t) (Siegmund, Sequential Analysis, 1985, eq. 3.11).
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt

from windsock.experiments.statistics import continuous_looks

COUNTS = 40
"""Number of equal parts that a duration is split into, to count units at the end of each."""

_NODES = 101
_TAILS = 9.0
"""Standard deviations beyond which no mass is integrated."""
_GROWTH = 1.03
"""Counts that differ by less are merged: the integration needs steps that its nodes resolve."""
_FARTHEST = 40.0
_SMALLEST, _HIGHEST = 1e-15, 0.999

History = tuple[tuple[float, float], ...]
"""Shares of the duration, and the units by then; both increase, and the last one is now."""

Floats = npt.NDArray[np.float64]


def history(counts: Iterable[tuple[float, float]]) -> History:
    """Prepare counts for the boundary: drop those that add next to nothing.

    Args:
        counts: Shares of the duration in (0, 1] and the units by then, in order, the last one now.
    """
    kept: list[tuple[float, float]] = []
    *earlier, now = counts
    for share, units in earlier:
        if units >= max(1.0, kept[-1][1] * _GROWTH if kept else 0.0):
            kept.append((share, units))
    while kept and now[1] < kept[-1][1] * _GROWTH:
        kept.pop()
    return *kept, now


@lru_cache(maxsize=4096)
def multiplier(so_far: History, alpha: float, *, two_sided: bool = True) -> float:
    """Half the width of the interval now, in standard errors.

    Args:
        so_far: From `history`.
        alpha: One minus the confidence that the interval holds at every look until the date.
        two_sided: An interval with two ends; else one bound.
    """
    boundary = continuous_looks.constant_boundary(alpha, two_sided=two_sided)
    spent_by = continuous_looks.leaves_band if two_sided else continuous_looks.exceeds
    units_now = so_far[-1][1]
    walk, spent, bound = _Walk(two_sided=two_sided), 0.0, 0.0
    for share, units in so_far:
        goal = spent_by(boundary / sqrt(share))
        walk.arrive(units / units_now)
        bound = walk.bound(goal - spent)
        walk.stay_within(bound)
        spent = goal
    return bound


def p_value(so_far: History, z: float, *, two_sided: bool = True) -> float:
    """The smallest alpha at which an estimate of `z` standard errors is significant now.

    Args:
        so_far: From `history`.
        z: The estimate over its standard error.
        two_sided: Its distance from zero counts; else how far it is above.
    """
    distance, highest = (abs(z), _HIGHEST) if two_sided else (z, _HIGHEST / 2)
    if distance <= multiplier(so_far, highest, two_sided=two_sided):
        return 1.0
    from scipy.optimize import brentq  # noqa: PLC0415 - only a duration needs it

    def beyond(log_alpha: float) -> float:
        return distance - multiplier(so_far, exp(log_alpha), two_sided=two_sided)

    low, high = _around(beyond, so_far[-1][0] ** 0.5 * distance, highest, two_sided=two_sided)
    if beyond(low) >= 0:
        return _SMALLEST
    return exp(float(brentq(beyond, low, high, xtol=1e-7)))


def _around(
    beyond: Callable[[float], float], reached: float, highest: float, *, two_sided: bool
) -> tuple[float, float]:
    """Logarithms of alpha on both sides of a p-value, near the one for units that arrive evenly."""
    evenly = continuous_looks.leaves_band(reached) if two_sided else continuous_looks.exceeds(reached)
    least, most = log(_SMALLEST), log(highest)
    low = high = min(max(log(max(evenly, _SMALLEST)), least), most)
    step = 0.1
    while low > least and beyond(low) > 0:
        high, low, step = low, max(least, low - step), 2 * step
    while high < most and beyond(high) <= 0:
        low, high, step = high, min(most, high + step), 2 * step
    return low, high


class _Walk:
    """The sub-density of B among paths that have not crossed; time 1 is now."""

    def __init__(self, *, two_sided: bool) -> None:
        self._two_sided = two_sided
        self._time, self._step = 0.0, 0.0
        self._at: Floats = np.zeros(1)
        self._mass: Floats = np.ones(1)

    def arrive(self, time: float) -> None:
        """Set the time of the next count."""
        self._step, self._time = time - self._time, time

    def bound(self, goal: float) -> float:
        """The bound that is crossed with this probability by the next count."""
        from scipy.optimize import brentq  # noqa: PLC0415 - only a duration needs it

        farthest = _FARTHEST * sqrt(self._time)
        return float(brentq(lambda bound: goal - self._crossing(bound), 0.0, farthest, xtol=1e-10))

    def _crossing(self, bound: float) -> float:
        """By the reflection principle, from each node; crossing both bounds in one step counts twice."""
        from scipy.special import ndtr  # noqa: PLC0415 - takes 0.3 s to import

        scale = sqrt(self._step)
        crossed = 2 * ndtr((self._at - bound) / scale)
        if self._two_sided:
            crossed += 2 * ndtr((-self._at - bound) / scale)
        return float(self._mass @ np.minimum(crossed, 1.0))

    def stay_within(self, bound: float) -> None:
        """Go on to the next count, with the paths that didn't cross the bound on the way."""
        far = _TAILS * sqrt(self._time)
        high = min(bound, far)
        low = -high if self._two_sided else -far
        nodes, weights = _legendre()
        at = (high + low) / 2 + nodes * (high - low) / 2
        start, end = self._at[None, :], at[:, None]
        density = np.exp(-((end - start) ** 2) / (2 * self._step)) / sqrt(2 * np.pi * self._step)
        density *= _below(bound - start, bound - end, self._step)
        if self._two_sided:
            density *= _below(bound + start, bound + end, self._step)
        self._at, self._mass = at, (density @ self._mass) * weights * (high - low) / 2


def _below(start: Floats, end: Floats, step: float) -> Floats:
    """Probability that a Brownian bridge stays below a bound, from its distances at both ends."""
    stays: Floats = -np.expm1(-2 * np.maximum(start, 0.0) * end / step)
    return stays


@cache
def _legendre() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights
