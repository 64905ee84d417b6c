"""What `windsock experiment power` promises, simulated: `python bench/experiments_power.py [RUNS]`.

Each metric gets the effect that the formula says is found in four of five experiments, and is looked at 200
times. The maximum is a number of units, or a duration in which units arrive by chance: evenly, by weekday,
more and more, or fewer and fewer.
Bounds are those of Clopper and Pearson's exact 95 % interval.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import beta

from windsock.experiments.statistics import planning
from windsock.experiments.statistics.designs import UpToMaximum

ALPHA, LOOKS, UNITS, DAYS = 0.05, 200, 20_000, 28
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
    daily = np.repeat(rates / rates.sum() * UNITS, LOOKS // DAYS + 1)[:LOOKS]
    return np.maximum(random.poisson(daily * UNITS / daily.sum()).cumsum(), 1)


def rate_of(random: np.random.Generator, draw: Draw, runs: int, effect: float, arrivals: str | None) -> int:
    """How many of the runs are called."""
    needed = np.array([UpToMaximum(look / LOOKS).multiplier(ALPHA) for look in range(1, LOOKS + 1)])
    total = 0
    for _ in range(runs):
        ends = np.linspace(0, UNITS, LOOKS + 1)[1:].astype(int)
        if arrivals is not None:
            ends = arrived(random, ARRIVALS[arrivals])
        x, treated = draw(random, int(ends[-1])), random.random(int(ends[-1])) < 0.5
        total += called(x + effect * treated, treated, ends, needed)
    return total


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    random = np.random.default_rng(11)
    rows = []
    for name, draw in METRICS.items():
        spread = planning.Spread(float(draw(random, 2_000_000).std()))
        effect = planning.detectable(UNITS, spread, lambda drift: planning.power_up_to_maximum(drift, ALPHA))
        for arrivals in (None, *ARRIVALS):
            for planted in (0.0, effect):
                found = rate_of(random, draw, runs, planted, arrivals)
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
