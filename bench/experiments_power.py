"""What `windsock experiment power` promises, simulated: `python bench/experiments_power.py [RUNS]`.

Each metric gets the effect that the formula says is found in four of five experiments, and is looked at 200
times. The maximum is a number of units, or a duration in which units arrive by chance: evenly, by weekday,
more and more, fewer and fewer, or most of them on one day. Each way to arrive is drawn ten times, and each
draw serves the same number of runs.
Bounds are those of Clopper and Pearson's exact 95 % interval.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import beta

from windsock.experiments.statistics import calendar, planning
from windsock.experiments.statistics.designs import UntilDate, UpToMaximum

ALPHA, LOOKS, UNITS, DAYS, DRAWS = 0.05, 200, 20_000, 28, 10
RESULTS = Path(__file__).parent / "results" / "experiments_power.json"
Draw = Callable[[np.random.Generator, int], np.ndarray]


def conversion(random: np.random.Generator, units: int) -> np.ndarray:
    """One unit in twenty converts."""
    return (random.random(units) < 0.05).astype(float)


def cost(random: np.random.Generator, units: int) -> np.ndarray:
    """Half of the units cost nothing; the rest is log-normal and capped at its p99."""
    paid = random.random(units) < 0.5
    return np.where(paid, np.minimum(np.exp(1.5 * random.standard_normal(units)), np.exp(1.5 * 2.326)), 0.0)


def per_request(random: np.random.Generator, units: int) -> np.ndarray:
    """A ratio's linearisation: cost per request of units with many requests or few."""
    requests = 1 + random.poisson(random.gamma(0.5, 8.0, units))
    value = requests * np.exp(0.7 * random.standard_normal(units))
    ratio = value.mean() / requests.mean()
    return ratio + (value - ratio * requests) / requests.mean()


METRICS: dict[str, Draw] = {"conversion of 5 %": conversion, "cost": cost, "cost per request": per_request}
ARRIVALS: dict[str, np.ndarray] = {
    "evenly": np.ones(DAYS),
    "half at weekends": np.where(np.arange(DAYS) % 7 >= 5, 0.5, 1.0),
    "twice as many at the end": np.linspace(2 / 3, 4 / 3, DAYS),
    "half as many at the end": np.linspace(4 / 3, 2 / 3, DAYS),
    "ten times as many at the end": np.linspace(0.2, 2, DAYS),
    "half of them on the first day": np.where(np.arange(DAYS) == 0, DAYS - 1, 1),
    "half of them on the last day": np.where(np.arange(DAYS) == DAYS - 1, DAYS - 1, 1),
}


def called(x: np.ndarray, treated: np.ndarray, ends: np.ndarray, needed: np.ndarray) -> bool:
    """Whether some look is significant.

    Args:
        x: The units' values in the order of their arrival.
        treated: Which of them are in the other arm.
        ends: How many units each look sees.
        needed: Standard errors that each look needs.
    """
    sums, squares, counts = [], [], []
    for arm in (~treated, treated):
        sums.append(np.cumsum(np.where(arm, x, 0))[ends - 1])
        squares.append(np.cumsum(np.where(arm, x * x, 0))[ends - 1])
        counts.append(np.maximum(np.cumsum(arm)[ends - 1], 2))
    means = [total / count for total, count in zip(sums, counts, strict=True)]
    errors = sum(
        (square / count - mean**2) / count for square, count, mean in zip(squares, counts, means, strict=True)
    )
    enough = np.minimum(*counts) >= 100
    return bool(np.any(enough & (np.abs(means[1] - means[0]) > needed * np.sqrt(np.maximum(errors, 0)))))


def arrived(random: np.random.Generator, rates: np.ndarray) -> np.ndarray:
    """How many units each look of the duration sees."""
    per_look = np.interp(np.arange(LOOKS + 1) * DAYS / LOOKS, np.arange(DAYS + 1), (0, *rates.cumsum()))
    return np.maximum(random.poisson(np.diff(per_look) * UNITS / rates.sum()).cumsum(), 1)


def needed_until(ends: np.ndarray) -> np.ndarray:
    """Standard errors that each look of a duration needs, from the units until then."""
    every = LOOKS // calendar.COUNTS
    counts = [((look + 1) / LOOKS, float(ends[look])) for look in range(LOOKS)]
    return np.array([
        UntilDate(calendar.history([*counts[every - 1 : look : every], counts[look]])).multiplier(ALPHA)
        for look in range(LOOKS)
    ])  # fmt: skip


def looks_of(random: np.random.Generator, arrivals: str | None) -> tuple[np.ndarray, np.ndarray]:
    """How many units each look sees, and the standard errors that it needs."""
    if arrivals is not None:
        ends = arrived(random, ARRIVALS[arrivals])
        return ends, needed_until(ends)
    ends = np.linspace(0, UNITS, LOOKS + 1)[1:].astype(int)
    return ends, np.array([UpToMaximum(look / LOOKS).multiplier(ALPHA) for look in range(1, LOOKS + 1)])


def rate_of(
    random: np.random.Generator,
    draw: Draw,
    runs: int,
    effect: float,
    looks: list[tuple[np.ndarray, np.ndarray]],
) -> int:
    """How many of the runs are called."""
    total = 0
    for run in range(runs):
        ends, needed = looks[run % len(looks)]
        x, treated = draw(random, int(ends[-1])), random.random(int(ends[-1])) < 0.5
        total += called(x + effect * treated, treated, ends, needed)
    return total


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    random = np.random.default_rng(11)
    every = {None: [looks_of(random, None)]}
    every |= {arrivals: [looks_of(random, arrivals) for _ in range(DRAWS)] for arrivals in ARRIVALS}
    rows = []
    for name, draw in METRICS.items():
        spread = planning.Spread(float(draw(random, 2_000_000).std()))
        effect = planning.detectable(UNITS, spread, lambda drift: planning.power_up_to_maximum(drift, ALPHA))
        for arrivals, looks in every.items():
            for planted in (0.0, effect):
                found = rate_of(random, draw, runs, planted, looks)
                row = {
                    "metric": name, "maximum": "units" if arrivals is None else f"duration, {arrivals}",
                    "effect": "none" if not planted else "found in 4 of 5 by the formula", "runs": runs,
                    "called": found / runs,
                    "exact bounds 95 %": [
                        round(float(beta.ppf(0.025, found, runs - found + 1)), 4),
                        round(float(beta.ppf(0.975, found + 1, runs - found)), 4),
                    ],
                }  # fmt: skip
                rows.append(row)
                print(row, flush=True)
    RESULTS.write_text(
        json.dumps({"looks": LOOKS, "units": UNITS, "days": DAYS, "runs": rows}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
