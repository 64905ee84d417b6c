"""Several metrics at once: what holds one back is computed by hand, and told at exactly that limit."""

from collections.abc import Mapping
from datetime import timedelta
from math import sqrt

import pytest
from scipy.optimize import brentq

from tests.experiments.data import START
from windsock.cli._experiment_status import without_verdict
from windsock.experiments.analysis import Analysis, analyse
from windsock.experiments.comparison import Comparison, ComparisonOutcome
from windsock.experiments.data.collected import Collected, Exposed
from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.decision import decide
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metric
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.reporting.page import sections
from windsock.experiments.reporting.summary import as_data
from windsock.experiments.result import Result
from windsock.experiments.statistics.moments import ShiftedSums
from windsock.experiments.wording import effect_sentence

UNITS, ALPHA = 1_000, 0.05
HELD = (
    "{} in other: better by its interval alone; e-BH, which keeps false discoveries among secondary metrics "
    "rare, asks for more evidence."
)
BY_RANK = "by Holm's method, which leaves it more error than its interval shows once other goals are decided"


def analysed(goals: list[str], secondary: list[str], effects: Mapping[str, float]) -> Analysis:
    """A thousand units in each arm, with mean 1 and variance 1 in control, and more in the other."""
    metrics = {
        name: Metric.model_validate(
            {"source": {"event": name}, "kind": "mean", "value": "v", "better": "higher", "covariate": "0d"}
        )
        for name in [*goals, *secondary]
    }
    experiment = Experiment.model_validate(
        {
            "name": "several", "hypothesis": "Higher.", "owner": "ann", "settings": "tutor", "alpha": ALPHA,
            "arms": {"control": {}, "other": {"a": 1}}, "minimum_effect": 0.001,
            "maximum": {"units": 2 * UNITS}, "metrics": {"goal": goals, "secondary": secondary},
        }
    )  # fmt: skip
    counted = {"control": UNITS, "other": UNITS}
    exposed = Exposed(counted, 0, {}, 0, 0, (), {}, {}, {}, (), START)
    sums = {
        name: {"control": arm(name, 1.0), "other": arm(name, 1.0 + effects.get(name, 0.0))}
        for name in metrics
    }
    collected = Collected("production", START + timedelta(days=30), None, exposed, sums)
    return analyse(DeclaredExperiment(experiment, metrics), collected)


def arm(name: str, mean: float) -> ArmSums:
    column = f"n_{name}"
    products = {(column, column): UNITS * mean**2 + (UNITS - 1.0)}
    return ArmSums(ShiftedSums(UNITS, {column: 0.0}, {column: UNITS * mean}, products), UNITS, UNITS)


def of(analysis: Analysis, metric: str) -> Comparison:
    return next(each for each in analysis.comparisons if each.metric == metric)


def effect_at(p_value: float) -> float:
    """The effect whose p-value at this look is this, if no other metric is tested."""
    return brentq(
        lambda effect: of(analysed(["alone"], [], {"alone": effect}), "alone").p_value - p_value, 0.02, 0.9,
        xtol=1e-13,
    )  # fmt: skip


def told(analysis: Analysis) -> tuple[list[str], str, dict[str, str]]:
    """What a person reads at the terminal, in the report and in JSON."""
    decision = decide(analysis)
    rows = as_data(Result(analysis, decision))["comparisons"]
    return (
        list(without_verdict(analysis.comparisons)),
        sections(analysis, decision),
        {row["metric"]: row["note"] for row in rows},
    )


@pytest.mark.parametrize("discoveries", [1, 2])
@pytest.mark.parametrize("tests", [2, 5])
def test_e_bh_holds_a_secondary_metric_back_and_says_so_at_its_limit(tests, discoveries) -> None:
    """By hand: e = 1 / (2 √p) of k metrics must be at least tests / (k · alpha), so p at most (k · alpha / 2 tests)²."""
    limit = (discoveries * ALPHA / (2 * tests)) ** 2
    assert 1 / (2 * sqrt(limit)) == pytest.approx(tests / (discoveries * ALPHA))
    names = [f"metric_{number}" for number in range(tests)]
    effect = effect_at(limit)
    for factor, is_held in ((1 + 1e-6, False), (1 - 1e-6, True)):
        effects = dict.fromkeys(names[:discoveries], effect * factor)
        analysis = analysed(["goal"], names, effects)
        found = [of(analysis, name) for name in names]
        assert all((each.p_value <= limit) is not is_held for each in found[:discoveries])
        assert all(each.interval[0] > 0 for each in found[:discoveries])
        assert {each.outcome for each in found[:discoveries]} == {
            ComparisonOutcome.OPEN if is_held else ComparisonOutcome.BETTER
        }
        said = [HELD.format(f"Metric {number}") for number in range(discoveries)] if is_held else []
        lines, page, notes = told(analysis)
        assert lines == said
        assert page.count("better by its interval alone; e-BH") == len(said)
        assert [name for name in names if "e-BH" in notes[name]] == names[: len(said)]


def test_holm_decides_a_goal_beside_its_interval_and_says_so_at_its_limit() -> None:
    """By hand: of two goals, the larger p-value is compared with alpha, once the smaller is at most alpha / 2.

    The interval of each is Bonferroni's, at alpha / 2, and contains zero where p is above that.
    """
    strong, effect = effect_at(1e-6), effect_at(ALPHA)
    for factor, outcome in ((1 + 1e-6, ComparisonOutcome.BETTER), (1 - 1e-6, ComparisonOutcome.OPEN)):
        analysis = analysed(["first", "second"], [], {"first": strong, "second": effect * factor})
        first, second = of(analysis, "first"), of(analysis, "second")
        assert first.p_value == pytest.approx(2e-6, rel=1e-3)
        assert second.p_value == pytest.approx(ALPHA, rel=1e-3)
        assert second.interval[0] < 0 < second.interval[1]
        assert (first.outcome, second.outcome) == (ComparisonOutcome.BETTER, outcome)
        is_told = outcome is ComparisonOutcome.BETTER
        lines, page, notes = told(analysis)
        assert lines == ([f"Second in other: {BY_RANK}."] if is_told else [])
        assert (
            "Holm&#x27;s method, which leaves" in page or "Holm's method, which leaves" in page
        ) is is_told
        assert notes == {"first": "", "second": BY_RANK if is_told else ""}
        assert (f"; {BY_RANK})." in effect_sentence(second, analysis)) is is_told


def test_holm_gives_the_larger_p_value_nothing_while_the_smaller_is_not_decided() -> None:
    """By hand: both at 0.03 have an adjusted p-value of 0.06, for 2 · 0.03 > 0.05; at 0.025 both are decided."""
    for p_value, outcome in ((0.03, ComparisonOutcome.OPEN), (0.025 * (1 - 1e-6), ComparisonOutcome.BETTER)):
        analysis = analysed(["first", "second"], [], dict.fromkeys(("first", "second"), effect_at(p_value)))
        for name in ("first", "second"):
            assert of(analysis, name).p_value == pytest.approx(2 * p_value, rel=1e-6)
            assert of(analysis, name).outcome is outcome
        assert told(analysis)[0] == []
