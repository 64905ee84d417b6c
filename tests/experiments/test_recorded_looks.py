"""A declaration that changes after a recorded look is noticed, told, and decides nothing."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.experiments import engines
from tests.experiments.data import GOOD, METRICS, NOW, START, declare, experiment_rows
from windsock.errors import ConfigurationError
from windsock.experiments import Result, analyze, restore
from windsock.experiments.changes import changes
from windsock.experiments.data.keeping import keep, refuse_undecidable
from windsock.experiments.decision import State
from windsock.experiments.reading import read_declared
from windsock.experiments.reporting.left_out import left_out

DOCUMENT = GOOD.replace("segments", "")


@pytest.fixture
def place(tmp_path):
    flags, data = tmp_path / "flagd", tmp_path / "data"
    data.mkdir()
    with engines.parquet(experiment_rows(60), data):
        pass

    def look(text: str = DOCUMENT, metrics: str = METRICS) -> Result:
        return analyze("cheaper_model", data, flags=declare(flags, text, metrics), now=NOW)

    def record(declared: object, **other: object) -> None:
        row = {
            "experiment": "cheaper_model", "version": 1, "environment": "production", "taken_at": START,
            "declared": declared if isinstance(declared, str) else json.dumps(declared),
        } | other  # fmt: skip
        pyarrow.parquet.write_table(pa.Table.from_pylist([row]), data / "analysis_snapshots.parquet")

    look.record, look.flags = record, flags
    return look


@pytest.mark.slow
def test_each_change_that_voids_the_promise_is_said(place) -> None:
    place()
    then = read_declared(place.flags, "cheaper_model")
    for before, after, said in (
        ("minimum_effect: 5%", "minimum_effect: 4%", "the minimum effect was 0.05 and is 0.04"),
        ("minimum_effect: 5%", "minimum_effect: 5%\nalpha: 0.1", "alpha was 0.05 and is 0.1"),
        ("{units: 5000}", "{units: 9000}", "the maximum was 5,000 units and is 9,000 units"),
        ("{units: 5000}", "{duration: 28d}", "the maximum was 5,000 units and is 4w"),
        ("{units: 5000}", "{units: 5000}\ndesign: {looks: [0.5, 1]}", "the design was any_time and is looks at 0.5, 1"),
        ("goal: [cost_per_request]", "goal: [latency_ms]", "the goal was cost_per_request and is latency_ms"),
        ("margin: 50%", "margin: 60%", "failing_units (margin 0.5) and is error_rate (margin 0), failing_units (margin 0.6)"),
    ):  # fmt: skip
        place(DOCUMENT.replace(before, after))
        assert said in ", ".join(changes(then, read_declared(place.flags, "cheaper_model")))


def test_a_window_changed_in_the_metrics_file_is_noticed(place) -> None:
    goal = DOCUMENT.replace("goal: [cost_per_request]", "goal: [revenue]").replace(
        "secondary: [revenue]", "secondary: []"
    )
    place.record(json.loads(place(goal).snapshot())["declared"])
    assert not place(goal).analysis.collected.since.changes
    result = place(goal, METRICS.replace("window: 2w", "window: 1w"))
    assert result.analysis.collected.since.changes == ("the window of revenue was 2w and is 1w",)
    assert result.decision.state is State.INVALID
    assert result.decision.sentence == (
        "cheaper_model cannot be judged: since the look recorded on 2026-03-01, the window of revenue was 2w and is "
        "1w, which voids the promise of its intervals: change it back, or declare version 2 with a reason."
    )
    assert "the window of revenue was 2w and is 1w" in result.report()
    with pytest.raises(ConfigurationError, match="change it back, or declare version 2"):
        keep(result, "postgresql://127.0.0.1:9/x")
    with pytest.raises(ConfigurationError, match="change it back"):
        refuse_undecidable(restore(result.snapshot()))


@pytest.mark.parametrize(
    "other", [{"version": 2}, {"environment": "staging"}, {"experiment": "other"}, {"taken_at": NOW + (NOW - START)}]
)  # fmt: skip
def test_looks_of_something_else_do_not_count(place, other) -> None:
    place.record(json.loads(place(DOCUMENT).snapshot())["declared"], **other)
    assert not place(DOCUMENT.replace("5%", "4%")).analysis.collected.since.changes


def test_the_order_of_goals_and_guardrails_is_not_a_change(place) -> None:
    place(DOCUMENT.replace("goal: [cost_per_request]", "goal: [cost_per_request, latency_ms]"))
    then = read_declared(place.flags, "cheaper_model")
    first, second = "    - error_rate\n", "    - {metric: failing_units, margin: 50%}\n"
    swapped = DOCUMENT.replace("goal: [cost_per_request]", "goal: [latency_ms, cost_per_request]")
    place(swapped.replace(first + second, second + first))
    now = read_declared(place.flags, "cheaper_model")
    assert then.experiment.metrics.goal == now.experiment.metrics.goal[::-1]
    assert then.experiment.metrics.guardrails == now.experiment.metrics.guardrails[::-1]
    assert not changes(then, now)


def test_what_decides_nothing_may_change(place) -> None:
    place.record(json.loads(place(DOCUMENT).snapshot())["declared"])
    changed = DOCUMENT.replace("secondary: [revenue]", "secondary: [thumbs]").replace("ann@", "bob@")
    assert not place(changed).analysis.collected.since.changes


@pytest.mark.parametrize("declared", ["not JSON", "{}", '{"experiment": 7, "metrics": "<script>"}'])
def test_a_recorded_look_that_cannot_be_read_is_said(place, declared) -> None:
    place.record(declared)
    result = place(DOCUMENT)
    assert not result.analysis.collected.since.changes
    told = "Recorded looks were not compared, so a changed declaration would go unnoticed: that of 2026-03-01 holds"
    assert f"{told} no declaration." in left_out(result.analysis)


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"alpha": 0.5}, "experiment.alpha: Input should be less than or equal to 0.2"),
        ({"alpha": 0.5, "owner": None}, "experiment.owner: Input should be a valid string"),
        ({"arms": {"control": {}}}, "experiment"),
        ({"\x1b[31m": 1}, "experiment.\\x1b[31m: Extra inputs are not permitted"),
    ],
    ids=["limit", "first", "rule", "hostile"],
)
def test_a_recorded_declaration_that_todays_rules_refuse_is_not_called_missing(
    place, change, refused
) -> None:
    declared = json.loads(place(DOCUMENT).snapshot())["declared"]
    declared["experiment"] |= change
    place.record(declared)
    (told,) = [each for each in left_out(place(DOCUMENT).analysis) if each.startswith("Recorded looks")]
    assert f"that of 2026-03-01 holds a declaration that today's rules refuse ({refused}" in told
    assert told.isprintable()
