"""Boundaries and crossing probabilities for looks at planned information fractions.

The recursion over the density of the B-value that hasn't stopped yet is Armitage, McPherson and Rowe's (JRSS
A 132, 1969), in the form of Jennison and Turnbull, Group Sequential Methods (2000), chapter 19.
"""

from collections.abc import Callable, Sequence
from functools import cache
from math import sqrt

import numpy as np
import numpy.typing as npt

from windsock.experiments.statistics.normal import upper_quantile, upper_tail
from windsock.experiments.statistics.roots import bisect

_NODES = 401
_TAILS = 9.0
"""Standard deviations beyond which no mass is integrated."""

Floats = npt.NDArray[np.float64]


@cache
def _legendre() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


class _Walk:
    """The sub-density of B at the last look without a drift, among paths that have not crossed."""

    def __init__(self) -> None:
        self._time = 0.0
        self._at: Floats = np.zeros(1)
        self._mass: Floats = np.ones(1)

    def crossing(self, time: float, critical: float) -> float:
        """Probability of crossing a boundary, the upper or the lower one, at the next look."""
        from scipy.special import ndtr  # noqa: PLC0415 - only planned looks need it

        spread, bound = sqrt(time - self._time), critical * sqrt(time)
        upper = self._mass @ ndtr((self._at - bound) / spread)
        lower = self._mass @ ndtr((-bound - self._at) / spread)
        return float(upper) + float(lower)

    def step(self, time: float, critical: float) -> None:
        """Go on to the next look, keeping the paths inside its boundaries."""
        step = time - self._time
        bound = min(critical, _TAILS) * sqrt(time)
        nodes, weights = _legendre()
        at = nodes * bound
        distance = (at[:, None] - self._at[None, :]) / sqrt(step)
        density = np.exp(-distance * distance / 2) @ self._mass / sqrt(2 * np.pi * step)
        self._at, self._mass, self._time = at, density * weights * bound, time

    def crossed(self, drift: float) -> float:
        """Probability that a walk with this drift has crossed by now."""
        return 1.0 - float(self._mass @ np.exp(drift * self._at - drift * drift * self._time / 2))


def obrien_fleming_spending(alpha: float, fraction: float) -> float:
    """Two-sided error to have spent by an information fraction.

    Lan and DeMets, Biometrika 70 (1983): alpha(t) = 2 · [2 - 2 Φ(z_{alpha/4} / √t)], which is also what the
    constant boundary of continuous looks spends.
    """
    return 4 * upper_tail(upper_quantile(alpha / 4) / sqrt(min(fraction, 1.0)))


def critical_values(fractions: Sequence[float], alpha: float, units: Sequence[float] = ()) -> list[float]:
    """Critical values of |Z| for looks at these fractions that spend the error as O'Brien and Fleming's do.

    Args:
        fractions: Fractions of units or time, whichever the error is spent by; increasing, in (0, 1].
        alpha: Two-sided error over all looks.
        units: Units at each look, increasing, if the error is spent by time (Lan and DeMets, Statistics in
            Medicine 8, 1989).
    """
    walk, spent, values = _Walk(), 0.0, []
    times = [count / units[-1] for count in units] if units else fractions
    for time, fraction in zip(times, fractions, strict=True):
        target = obrien_fleming_spending(alpha, fraction)

        def missing(critical: float, at: float = time, goal: float = target - spent) -> float:
            return goal - walk.crossing(at, critical)

        critical = bisect(missing, 0.0, 40.0, tolerance=1e-12)
        values.append(critical)
        walk.step(time, critical)
        spent = target
    return values


def power(fractions: Sequence[float], critical: Sequence[float]) -> Callable[[float], float]:
    """Probability of crossing at any of the looks, as a function of the drift.

    The recursion runs once, without a drift: a drift multiplies the density of the paths that end inside at
    B(t) = x by exp(drift·x - drift²·t/2) (Cameron and Martin, Annals of Mathematics 45, 1944).

    Args:
        fractions: Increasing, in (0, 1]. The drift is the expected Z at fraction 1.
        critical: Critical value of |Z| at each look.
    """
    walk = _Walk()
    for fraction, value in zip(fractions, critical, strict=True):
        walk.step(fraction, value)
    return walk.crossed
