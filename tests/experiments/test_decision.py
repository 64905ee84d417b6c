"""From planted data to a decision: each state, what is left out, and the same decision from the snapshot."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.experiments import engines
from tests.experiments.data import GOOD, NOW, START, Rows, declare
from windsock.cli._experiment_status import lines, without_number
from windsock.errors import ConfigurationError
from windsock.experiments import Result, analyze, restore
from windsock.experiments.comparison import ComparisonOutcome
from windsock.experiments.data.keeping import keep
from windsock.experiments.decision import Action, State
from windsock.experiments.reporting.drawing import cumulative
from windsock.experiments.reporting.summary import as_data
from windsock.experiments.statistics.designs import TIGHT_AT, OpenEnded

COST = {"control": 0.02, "cheaper": 0.02}


def many(
    units: int = 2000, *, costs: dict[str, float] = COST, failing: float = 0.02, share: float = 0.5
) -> Rows:
    """One or two requests for each unit, and the arm that a share of them gets."""
    random = np.random.default_rng(3)
    rows = Rows()
    for number in range(units):
        unit = f"u{number}"
        arm = "cheaper" if random.random() < share else "control"
        at = START + timedelta(minutes=7 * number)
        rows.expose(unit, arm, at)
        for _ in range(int(random.integers(1, 3))):
            rate = failing if arm == "cheaper" else 0.02
            rows.request(
                unit, at + timedelta(hours=float(random.uniform(0, 100))),
                cost=costs[arm] * float(random.gamma(4, 0.25)),
                status="error" if random.random() < rate else "ok",
            )  # fmt: skip
    return rows


@pytest.fixture
def look(tmp_path):
    """Analyse rows through Parquet, with changes to the document."""
    flags, data = tmp_path / "flagd", tmp_path / "data"
    data.mkdir()

    def run(rows: Rows, *changes: tuple[str, str], now=NOW, **options) -> Result:
        text = GOOD.replace("  secondary: [revenue]\n", "").replace("units: 5000", "units: 1900")
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        with engines.parquet(rows, data):
            pass
        return analyze("cheaper_model", data, flags=declare(flags, text), now=now, **options)

    return run


NO_MARGIN = ("    - {metric: failing_units, margin: 50%}\n", "    - failing_units\n")


def test_a_cheaper_arm_wins_and_the_snapshot_says_so_again(look) -> None:
    result = look(many(costs={"control": 0.02, "cheaper": 0.017}), NO_MARGIN)
    assert (result.decision.state, result.decision.action, result.decision.arm) == (
        State.WIN,
        Action.SHIP,
        "cheaper",
    )
    assert "Cost per request is better in cheaper" in result.decision.sentence
    again = restore(result.snapshot())
    assert again.decision == result.decision
    assert again.analysis == result.analysis


def test_a_win_waits_for_a_guardrails_margin(look) -> None:
    rows = many(costs={"control": 0.02, "cheaper": 0.015})
    result = look(rows, ("units: 1900", "units: 3000"))
    assert result.decision.state is State.COLLECTING
    assert "A win waits for the margin of failing units, which is still open" in result.decision.sentence
    assert [each.metric for each in result.decision.waits] == ["failing_units"]
    assert look(rows).decision.state is State.INCONCLUSIVE


def test_a_worse_arm_is_harmful(look) -> None:
    result = look(many(costs={"control": 0.02, "cheaper": 0.024}), NO_MARGIN)
    assert (result.decision.state, result.decision.action) == (State.HARMFUL, Action.STOP)


def test_a_guardrail_stops_a_cheaper_arm(look) -> None:
    result = look(many(costs={"control": 0.02, "cheaper": 0.015}, failing=0.2), NO_MARGIN)
    assert result.decision.state is State.HARMFUL
    assert "Failing units is worse" in " ".join(result.decision.reasons)


@pytest.mark.parametrize("failing", ["each", "one in ten"])
def test_an_arm_that_fails_where_control_never_does_cannot_win(look, failing) -> None:
    """The errors of control are too few for a normal approximation, or the metric doesn't vary at all."""
    rows = many(costs={"control": 0.02, "cheaper": 0.015})
    cheaper = {row["unit"] for row in rows.exposures if row["arm"] == "cheaper"}
    for number, row in enumerate(rows.usage_logs):
        fails = row["user_id"] in cheaper and (failing == "each" or number % 10 == 0)
        row["status"] = "error" if fails else "ok"
    result = look(rows, ("    - {metric: failing_units, margin: 50%}\n", ""))
    assert (result.decision.state, result.decision.action) == (State.HARMFUL, Action.STOP)
    assert "Error rate is worse in cheaper" in result.decision.sentence
    assert restore(result.snapshot()).decision == result.decision


def test_an_open_ended_interval_counts_the_units_that_have_matured(look) -> None:
    result = look(many(2000), NO_MARGIN, ("maximum: {units: 1900}\n", ""), now=START + timedelta(days=9))
    found = result.analysis.comparisons[0]
    assert sum(found.units) == 48 * 60 // 7 + 1 < result.analysis.collected.exposed.total
    width = OpenEnded(sum(found.units), TIGHT_AT).multiplier(1 - found.confidence)
    assert found.interval[1] - found.interval[0] == pytest.approx(2 * width * found.effect.absolute_error)


def test_an_a_a_test_ends_without_a_difference(look) -> None:
    result = look(many(), NO_MARGIN, ("minimum_effect: 5%", "minimum_effect: 20%"))
    assert result.decision.state is State.NO_EFFECT
    assert (
        look(many(), NO_MARGIN, ("minimum_effect: 5%", "minimum_effect: 1%")).decision.state
        is State.INCONCLUSIVE
    )


def test_a_look_at_a_time_that_has_not_come_decides_nothing(look) -> None:
    rows = many(costs={"control": 0.02, "cheaper": 0.015})
    for row in rows.exposures:
        row["first_exposed_at"] += datetime.now(UTC) - START - timedelta(days=15)
    for row in rows.usage_logs:
        row["requested_at"] += datetime.now(UTC) - START - timedelta(days=15)
    result = look(rows, NO_MARGIN, now=datetime.now(UTC) + timedelta(days=30))
    assert (result.decision.state, result.decision.action) == (State.PREVIEW, Action.GO_ON)
    assert "has not come" in result.report()
    assert {each.outcome.value for each in result.analysis.comparisons} == {"nothing"}
    assert {each.p_value for each in result.analysis.comparisons} == {None}
    again = restore(result.snapshot())
    assert again.decision == result.decision
    with pytest.raises(ConfigurationError, match="has not come"):
        keep(again, "postgresql://127.0.0.1:9/x")


def test_before_the_maximum_it_goes_on(look) -> None:
    result = look(
        many(), NO_MARGIN, ("units: 1900", "units: 9000"), ("minimum_effect: 5%", "minimum_effect: 1%")
    )
    assert (result.decision.state, result.decision.action) == (State.COLLECTING, Action.GO_ON)


@pytest.mark.parametrize(
    "design",
    ["design: fixed", "design: {looks: [0.25, 0.5, 1]}"],
)
def test_other_designs_decide_when_it_is_their_time(look, design) -> None:
    rows = many(costs={"control": 0.02, "cheaper": 0.015})
    at_the_end = ("maximum: {units: 1900}", f"maximum: {{units: 1900}}\n{design}")
    assert look(rows, NO_MARGIN, at_the_end).decision.state is State.WIN
    too_early = ("maximum: {units: 1900}", f"maximum: {{units: 100000}}\n{design}")
    result = look(rows, NO_MARGIN, too_early)
    assert result.decision.state is State.COLLECTING
    found = result.analysis.comparisons[0]
    assert (found.outcome, found.interval, found.p_value) == (ComparisonOutcome.NOT_YET, None, None)
    assert "look is at" in result.decision.sentence


def test_without_a_maximum_it_is_open_ended(look) -> None:
    rows = many(costs={"control": 0.02, "cheaper": 0.015})
    result = look(rows, NO_MARGIN, ("maximum: {units: 1900}\n", ""))
    assert result.analysis.fraction is None
    assert result.decision.state is State.WIN


def test_a_duration_is_a_maximum_too(look) -> None:
    result = look(many(), NO_MARGIN, ("{units: 1900}", "{duration: 4d}"))
    assert result.analysis.fraction == 1.0
    assert result.analysis.collected.exposed.beyond == 2000 - (4 * 24 * 60 // 7 + 1)


def test_units_that_arrive_late_make_a_durations_interval_wider(look) -> None:
    """The second half of the time brings most of the units: until then little is known of them."""
    even, late = many(), many()
    for number, row in enumerate(late.exposures):
        if number < 1000 and number % 10:
            row["first_exposed_at"] = START + timedelta(minutes=7 * (1000 + number))
    width = []
    for rows in (even, late):
        result = look(rows, NO_MARGIN, ("{units: 1900}", "{duration: 9d}"))
        found = result.analysis.comparisons[0]
        width.append((found.interval[1] - found.interval[0]) / found.effect.absolute_error)
        assert restore(result.snapshot()).analysis == result.analysis
    assert width[0] == pytest.approx(2 * 2.2414, rel=0.01)
    assert width[1] > 1.05 * width[0]


def test_requests_that_all_cost_the_same_are_no_result(look) -> None:
    """The variance of a ratio is what is left of sums that cancel: never quite zero."""
    result = look(bad_values(many(), 0.01), NO_MARGIN)
    assert result.analysis.comparisons[0].note.startswith("the metric does not vary")
    assert result.decision.state is State.INCONCLUSIVE
    assert list(without_number(result.analysis.comparisons)) == [
        "Cost per request: the metric does not vary: it is 0.01 in both arms."
    ]


def test_a_sample_ratio_mismatch_is_called(look) -> None:
    result = look(many(share=0.58), NO_MARGIN)
    assert result.decision.state is State.INVALID
    assert "differ from the declared sizes" in result.decision.sentence


def test_nothing_wins_in_the_report_of_arms_that_cannot_be_compared(look) -> None:
    rows = many(share=0.58, costs={"control": 0.02, "cheaper": 0.014})
    result = look(rows, NO_MARGIN, ("maximum:", "segments: [country]\nmaximum:"))
    assert result.decision.state is State.INVALID
    assert result.analysis.comparisons[0].outcome is ComparisonOutcome.BETTER  # by the numbers alone
    body = result.sections()
    assert "The arms can't be compared, so these effects tell nothing about the arms." in body
    assert not re.search(r'class="[a-z ]*\b(better|worse)\b', body)
    assert ">better<" not in body
    assert "<h2>Segments</h2>" not in body
    assert {each["outcome"] for each in as_data(result)["comparisons"]} == {"open"}


def test_crossovers_are_counted_and_left_out_and_too_many_are_invalid(look) -> None:
    rows = many()
    for row in rows.exposures[:20]:
        rows.exposures.append({**row, "arm": "control" if row["arm"] == "cheaper" else "cheaper"})
    result = look(rows, NO_MARGIN)
    assert result.analysis.collected.exposed.crossed == 20
    assert result.decision.state is not State.INVALID
    for row in rows.exposures[20:100]:
        rows.exposures.append({**row, "arm": "control" if row["arm"] == "cheaper" else "cheaper"})
    result = look(rows, NO_MARGIN)
    assert "were in two arms" in result.decision.sentence


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"excluded": "contaminated: cheaper was withdrawn"},
            "version 1 is contaminated: cheaper was withdrawn",
        ),
        ({"arm": "third"}, "exposed to third, which the declaration does not have"),
        ({"allocation": 0.2}, "20\N{NO-BREAK SPACE}% to 50\N{NO-BREAK SPACE}%"),
    ],
)
def test_what_makes_a_version_invalid_is_said(look, change, said) -> None:
    rows = many(400)
    rows.exposures[5].update(change)
    result = look(rows, NO_MARGIN)
    assert result.decision.state is State.INVALID
    assert said in result.decision.sentence


def test_ids_of_two_keys_are_never_mixed(look) -> None:
    rows = many(400)
    for number, row in enumerate(rows.exposures):
        row["key_fingerprint"] = "a1" if number % 2 else "b2"
    assert "2 different keys" in look(rows, NO_MARGIN).decision.sentence


def test_excluded_users_stay_in_the_report(look) -> None:
    rows = many(1000)
    for row in rows.exposures[:40]:
        row["excluded"] = "has a profile"
    rows.exposures[50]["first_exposed_at"] = NOW + timedelta(days=400)
    rows.expose("other", "cheaper", START, version=2)
    rows.expose("staging", "cheaper", START, environment="staging")
    result = look(rows, NO_MARGIN)
    exposed = result.analysis.collected.exposed
    assert exposed.excluded == {"has a profile": 40}
    assert exposed.later == 1
    assert exposed.total == 959
    report = result.report()
    for sentence in ("40 units excluded: has a profile", "1 unit in version 2", "exposed in staging",
                     "exposed after the time of this analysis"):  # fmt: skip
        assert sentence in report


def test_units_too_young_wait(look) -> None:
    result = look(many(2000), NO_MARGIN, now=START + timedelta(days=8))
    units = result.analysis.comparisons[0].units
    assert sum(units) == 24 * 60 // 7 + 1
    assert "too young for" in result.report()


def test_no_exposures_is_a_sentence(look) -> None:
    rows = many(10)
    for row in rows.exposures:
        row["environment"] = "staging"
    result = look(rows, NO_MARGIN)
    assert result.decision.sentence == "cheaper_model has no exposures in production yet."
    assert "10 units exposed in staging." in result.report()
    assert "Nobody was exposed, so the arms' sizes can't be compared" in result.report()
    assert "p = 1" not in result.report()
    assert "Sample ratio" not in "".join(lines(result))


def test_one_arm_alone_is_not_a_comparison(look) -> None:
    result = look(many(20, share=0.0), NO_MARGIN)
    assert (
        result.analysis.comparisons[0].note
        == "20 and 0 units have completed the 7 days that this metric takes"
    )


def bad_values(rows: Rows, value: object) -> Rows:
    for row in rows.usage_logs:
        row["cost"] = value
    return rows


def test_nothing_but_null_gives_no_number(look) -> None:
    rows = many(200)
    bad_values(rows, None)
    rows.usage_logs[0] |= {"cost": 0.5, "user_id": "nobody"}
    result = look(rows, NO_MARGIN)
    assert "the column is empty, or nobody had one" in result.analysis.comparisons[0].note


def test_a_guardrail_that_is_zero_in_both_arms_is_said_to_be(look) -> None:
    rows = many(costs={"control": 0.02, "cheaper": 0.017})
    for row in rows.usage_logs:
        row["status"] = "ok"
    result = look(rows, ("    - {metric: failing_units, margin: 50%}\n", ""))
    assert result.decision.state is State.WIN
    assert result.decision.reasons[1:] == ("Error rate is 0 in control and in cheaper.",)
    assert "Not excluded" not in result.decision.sentence


def test_a_constant_has_no_interval(look) -> None:
    result = look(bad_values(many(200), 0.25), NO_MARGIN)
    assert result.analysis.comparisons[0].note.startswith("the metric does not vary")
    assert result.decision.state is State.INCONCLUSIVE or result.decision.state is State.COLLECTING


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e200, "a lot"])
def test_values_that_are_not_numbers_are_refused(look, value) -> None:
    """1e200 is a number, but its square isn't."""
    with pytest.raises(ConfigurationError, match=r"cheaper_model\.yaml:9: metric cost_per_request: "):
        look(bad_values(many(50), value), NO_MARGIN)


def test_negative_values_have_an_absolute_effect_only(look) -> None:
    rows = many(1500)
    for row in rows.usage_logs:
        row["cost"] = -row["cost"]
    found = look(rows, NO_MARGIN).analysis.comparisons[0]
    assert found.relative is None
    assert found.interval is not None
    assert "negative" in found.note


def test_duplicated_exposures_and_events_before_exposure_change_nothing(look) -> None:
    rows = many(600)
    before = look(rows, NO_MARGIN).analysis.comparisons[0].effect
    rows.exposures += [
        {**row, "first_exposed_at": row["first_exposed_at"] + timedelta(days=1)} for row in rows.exposures
    ]
    for row in rows.exposures[:300]:
        rows.request(row["unit"], row["first_exposed_at"] - timedelta(days=60), cost=1000.0)
    after = look(rows, NO_MARGIN).analysis.comparisons[0].effect
    assert after.absolute == pytest.approx(before.absolute, rel=1e-9)


def test_the_report_needs_nothing_and_trusts_nothing(look) -> None:
    rows = many(800)
    for row in rows.exposures[:3]:
        row["excluded"] = "<script>alert(1)</script>"
    result = look(rows, NO_MARGIN, ("owner: ann@example.org", "owner: '<img src=x>'"), looks=4)
    report = result.report()
    assert "<script" not in report
    assert "<img" not in report
    assert "http" not in report.replace("http-equiv", "")
    assert "&lt;script&gt;" in report
    assert report.count("<svg") >= 4
    assert "Over time" in report
    assert result._repr_html_().startswith("<iframe srcdoc=")


def test_a_report_is_one_file(look, tmp_path) -> None:
    from windsock.experiments import report

    report(look(many(400), NO_MARGIN), tmp_path / "report.html")
    assert Path(tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_one_day_of_exposures_is_drawn_from_nothing_to_its_units() -> None:
    drawn = cumulative({"control": [("2026-03-01", 40)], "cheaper": [("2026-03-01", 20)]}, "Units")
    lines = re.findall(r'points="([^"]+)"', drawn)
    heights = [[float(point.partition(",")[2]) for point in line.split()] for line in lines]
    assert [each[0] for each in heights] == [150.0, 150.0]
    assert heights[0][1] < heights[1][1] < 150.0
