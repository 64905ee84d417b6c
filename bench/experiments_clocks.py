"""A goal of a day beside a guardrail of a week, looked at daily: `python bench/experiments_clocks.py [RUNS]`.

Each metric has a clock of its own, and a win waits for the guardrail. Every look is analysed and decided as
`windsock experiment decide` does it, from the sums of the units that have matured by then. A/A experiments
tell how often a goal is called, or an arm wins, without an effect. Then an arm truly improves the goal and
truly harms the guardrail: how often does it win, with the wait and if a win did not wait? Bounds are those of
Clopper and Pearson's exact 95 % interval.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from windsock.experiments.statistics.moments import ShiftedSums

RESULTS = Path(__file__).parent / "results" / "experiments_clocks.json"
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS, A_DAY = 28, 200
WINDOWS = {"revenue": 1, "complaints": 7}
"""The goal's window and the guardrail's, in days."""


def metric(better: str, days: int) -> Metric:
    """A mean per unit."""
    facts = {"source": {"event": "x"}, "kind": "mean", "value": "value", "covariate": "0d"}
    return Metric.model_validate(facts | {"better": better, "window": f"{days}d"})


def declared(maximum: dict[str, object] | None, design: object = "any_time") -> DeclaredExperiment:
    """Two arms, one goal, one guardrail without a margin."""
    facts = {
        "name": "clocks", "hypothesis": "Earlier.", "owner": "bench", "settings": "tutor", "maximum": maximum,
        "arms": {"control": {}, "other": {"a": 1}}, "minimum_effect": 0.02, "design": design,
        "metrics": {"goal": ["revenue"], "guardrails": ["complaints"]},
    }  # fmt: skip
    metrics = {"revenue": metric("higher", 1), "complaints": metric("lower", 7)}
    return DeclaredExperiment(Experiment.model_validate(facts), metrics)


@dataclass(frozen=True)
class Units:
    """The units of one experiment in the order of their arrival, evenly over the days."""

    treated: np.ndarray
    values: dict[str, np.ndarray]

    @classmethod
    def drawn(cls, random: np.random.Generator, effects: dict[str, float]) -> "Units":
        """Skewed values above zero; an effect multiplies those of the other arm."""
        treated = random.random(DAYS * A_DAY) < 0.5
        values = {
            name: random.gamma(2.0, 0.5, len(treated)) * np.where(treated, 1 + effects.get(name, 0.0), 1.0)
            for name in WINDOWS
        }
        return cls(treated, values)

    def collected(self, day: int) -> Collected:
        """What an analysis at the end of a day collects."""
        here = self.treated[: min(day, DAYS) * A_DAY]
        counted = {"control": int((~here).sum()), "other": int(here.sum())}
        now = START + timedelta(days=day)
        exposed = Exposed(counted, 0, {}, 0, 0, (), {}, {}, {}, (), START)
        metrics = {name: self.sums(name, min(max(day - window, 0), DAYS)) for name, window in WINDOWS.items()}
        return Collected("production", now, None, exposed, metrics)

    def sums(self, name: str, days: int) -> dict[str, ArmSums]:
        """The sums of the units that came within the first days."""
        here, x = self.treated[: days * A_DAY], self.values[name][: days * A_DAY]
        found, column = {}, f"n_{name}"
        for arm, rows in (("control", x[~here]), ("other", x[here])):
            products = {(column, column): float(rows @ rows)}
            moments = ShiftedSums(len(rows), {column: 0.0}, {column: float(rows.sum())}, products)
            found[arm] = ArmSums(moments, len(rows), len(rows))
        return found


@dataclass(frozen=True)
class Ended:
    """How one experiment ended: the day of each, or none."""

    called: int | None
    won: int | None
    hasty: int | None


def run(document: DeclaredExperiment, units: Units) -> Ended:
    """Look at the end of each day until the arm wins or is harmful.

    Returns:
        When the goal was first called, when the arm won, and when it had won without the wait.
    """
    called = hasty = None
    for day in range(1, DAYS + max(WINDOWS.values()) + 1):
        analysis = analyse(document, units.collected(day))
        goal = analysis.of_role(MetricRole.GOAL)[0]
        decision = decide(analysis)
        if goal.outcome in (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE):
            called = called or day
        if goal.outcome is ComparisonOutcome.BETTER and decision.state is not State.HARMFUL:
            hasty = hasty or day
        if decision.state is State.WIN:
            return Ended(called, day, hasty)
        if decision.state is State.HARMFUL:
            return Ended(called, None, hasty)
    return Ended(called, None, hasty)


def share(found: list[int | None]) -> dict[str, float]:
    """How often something happened, with its bound, and the day it happened on in the middle."""
    days = [day for day in found if day is not None]
    runs, count = len(found), len(days)
    bound = float(beta.ppf(0.975, count + 1, runs - count)) if count < runs else 1.0
    middle = {"median day": float(np.median(days))} if days else {}
    return {"rate": count / runs, "exact upper bound 95 %": round(bound, 4)} | middle


MAXIMA: dict[str, dict[str, object] | None] = {"units": {"units": DAYS * A_DAY}, "none": None}
EFFECTS = {
    "A/A": {},
    "goal 12 % better, guardrail 24 % worse": {"revenue": 0.12, "complaints": 0.24},
    "goal 12 % better": {"revenue": 0.12},
}


def rows(runs: int) -> Iterator[dict[str, object]]:
    """Each maximum and each effect."""
    for maximum, limit in MAXIMA.items():
        document = declared(limit)
        for number, (title, effects) in enumerate(EFFECTS.items()):
            random = np.random.default_rng(100 + number)
            ended = [run(document, Units.drawn(random, effects)) for _ in range(runs)]
            yield {
                "maximum": maximum, "truth": title,
                "goal called": share([each.called for each in ended]),
                "won": share([each.won for each in ended]),
                "won if it did not wait": share([each.hasty for each in ended]),
            }  # fmt: skip


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    result = {"runs": runs, "looks": "daily", "windows, days": WINDOWS, "rows": list(rows(runs))}
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
