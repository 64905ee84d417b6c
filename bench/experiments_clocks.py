"""A goal of a day beside a guardrail of a week, looked at daily: `python bench/experiments_clocks.py [RUNS]`.

Each metric has a clock of its own, and a win waits for the guardrail: until it has come as far as the goal's
verdict needs, until it doesn't look worse, and with a margin until that is shown. Every look is analysed and
decided as `windsock experiment decide` does it, from the sums of the units that have matured by then. A/A
experiments tell how often a goal is called, or an arm wins, without an effect. Then an arm truly improves the
goal and truly harms the guardrail: how often does it win, how often would it if a win did not wait, and how
often does it win with a sentence that excludes the true harm? Bounds are those of Clopper and Pearson's exact
95 % interval.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.stats import beta

from windsock.experiments.analysis import analyse
from windsock.experiments.comparison import ComparisonOutcome, MetricRole
from windsock.experiments.data.collected import Collected, Exposed
from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.decision import State, decide
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metric
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics import calendar
from windsock.experiments.statistics.moments import ShiftedSums

RESULTS = Path(__file__).parent / "results" / "experiments_clocks.json"
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS, A_DAY, ALPHA, DRAWS = 28, 200, 0.05, 10
WINDOWS = {"revenue": 1, "complaints": 7}
"""The goal's window and the guardrail's, in days."""


def metric(better: str, days: int) -> Metric:
    """A mean per unit."""
    facts = {"source": {"event": "x"}, "kind": "mean", "value": "value", "covariate": "0d"}
    return Metric.model_validate(facts | {"better": better, "window": f"{days}d"})


def declared(maximum: dict[str, object] | None, margin: float = 0.0) -> DeclaredExperiment:
    """Two arms, one goal, one guardrail."""
    facts = {
        "name": "clocks", "hypothesis": "Earlier.", "owner": "bench", "settings": "tutor", "maximum": maximum,
        "arms": {"control": {}, "other": {"a": 1}}, "minimum_effect": 0.02, "alpha": ALPHA,
        "metrics": {"goal": ["revenue"], "guardrails": [{"metric": "complaints", "margin": margin}]},
    }  # fmt: skip
    metrics = {"revenue": metric("higher", 1), "complaints": metric("lower", 7)}
    return DeclaredExperiment(Experiment.model_validate(facts), metrics)


def whether_significant(so_far: calendar.History, z: float, *, two_sided: bool = True) -> float:
    """In place of a duration's slow p-value: a goal without others only compares it with alpha."""
    distance = abs(z) if two_sided else z
    return 0.0 if distance > calendar.multiplier(so_far, ALPHA, two_sided=two_sided) else 1.0


@dataclass(frozen=True)
class Units:
    """The units of one experiment in the order of their arrival.

    Attributes:
        ends: How many there are at the end of each day.
        treated: Which are in the other arm.
        values: Of each metric.
    """

    ends: np.ndarray
    treated: np.ndarray
    values: dict[str, np.ndarray]

    @classmethod
    def drawn(cls, random: np.random.Generator, effects: dict[str, float], ends: np.ndarray) -> "Units":
        """Skewed values above zero; an effect multiplies those of the other arm."""
        treated = random.random(int(ends[-1])) < 0.5
        values = {
            name: random.gamma(2.0, 0.5, len(treated)) * np.where(treated, 1 + effects.get(name, 0.0), 1.0)
            for name in WINDOWS
        }
        return cls(ends, treated, values)

    def collected(self, day: int, *, by_date: bool) -> Collected:
        """What an analysis at the end of a day collects."""
        here = self.treated[: self._by(day)]
        counted = {"control": int((~here).sum()), "other": int(here.sum())}
        now = START + timedelta(days=day)
        arrived = self._arrived(day) if by_date else ()
        exposed = Exposed(counted, 0, {}, 0, 0, (), {}, {}, {}, (), START, arrived=arrived)
        metrics = {name: self._sums(name, self._by(day - window)) for name, window in WINDOWS.items()}
        return Collected("production", now, None, exposed, metrics)

    def _by(self, day: int) -> int:
        """How many had come by the end of a day."""
        return int(self.ends[min(day, DAYS) - 1]) if day > 0 else 0

    def _arrived(self, day: int) -> tuple[int, ...]:
        """How many came in each part of the duration by the end of a day."""
        parts = np.minimum(np.arange(calendar.COUNTS + 1) * DAYS / calendar.COUNTS, min(day, DAYS))
        came = np.round(np.interp(parts, np.arange(DAYS + 1), (0, *self.ends)))
        last = int(np.searchsorted(parts, min(day, DAYS)))
        return tuple(int(each) for each in np.diff(came)[:last])

    def _sums(self, name: str, count: int) -> dict[str, ArmSums]:
        """The sums of the first units."""
        here, x = self.treated[:count], self.values[name][:count]
        found, column = {}, f"n_{name}"
        for arm, rows in (("control", x[~here]), ("other", x[here])):
            products = {(column, column): float(rows @ rows)}
            moments = ShiftedSums(len(rows), {column: 0.0}, {column: float(rows.sum())}, products)
            found[arm] = ArmSums(moments, len(rows), len(rows))
        return found


def arrivals(maximum: str) -> list[np.ndarray]:
    """How many units there are at the end of each day: evenly, or for a duration by chance.

    By chance, half as many come at weekends and twice as many at the end. Ten draws serve all runs, because
    the boundary of each has to be computed.
    """
    if maximum != "duration":
        return [np.arange(1, DAYS + 1) * A_DAY]
    random = np.random.default_rng(17)
    rates = np.where(np.arange(DAYS) % 7 >= 5, 0.5, 1.0) * np.linspace(2 / 3, 4 / 3, DAYS)
    return [random.poisson(rates * DAYS * A_DAY / rates.sum()).cumsum() for _ in range(DRAWS)]


@dataclass(frozen=True)
class Ended:
    """How one experiment ended: the day of each, or none."""

    called: int | None = None
    won: int | None = None
    hasty: int | None = None
    understated: int | None = None
    harmful: int | None = None


def run(document: DeclaredExperiment, units: Units, harm: float) -> Ended:
    """Look at the end of each day until the arm wins or is harmful.

    Returns:
        When the goal was first called, when the arm won, when it had won without the wait, when it won with a
        guardrail whose interval excludes its true harm, and when it was called harmful.
    """
    called = hasty = None
    maximum = document.experiment.maximum
    by_date = maximum is not None and maximum.duration is not None
    for day in range(1, DAYS + max(WINDOWS.values()) + 1):
        analysis = analyse(document, units.collected(day, by_date=by_date))
        goal, guardrail = (analysis.of_role(role)[0] for role in (MetricRole.GOAL, MetricRole.GUARDRAIL))
        decision = decide(analysis)
        if goal.outcome in (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE):
            called = called or day
        if goal.outcome is ComparisonOutcome.BETTER and decision.state is not State.HARMFUL:
            hasty = hasty or day
        if decision.state is State.WIN:
            possible = guardrail.relative[1] if guardrail.relative is not None else np.inf
            return Ended(called, day, hasty, day if possible < harm else None)
        if decision.state is State.HARMFUL:
            return Ended(called, None, hasty, harmful=day)
    return Ended(called, None, hasty)


def share(found: list[int | None]) -> dict[str, float]:
    """How often something happened, with its bound, and the day it happened on in the middle."""
    days = [day for day in found if day is not None]
    runs, count = len(found), len(days)
    bound = float(beta.ppf(0.975, count + 1, runs - count)) if count < runs else 1.0
    middle = {"median day": float(np.median(days))} if days else {}
    return {"rate": count / runs, "exact upper bound 95 %": round(bound, 4)} | middle


MAXIMA: dict[str, dict[str, object] | None] = {
    "units": {"units": DAYS * A_DAY},
    "duration": {"duration": f"{DAYS}d"},
    "none": None,
}
TRUTHS = {
    "A/A": {},
    "goal 12 % better": {"revenue": 0.12},
    "goal 12 % better, guardrail 12 % worse": {"revenue": 0.12, "complaints": 0.12},
    "goal 12 % better, guardrail 24 % worse": {"revenue": 0.12, "complaints": 0.24},
}
MARGINS = (0.0, 0.1)


def rows(runs: int) -> Iterator[dict[str, object]]:
    """Each maximum, each margin and each truth."""
    for (maximum, limit), margin, (seed, truth) in product(MAXIMA.items(), MARGINS, enumerate(TRUTHS)):
        document, effects = declared(limit, margin), TRUTHS[truth]
        random = np.random.default_rng(100 + seed)
        harm = effects.get("complaints", 0.0)
        ends = arrivals(maximum)
        count = runs if effects or margin else 4 * runs  # a rate near 5 % needs more, to tell it from 6 %
        ended = [
            run(document, Units.drawn(random, effects, ends[number % len(ends)]), harm)
            for number in range(count)
        ]
        row = {
            "maximum": maximum, "margin": margin, "truth": truth, "runs": count, "seed": 100 + seed,
            "goal called": share([each.called for each in ended]),
            "won": share([each.won for each in ended]),
            "called harmful": share([each.harmful for each in ended]),
            "won if it did not wait": share([each.hasty for each in ended]),
            "won, and its true harm excluded": share([each.understated for each in ended]),
        }  # fmt: skip
        print(row, flush=True)
        yield row


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with patch.object(calendar, "p_value", whether_significant):
        found = list(rows(runs))
    result = {"looks": "daily", "windows, days": WINDOWS, "rows": found}
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
