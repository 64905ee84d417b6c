"""Each metric on its own clock: what is not yet, why and until when, and what a win waits for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from windsock.cli._experiment_status import grid, without_number
from windsock.experiments.analysis import Analysis, analyse
from windsock.experiments.comparison import Comparison, ComparisonOutcome
from windsock.experiments.data.collected import Collected, Exposed
from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.decision import Action, Decision, State, Wait, decide
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metric
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.reporting.page import sections
from windsock.experiments.reporting.summary import as_data, message
from windsock.experiments.result import Result
from windsock.experiments.statistics.moments import ShiftedSums

START = datetime(2026, 3, 1, tzinfo=UTC)
A_DAY = 200
WINDOWS = {"revenue": 1, "complaints": 7}
UNITS, DURATION = {"units": 28 * A_DAY}, {"duration": "28d"}


def declared(maximum: object = UNITS, design: object = "any_time", margin: float = 0.0) -> DeclaredExperiment:
    """A goal that takes a day beside a guardrail that takes a week."""
    facts = {
        "name": "clocks", "hypothesis": "It is better.", "owner": "ann", "settings": "tutor", "design": design,
        "arms": {"control": {}, "other": {"a": 1}}, "minimum_effect": 0.02, "maximum": maximum,
        "metrics": {"goal": ["revenue"], "guardrails": [{"metric": "complaints", "margin": margin}]},
    }  # fmt: skip
    source = {"source": {"event": "x"}, "kind": "mean", "value": "value", "covariate": "0d"}
    metrics = {
        "revenue": Metric.model_validate(source | {"better": "higher", "window": "1d"}),
        "complaints": Metric.model_validate(source | {"better": "lower", "window": "7d"}),
    }
    return DeclaredExperiment(Experiment.model_validate(facts), metrics)


def look(
    document: DeclaredExperiment, day: int, sign: float = 1.0, **effects: float
) -> tuple[Analysis, Decision]:
    """The analysis at the end of a day; 200 units come on each of 28 days."""
    random = np.random.default_rng(5)
    treated = np.arange(28 * A_DAY) % 2 == 1
    values = {
        name: sign * random.gamma(2.0, 0.5, len(treated)) * np.where(treated, 1 + effects.get(name, 0.0), 1.0)
        for name in WINDOWS
    }
    here = treated[: day * A_DAY]
    counted = {"control": int((~here).sum()), "other": int(here.sum())}
    exposed = Exposed(counted, 0, {}, 0, 0, (), {}, {}, {}, (), START)
    maximum = document.experiment.maximum
    if maximum is not None and maximum.duration is not None:
        parts = np.diff(np.minimum(np.arange(41) * 28 / 40, min(day, 28))) * A_DAY
        exposed = replace(exposed, arrived=tuple(int(each) for each in parts if each))
    metrics = {name: sums(name, treated, values[name], day - WINDOWS[name]) for name in WINDOWS}
    found = analyse(document, Collected("production", START + timedelta(days=day), None, exposed, metrics))
    return found, decide(found)


def sums(name: str, treated: np.ndarray, x: np.ndarray, days: int) -> dict[str, ArmSums]:
    here, x = treated[: max(days, 0) * A_DAY], x[: max(days, 0) * A_DAY]
    column, found = f"n_{name}", {}
    for arm, rows in (("control", x[~here]), ("other", x[here])):
        products = {(column, column): float(rows @ rows)}
        moments = ShiftedSums(len(rows), {column: 0.0}, {column: float(rows.sum())}, products)
        found[arm] = ArmSums(moments, len(rows), len(rows))
    return found


def of(analysis: Analysis, name: str) -> Comparison:
    return next(each for each in analysis.comparisons if each.metric == name)


@pytest.mark.parametrize("maximum", [UNITS, DURATION, None])
def test_a_guardrails_week_does_not_hold_back_a_goals_day(maximum) -> None:
    analysis, decision = look(declared(maximum), 6, revenue=-0.5)
    assert (of(analysis, "revenue").outcome, decision.state) == (ComparisonOutcome.WORSE, State.HARMFUL)
    assert of(analysis, "complaints").outcome is ComparisonOutcome.NOT_YET
    if maximum is not None:
        assert of(analysis, "revenue").fraction == pytest.approx(5 / 28)
        assert of(analysis, "complaints").fraction == 0


@pytest.mark.parametrize("maximum", [UNITS, DURATION, None])
@pytest.mark.slow
def test_a_win_waits_until_the_guardrail_has_come_as_far_as_the_verdict_needs(maximum) -> None:
    days = {day: look(declared(maximum), day, revenue=0.3)[1] for day in range(2, 24)}
    better = next(day for day, each in days.items() if "Revenue is better in other" in each.sentence)
    won = next(day for day, each in days.items() if each.state is State.WIN)
    assert won - better >= 4
    waiting = days[better]
    assert (waiting.state, waiting.action) == (State.COLLECTING, Action.GO_ON)
    until = START + timedelta(days=better + 6)
    assert waiting.waits == (Wait("complaints", until),)
    assert f"waits for complaints, which takes 7 days, until about {until:%Y-%m-%d}" in waiting.sentence
    assert not days[won].waits


def test_an_arm_that_harms_a_slow_guardrail_does_not_win_before_it_is_seen() -> None:
    states = [look(declared(), day, revenue=0.3, complaints=0.6)[1].state for day in range(2, 36)]
    assert State.WIN not in states
    assert State.HARMFUL in states


def test_a_guardrail_with_a_margin_is_named_while_it_is_open() -> None:
    decision = look(declared(margin=0.1), 6, revenue=0.5)[1]
    assert decision.waits == (Wait("complaints", START + timedelta(days=7)),)
    assert (
        "A win waits for the margin of complaints, which is still open, until about 2026-03-08"
        in decision.sentence
    )


def test_goals_at_the_maximum_without_an_effect_wait_for_nothing() -> None:
    analysis, decision = look(declared(), 29, revenue=0.0)
    assert of(analysis, "complaints").fraction < 1
    assert (decision.state, decision.action) == (State.INCONCLUSIVE, Action.STOP)


def test_planned_looks_are_taken_at_all_metrics_at_once() -> None:
    document = declared(DURATION, {"looks": [0.25, 1.0]})
    analysis, decision = look(document, 12, revenue=0.3)
    goal = of(analysis, "revenue")
    assert (
        goal.note
        == "the first look is at 25\N{NO-BREAK SPACE}% of the maximum, about 2026-03-15; 18\N{NO-BREAK SPACE}% is in"
    )
    assert goal.expected == START + timedelta(days=14)
    assert decision.sentence == f"Nothing can be said yet. Revenue: {goal.note}. Go on."
    analysis, decision = look(document, 14, revenue=0.3)
    assert (of(analysis, "revenue").outcome, decision.state) == (ComparisonOutcome.BETTER, State.WIN)


def test_one_look_at_the_end_is_at_the_metrics_own_end() -> None:
    document = declared(UNITS, "fixed")
    assert of(look(document, 15)[0], "revenue").note.startswith(
        "the one look is at the end, about 2026-03-30; 50"
    )
    assert of(look(document, 29, revenue=0.3)[0], "revenue").outcome is ComparisonOutcome.BETTER


@pytest.mark.parametrize(
    ("document", "day", "name", "said"),
    [
        (declared(), 3, "complaints", "no unit has completed the 7 days that this metric takes; the first will"),
        (declared(), 1, "revenue", "no unit has completed the 1 day that this metric takes"),
        (declared({"units": 10**8}), 3, "revenue", "the interval is still too wide to say anything"),
        (declared({"units": 10**8}, {"looks": [0.5, 1.0]}), 9, "revenue", "the first look is at 50"),
    ],
)  # fmt: skip
def test_what_says_nothing_yet_is_told_alike_everywhere(document, day, name, said) -> None:
    analysis, decision = look(document, day)
    found = of(analysis, name)
    assert (found.outcome, found.interval, found.relative, found.p_value) == (
        ComparisonOutcome.NOT_YET, None, None, None,
    )  # fmt: skip
    assert said in found.note
    result = Result(analysis, decision)
    html = sections(analysis, decision)
    assert ">not yet<" in html
    assert said in html
    assert any(said in each for each in message(result))
    assert any(said in each for each in without_number(analysis.comparisons))
    row = next(each for each in as_data(result)["comparisons"] if each["metric"] == name)
    assert (row["outcome"], row["relative_interval"]) == ("not yet", None)
    assert said in row["note"]
    column = list(grid("metric", [("x", found)]).columns[-1].cells)
    assert [str(each) for each in column] == ["not yet"]


def test_an_interval_without_a_ratio_says_something_on_the_day_that_was_forecast() -> None:
    """Negative values have no ratio; half the width of their interval falls with the root of the time."""
    document = declared({"units": 20_000})
    days = {day: of(look(document, day, sign=-1.0)[0], "revenue") for day in range(2, 15)}
    assert days[2].outcome is ComparisonOutcome.NOT_YET
    first = next(day for day, each in days.items() if each.outcome is not ComparisonOutcome.NOT_YET)
    assert first > 3
    for day in range(2, first):
        assert days[day].expected is not None
        assert first - 1 <= (days[day].expected - START) / timedelta(days=1) <= first


def test_no_look_prints_an_absurd_interval() -> None:
    for maximum in (UNITS, {"units": 10**9}, None):
        for day in range(1, 36):
            for each in look(declared(maximum), day)[0].comparisons:
                assert each.relative is None or (1 + each.relative[1]) / (1 + each.relative[0]) <= 100


def test_goals_that_are_not_yet_count_in_holms_correction() -> None:
    """Or the first goal to come would be tested as if it were alone, and the next one again."""
    document = declared()
    both = document.experiment.metrics.model_copy(
        update={"goal": ["revenue", "complaints"], "guardrails": []}
    )
    two = replace(document, experiment=document.experiment.model_copy(update={"metrics": both}))
    alone, together = (of(look(each, 7, revenue=0.2)[0], "revenue") for each in (document, two))
    assert of(look(two, 7)[0], "complaints").p_value is None
    assert together.p_value == pytest.approx(2 * alone.p_value)
