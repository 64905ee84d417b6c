"""Power and sample size of each design, by formula or by replaying a team's own data."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, log, sqrt

import numpy as np
import numpy.typing as npt

from windsock.experiments.statistics import continuous_looks, group_sequential
from windsock.experiments.statistics.designs import TIGHT_AT, OpenEnded
from windsock.experiments.statistics.normal import upper_quantile, upper_tail
from windsock.experiments.statistics.roots import above, bisect

Floats = npt.NDArray[np.float64]

_FINE = tuple((step + 1) / 100 for step in range(100))
"""Number of looks that approximate continuous looks if there is no closed form."""

_STEP, _SAME = 1.06, 1e-9

_POWER = 0.8
"""The power that an effect is found with."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The inputs of an effect's standard error.

    Attributes:
        deviation: Standard deviation of the metric per unit, the delta method's for a ratio.
        control_share: Share of the units in control, in (0, 1).
        treatment_share: Share in the other arm.
    """

    deviation: float
    control_share: float = 0.5
    treatment_share: float = 0.5

    def error(self, units: float) -> float:
        """Standard error of the effect with this many units in the experiment."""
        return self.deviation * sqrt((1 / self.control_share + 1 / self.treatment_share) / units)


def power_up_to_maximum(drift: float, alpha: float, by: float = 1.0) -> float:
    """Power of the continuous O'Brien-Fleming boundary, in closed form (`continuous_looks.crossing_power`).

    Args:
        drift: The effect over its standard error at the maximum.
        alpha: Two-sided.
        by: Share of the maximum by which it is reached, in (0, 1]: until then, B is a Brownian motion too,
            on another scale.
    """
    boundary, drift = continuous_looks.constant_boundary(alpha) / sqrt(by), drift * sqrt(by)
    return min(
        1.0,
        continuous_looks.crossing_power(boundary, drift) + continuous_looks.crossing_power(boundary, -drift),
    )


def power_fixed(drift: float, alpha: float, by: float = 1.0) -> float:
    """Power of one look at the end, and none before.

    Args:
        drift: The effect over its standard error at the end.
        alpha: Two-sided.
        by: Share of the units by which it is reached, in (0, 1].
    """
    if by < 1:
        return 0.0
    quantile = upper_quantile(alpha / 2)
    return upper_tail(quantile - drift) + upper_tail(quantile + drift)


def power_planned(drift: float, alpha: float, fractions: tuple[float, ...], by: float = 1.0) -> float:
    """Power of the planned looks until `by`, by the recursion of `group_sequential`."""
    done = sum(fraction <= by + _SAME for fraction in fractions)
    return _planned(alpha, fractions, done)(drift) if done else 0.0


def power_open_ended(drift: float, alpha: float, units: int, by: float = 1.0) -> float:
    """Power of an open-ended confidence sequence by some number of units, over a hundred looks.

    Args:
        drift: The effect over its standard error at that number.
        alpha: Two-sided.
        units: The number: the sequence is tightest at `TIGHT_AT`, and wider before and after.
        by: Share of the units by which it is reached, in (0, 1].
    """
    looks = round(by * len(_FINE))
    return _open_ended(alpha, _rounded(units), looks)(drift) if looks else 0.0


def _rounded(units: int) -> int:
    """Within 3 %, so that few curves are computed; the sequence's width changes by a tenth of that."""
    return round(_STEP ** round(log(max(units, 1)) / log(_STEP)))


@lru_cache
def _planned(alpha: float, fractions: tuple[float, ...], done: int) -> Callable[[float], float]:
    critical = group_sequential.critical_values(fractions[:done], alpha)
    return group_sequential.power(fractions[:done], critical)


@lru_cache
def _open_ended(alpha: float, units: int, looks: int) -> Callable[[float], float]:
    critical = [OpenEnded(max(1, round(units * at)), TIGHT_AT).multiplier(alpha) for at in _FINE[:looks]]
    return group_sequential.power(_FINE[:looks], critical)


def units_needed(effect: float, spread: Spread, power_of: Callable[[float], float]) -> int:
    """Units, over all compared arms, needed to find an effect with a power of 0.8.

    Args:
        effect: The absolute effect to find, not zero.
        spread: The metric's spread and the allocation.
        power_of: Power as a function of the drift: a function above with alpha filled in.

    Raises:
        ValueError: The effect or the metric's standard deviation is zero.
    """
    if not effect or not spread.deviation:
        raise ValueError("the effect and the metric's standard deviation must not be zero")
    return ceil((_drift_found(power_of) * spread.error(1.0) / abs(effect)) ** 2)


def detectable(units: int, spread: Spread, power_of: Callable[[float], float]) -> float:
    """The absolute effect that this many units find with a power of 0.8; infinite without units."""
    return _drift_found(power_of) * spread.error(units) if units > 0 else inf


def _drift_found(power_of: Callable[[float], float]) -> float:
    """The smallest drift that is found with a power of 0.8."""

    def surplus(drift: float) -> float:
        return power_of(drift) - _POWER

    return bisect(surplus, 0.0, above(surplus))


def replay(
    values: Floats, runs: int, looks: int, alpha: float, *, effect: float = 0.0, seed: int = 0
) -> float:
    """Share of replays that reject: a team's own values, shuffled into two arms, looked at again and again.

    Without an effect this is the rate of false positives on the team's own data (an A/A test); with one,
    power.

    Args:
        values: One value for each unit; the caller drops infinite and missing values.
        runs: Number of replays.
        looks: Equally spaced looks up to the maximum, which is all units.
        alpha: Two-sided.
        effect: Added to every value of the second arm.
        seed: The same seed gives the same answer.
    """
    generator = np.random.default_rng(seed)
    count = len(values) // (2 * looks)
    boundary = continuous_looks.constant_boundary(alpha)
    sizes = count * np.arange(1, looks + 1)
    needed = boundary / np.sqrt(np.arange(1, looks + 1) / looks)
    centred = values - values.mean()
    rejected = 0
    for _ in range(runs):
        arms = generator.permutation(centred)[: 2 * count * looks].reshape(looks, 2, count)
        sums, squares = arms.sum(axis=2).cumsum(axis=0), (arms * arms).sum(axis=2).cumsum(axis=0)
        variances = (squares - sums * sums / sizes[:, None]) / np.maximum(sizes[:, None] - 1, 1)
        errors = np.sqrt(variances.sum(axis=1) / sizes)
        difference = (sums[:, 1] - sums[:, 0]) / sizes + effect
        rejected += bool(np.any(np.abs(difference) > needed * errors))
    return rejected / runs
