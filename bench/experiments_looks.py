"""False positives and power under continuous looks, simulated: `python bench/experiments_looks.py [RUNS]`.

Each run is an A/A (or A/B) experiment, looked at 200 times up to its declared maximum and called as soon as a
look is significant. The moments of all runs at one look are tea-tasting's aggregates with an array in place
of a number, and the critical values are the package's own. Bounds are those of Clopper and Pearson's exact
95 % interval.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta
from tea_tasting.aggr import Aggregates

from windsock.experiments.statistics.designs import Design, GroupSequential, OpenEnded, UpToMaximum
from windsock.experiments.statistics.e_processes import event_ratio_evidence
from windsock.experiments.statistics.minimum_events import MEAN_EVENTS, RATE_EVENTS
from windsock.experiments.statistics.sample_ratio import sample_ratio_evidence

ALPHA, MISMATCH, LOOKS, CHUNK = 0.05, 0.001, 200, 100
RESULTS = Path(__file__).parent / "results" / "experiments_looks.json"


@dataclass(frozen=True)
class Metric:
    """How a unit's columns are drawn: the effect multiplies the treatment's."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...], float], dict[str, np.ndarray]]
    denominator: str | None = None
    gate: int = MEAN_EVENTS


def conversion(random: np.random.Generator, shape: tuple[int, ...], lift: float) -> dict[str, np.ndarray]:
    """One unit in twenty converts."""
    value = (random.random(shape) < 0.05 * lift).astype(float)
    return {"x": value, "event": value}


def cost(random: np.random.Generator, shape: tuple[int, ...], lift: float) -> dict[str, np.ndarray]:
    """Half of the units cost nothing; the rest is log-normal and capped at its p99."""
    paid = random.random(shape) < 0.5
    value = np.where(paid, np.minimum(np.exp(2 * random.standard_normal(shape)), np.exp(2 * 2.0537)), 0.0)
    return {"x": value * lift, "event": paid.astype(float)}


def per_request(random: np.random.Generator, shape: tuple[int, ...], lift: float) -> dict[str, np.ndarray]:
    """Cost per request of units with many requests or few, each with a level of its own."""
    requests = 1 + random.poisson(random.gamma(0.5, 8.0, shape))
    level = np.exp(0.7 * random.standard_normal(shape))
    value = lift * requests * level * random.gamma(requests * 2.0, 1 / (requests * 2.0))
    return {"x": value, "y": requests.astype(float), "event": np.ones(shape)}


METRICS = (
    Metric("conversion of 5 %", conversion, gate=RATE_EVENTS),
    Metric("heavy-tailed cost", cost),
    Metric("cost per request", per_request, "y"),
)


def moments(columns: dict[str, np.ndarray], look_size: int) -> Iterator[tuple[Aggregates, np.ndarray]]:
    """At each look: aggregates of all runs at once, and how many events there were."""
    names = [name for name in columns if name != "event"]
    pairs = [(a, b) for a in names for b in names if a <= b]

    def cumulated(values: np.ndarray) -> np.ndarray:
        return values.reshape(len(values), LOOKS, look_size).sum(axis=2).cumsum(axis=1)

    sums = {name: cumulated(columns[name]) for name in names}
    products = {pair: cumulated(columns[pair[0]] * columns[pair[1]]) for pair in pairs}
    events = cumulated(columns["event"])
    for look in range(LOOKS):
        n = look_size * (look + 1)
        covariances = {
            pair: (value[:, look] - sums[pair[0]][:, look] * sums[pair[1]][:, look] / n) / max(n - 1, 1)
            for pair, value in products.items()
        }
        yield (
            Aggregates(
                n,
                {name: value[:, look] / n for name, value in sums.items()},
                {pair[0]: value for pair, value in covariances.items() if pair[0] == pair[1]},
                {pair: value for pair, value in covariances.items() if pair[0] != pair[1]},
            ),
            events[:, look],
        )


def z_and_events(
    metric: Metric, arms: list[Iterator[tuple[Aggregates, np.ndarray]]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """At each look: every run's effect over its standard error, and the smaller arm's events."""
    for (control, events), (treatment, more_events) in zip(*arms, strict=True):
        means = [arm.mean("x") / arm.mean(metric.denominator) for arm in (control, treatment)]
        errors = [arm.ratio_var("x", metric.denominator) / arm.count() for arm in (control, treatment)]
        error = np.sqrt(np.maximum(errors[0] + errors[1], 1e-300))
        yield (means[1] - means[0]) / error, np.minimum(events, more_events)


@dataclass(frozen=True)
class Trial:
    """What is simulated: a metric, each arm's units from look to look, the effect, and the seed."""

    metric: Metric
    sizes: tuple[int, int]
    seed: int
    lift: float = 1.0


def rejected(trial: Trial, designs: Sequence[Callable[[int], Design]], runs: int) -> list[int]:
    """How many runs each design rejects at some look."""
    random = np.random.default_rng(trial.seed)
    limits = [[make(look).multiplier(ALPHA) for look in range(1, LOOKS + 1)] for make in designs]
    total = np.zeros(len(designs), dtype=int)
    for _ in range(runs // CHUNK):
        with np.errstate(divide="ignore", invalid="ignore"):
            arms = [
                moments(trial.metric.draw(random, (CHUNK, LOOKS * size), factor), size)
                for size, factor in zip(trial.sizes, (1.0, trial.lift), strict=True)
            ]
            called = np.zeros((len(designs), CHUNK), dtype=bool)
            for look, (z, events) in enumerate(z_and_events(trial.metric, arms)):
                for row, limit in enumerate(limits):
                    called[row] |= (np.abs(z) >= limit[look]) & (events >= trial.metric.gate)
        total += called.sum(axis=1)
    return total.tolist()


def upper_bound(found: int, runs: int) -> float:
    """The upper end of Clopper and Pearson's exact 95 % interval."""
    return float(beta.ppf(0.975, found + 1, runs - found)) if found < runs else 1.0


def false_positives(runs: int) -> Iterator[dict[str, object]]:
    """A/A experiments, by allocation, metric and design."""
    for allocation, sizes in (("50/50", (50, 50)), ("5 % canary", (950, 50))):
        units = sum(sizes)
        designs = {
            "up to a maximum": lambda look: UpToMaximum(look / LOOKS),
            "open-ended": lambda look, units=units: OpenEnded(units * look, units * LOOKS),
        }
        for number, metric in enumerate(METRICS):
            found = rejected(Trial(metric, sizes, 100 + number), list(designs.values()), runs)
            for design, count in zip(designs, found, strict=True):
                yield {
                    "allocation": allocation, "metric": metric.name, "design": design, "rate": count / runs,
                    "exact upper bound 95 %": round(upper_bound(count, runs), 4),
                }  # fmt: skip


def power(runs: int) -> dict[str, float]:
    """An effect that one look at the maximum finds in 80 %, with 20 looks on the way there."""
    looks = [step / 20 for step in range(1, 21)]
    nothing = GroupSequential(looks, 0)
    designs = {
        "O'Brien-Fleming, 20 planned looks": lambda look: GroupSequential(looks, look // 10),
        "up to a maximum": lambda look: UpToMaximum(look / LOOKS),
        "open-ended": lambda look: OpenEnded(100 * look, 100 * LOOKS),
    }
    at_twenty = [lambda look, make=make: nothing if look % 10 else make(look) for make in designs.values()]
    lift = 1 + 2.8016 * float(np.sqrt(2 * 0.05 * 0.95 / 10_000)) / 0.05
    found = rejected(Trial(METRICS[0], (50, 50), 7, lift), at_twenty, runs)
    return {name: count / runs for name, count in zip(designs, found, strict=True)}


def exact_tests(runs: int, seed: int) -> dict[str, float]:
    """The e-processes at 200 looks: sample ratio, and a guardrail of 0.5 % in a canary of 5 %."""
    random, odds = np.random.default_rng(seed), 100 / 1900
    totals = 100 * np.arange(1, LOOKS + 1)

    def mismatch(share: float) -> bool:
        first = random.binomial(100, share, LOOKS).cumsum()
        pairs = zip(first, totals - first, strict=True)
        return any(sample_ratio_evidence(pair, (0.5, 0.5)) >= 1 / MISMATCH for pair in pairs)

    def harm(rate: float) -> bool:
        events = random.binomial(1900, 0.005, LOOKS).cumsum(), random.binomial(100, rate, LOOKS).cumsum()
        return any(event_ratio_evidence(c, t, odds) >= 1 / ALPHA for c, t in zip(*events, strict=True))

    trials = {
        "sample ratio 50/50 declared and served": lambda: mismatch(0.5),
        "sample ratio 50/50 declared, 52/48 served, 20,000 units": lambda: mismatch(0.52),
        "error rate 0.5 %, canary of 5 % alike": lambda: harm(0.005),
        "error rate 0.5 %, canary of 5 % with 1 %": lambda: harm(0.01),
    }
    return {name: sum(trial() for _ in range(runs)) / runs for name, trial in trials.items()}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    started = time.monotonic()
    result: dict[str, object] = {"runs": runs, "looks": LOOKS, "alpha": ALPHA}
    result["false positives"] = list(false_positives(runs))
    result["power at 20 looks"] = power(runs)
    result["e-processes, share called"] = exact_tests(1000, 11)
    result["seconds"] = round(time.monotonic() - started)
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
