"""A guardrail without a margin that looks worse holds a win back, and a win says how much harm is possible."""

import pytest
from scipy.stats import binomtest

from tests.experiments.test_clocks import DURATION, UNITS, declared, look, of
from windsock.experiments.comparison import Comparison, ComparisonOutcome, MetricRole
from windsock.experiments.decision import Action, State, Wait
from windsock.experiments.metrics import Metric
from windsock.experiments.statistics.e_processes import event_ratio_p_value
from windsock.experiments.unproven_harm import not_excluded, one_look
from windsock.experiments.wording import percent


def metric(better: str) -> Metric:
    return Metric.model_validate({"source": {"event": "x"}, "kind": "count", "better": better})


def guardrail(name: str, **facts: object) -> Comparison:
    return Comparison(name, "other", MetricRole.GUARDRAIL, ComparisonOutcome.OPEN, 0.9, (100, 100), **facts)


@pytest.mark.parametrize(("control", "treatment"), [(0, 0), (0, 4), (3, 0), (30, 44), (500, 480)])
@pytest.mark.parametrize("odds", [1.0, 0.05])
@pytest.mark.parametrize("above_one", [True, False])
def test_one_looks_p_value_of_counts_is_the_binomial_test(control, treatment, odds, above_one) -> None:
    found = event_ratio_p_value(control, treatment, odds, above_one=above_one)
    if control + treatment:
        side = "greater" if above_one else "less"
        exact = binomtest(treatment, control + treatment, odds / (1 + odds), alternative=side)
        assert found == pytest.approx(exact.pvalue, rel=1e-9)
    else:
        assert found == 1.0


def test_events_are_worse_in_the_direction_that_is_not_wanted() -> None:
    found = guardrail("x", events=(20, 40))
    assert one_look(found, metric("lower"), 1.0) < 0.01
    assert one_look(found, metric("higher"), 1.0) > 0.99


@pytest.mark.parametrize("maximum", [UNITS, DURATION, None])
def test_a_guardrail_that_looks_worse_holds_a_win_back(maximum) -> None:
    analysis, decision = look(declared(maximum), 15, revenue=0.3, complaints=0.1)
    found = of(analysis, "complaints")
    assert (found.outcome, found.looks_worse) == (ComparisonOutcome.OPEN, True)
    assert (decision.state, decision.action) == (State.COLLECTING, Action.GO_ON)
    assert decision.waits == (Wait("complaints", None),)
    waits = "A win waits for complaints, which looks worse so far but isn't shown to be. Go on."
    assert decision.sentence.endswith(waits)


def test_a_guardrail_that_still_looks_worse_at_the_maximum_leaves_it_open() -> None:
    analysis, decision = look(declared(), 35, revenue=0.3, complaints=0.05)
    assert of(analysis, "complaints").looks_worse
    assert (decision.state, decision.action) == (State.INCONCLUSIVE, Action.STOP)
    assert "complaints may be worse, which is neither shown nor ruled out. Keep control." in decision.sentence


def test_a_win_says_how_much_harm_is_not_excluded() -> None:
    analysis, decision = look(declared(), 20, revenue=0.3)
    found = of(analysis, "complaints")
    assert decision.state is State.WIN
    assert found.relative is not None
    possible = f"Not excluded: complaints up to {percent(found.relative[1], 1)} worse. Ship other."
    assert decision.sentence.endswith(possible)


def test_a_win_with_its_margin_shown_has_nothing_to_add() -> None:
    decision = look(declared(margin=0.2), 20, revenue=0.3)[1]
    assert decision.state is State.WIN
    assert "Not excluded" not in decision.sentence


def test_a_margin_is_shown_by_the_interval_and_not_by_looking_well() -> None:
    analysis, decision = look(declared(margin=0.05), 20, revenue=0.3)
    found = of(analysis, "complaints")
    assert found.effect is not None
    assert found.relative is not None
    assert found.effect.relative < 0
    assert found.relative[1] > 0.05
    assert (decision.state, found.outcome) == (State.COLLECTING, ComparisonOutcome.OPEN)


def test_both_ends_of_a_guardrails_interval_hold_on_their_own() -> None:
    """So together they hold nine times in ten, where each does nineteen times in twenty."""
    analysis, decision = look(declared(), 20, revenue=0.3)
    assert of(analysis, "complaints").confidence == pytest.approx(0.9)
    assert of(analysis, "revenue").confidence == pytest.approx(0.95)
    assert "(90\N{NO-BREAK SPACE}% interval" in decision.reasons[1]


def test_the_worst_are_named_and_the_others_counted() -> None:
    found = [
        guardrail("refunds", relative=(-0.3, 0.02)),
        guardrail("visits", relative=(-0.25, 0.1)),
        guardrail("complaints", relative=(-0.1, 0.125)),
        guardrail("errors"),
        guardrail("delays", relative=(-0.4, -0.1)),
        guardrail("losses", relative=(-0.1, 0.4), margin=0.5),
    ]
    better = {"visits": "higher"}
    metrics = {each.metric: metric(better.get(each.metric, "lower")) for each in found}
    assert not_excluded(found, metrics) == (
        "Not excluded: errors worse by an unknown amount, visits up to 25.0\N{NO-BREAK SPACE}% worse, "
        "complaints up to 12.5\N{NO-BREAK SPACE}% worse, 1 more guardrail."
    )
    assert not_excluded(found[4:], metrics) == ""
    negative = guardrail("refunds", interval=(-3.0, 1.5))
    assert not_excluded([negative], metrics) == "Not excluded: refunds worse by up to 1.5."
