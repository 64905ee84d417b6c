"""A metric that matches no row is told with the names that exist, and a guardrail that measured nothing stops a win."""

from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.experiments import engines
from tests.experiments.data import NOW, SHORT, START, Rows, declare
from tests.experiments.test_decision import many
from windsock.cli._experiment_status import without_number
from windsock.errors import ConfigurationError
from windsock.experiments import Result, analyze, restore
from windsock.experiments.data.source_checks import check_sources
from windsock.experiments.data.sources import Scope
from windsock.experiments.data.unseen import why_unseen
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.decision import Action, State
from windsock.experiments.reading import read_declared

DOCUMENT = f"""{SHORT}
metrics: {{goal: [cost_per_request], guardrails: [guarded]}}
maximum: {{units: UNITS}}
"""
METRIC = """\
metrics:
  guarded: {source: SOURCE, kind: KIND, value: value, better: lower}
"""
CHEAPER = {"control": 0.02, "cheaper": 0.015}


def winning(name: str = "complaint", units: int = 2000) -> Rows:
    """A cheaper arm, and one unit in ten with an event."""
    rows = many(units, costs=CHEAPER)
    for row in rows.exposures[::10]:
        rows.event(name, row["unit"], row["first_exposed_at"], 1.0)
    return rows


@pytest.fixture
def declared(tmp_path):
    def write(source: str, kind: str = "proportion", units: int = 1900) -> Path:
        metric = METRIC.replace("SOURCE", source).replace("KIND", kind)
        return declare(tmp_path / "flagd", DOCUMENT.replace("UNITS", str(units)), metric)

    return write


@pytest.fixture
def look(tmp_path, declared):
    def run(rows: Rows, source: str, kind: str = "proportion", units: int = 1900) -> Result:
        flags, data = declared(source, kind, units), tmp_path / "data"
        data.mkdir(exist_ok=True)
        with engines.parquet(rows, data) as warehouse:
            return analyze("cheaper_model", warehouse, flags=flags, now=NOW)

    return run


def test_a_guardrail_that_is_measured_lets_the_arm_win(look) -> None:
    assert look(winning(), "{event: complaint}").decision.state is State.WIN


@pytest.mark.parametrize("kind", ["proportion", "count", "mean", "ratio"])
def test_a_guardrail_with_a_misspelt_event_stops_a_win_and_names_the_nearest(look, kind) -> None:
    result = look(winning(), "{event: complain}", kind)
    assert (result.decision.state, result.decision.action) == (State.INCONCLUSIVE, Action.STOP)
    assert "the guardrail guarded cannot be judged" in result.decision.sentence
    told = "there is no event 'complain' in production; did you mean 'complaint'?"
    assert any(reason.endswith(told) for reason in result.decision.reasons)
    assert any(line.endswith(told) for line in without_number(result.analysis.comparisons))
    assert "did you mean &#x27;complaint&#x27;?<" in result.report()
    assert restore(result.snapshot()).decision == result.decision


@pytest.mark.parametrize("kind", ["proportion", "count", "mean"])
@pytest.mark.parametrize(
    ("control", "cheaper", "state"),
    [(3, 0, State.WIN), (0, 0, State.INCONCLUSIVE), (0, 30, State.HARMFUL)],
)
def test_events_in_one_arm_only_are_judged_by_their_number(look, kind, control, cheaper, state) -> None:
    """Fewer events than control is what a guardrail asks for; without any event nobody knows."""
    rows = many(costs=CHEAPER)
    for arm, events in (("control", control), ("cheaper", cheaper)):
        exposed = [row for row in rows.exposures if row["arm"] == arm]
        for row in exposed[:events]:
            rows.event("complaint", row["unit"], row["first_exposed_at"], 1.0)
    rows.event("other", "nobody", START, 1.0)
    assert look(rows, "{event: complaint}", kind).decision.state is state


def test_before_the_maximum_it_goes_on(look) -> None:
    decision = look(winning(), "{event: complain}", units=3000).decision
    assert (decision.state, decision.action) == (State.COLLECTING, Action.GO_ON)
    assert "the guardrail guarded cannot be judged" in decision.sentence


def test_an_event_of_another_environment_is_named_with_it(look) -> None:
    rows = winning()
    for row in rows.metric_events:
        row["environment"] = "staging"
    reasons = " ".join(look(rows, "{event: complaint}").decision.reasons)
    assert "there is no event 'complaint' in production, only in staging" in reasons


def test_an_event_of_another_environment_is_found_among_thousands_of_names(look) -> None:
    rows = winning("zebra")
    for row in rows.metric_events:
        row["environment"] = "staging"
    for number in range(1_100):
        rows.event(f"event_{number:04d}", "somebody", START, 1.0)
    reasons = " ".join(look(rows, "{event: zebra}").decision.reasons)
    assert "there is no event 'zebra' in production, only in staging" in reasons


def test_a_hint_that_is_refused_leaves_the_reason_without_it(declared) -> None:
    """The row of another name can't be read; only the search for the nearest name needs it."""
    backend = ibis.duckdb.connect()
    backend.raw_sql(
        "create table told as select 'broken' as name, 'u1' as unit, 'u1' as user_id, 1.0 as value, "
        "timestamptz '2026-03-02' as occurred_at, 'production' as environment"
    )
    backend.raw_sql(
        "create view metric_events as select * replace "
        "(case when name = 'broken' then error('refused') else environment end as environment) from told"
    )
    document = read_declared(declared("{event: complain}"), "cheaper_model")
    scope = Scope(document.experiment, "production")
    why = why_unseen(Warehouse(backend), scope, "guarded", document.metrics["guarded"])
    assert why == "there is no event 'complain' in production"


def test_a_shorter_limit_ends_with_its_block_and_the_analysis_has_its_own_again(database) -> None:
    with engines.postgres(Rows(), database) as warehouse:
        query, columns = "select pg_catalog.pg_sleep(60)::text as slept", ibis.schema({"slept": "string"})
        with warehouse.at_most(0.05) as quick, pytest.raises(ConfigurationError):
            quick.rows(quick.backend.sql(query, schema=columns))
        (timeout,) = warehouse.connection.execute("show statement_timeout").fetchone()
    assert timeout == "10min"


def test_events_of_other_units_are_not_called_missing(look) -> None:
    rows = winning()
    for row in rows.metric_events:
        row["unit"] = row["user_id"] = f"other-{row['user_id']}"
    result = look(rows, "{event: complaint}")
    assert result.decision.state is State.INCONCLUSIVE
    assert "its units must be written as those of the exposures are" in " ".join(result.decision.reasons)


def test_a_guardrail_whose_window_has_not_passed_stops_a_win(look, tmp_path, declared) -> None:
    flags = declared("{event: complaint}")
    path = flags / "metrics.yaml"
    path.write_text(path.read_text().replace("better: lower", "better: lower, window: 60d"))
    experiment = flags / "experiments" / "cheaper_model.yaml"
    experiment.write_text(experiment.read_text().replace("maximum: {units: 1900}\n", ""))
    with engines.parquet(winning(), tmp_path) as warehouse:
        result = analyze("cheaper_model", warehouse, flags=flags, now=NOW)
    assert result.decision.state is State.COLLECTING
    assert "A win waits for guarded, which takes 60 days" in result.decision.sentence


@pytest.mark.parametrize(("worse", "state"), [(2.0, State.INCONCLUSIVE), (1.0, State.WIN)])
def test_a_guardrail_that_is_constant_in_each_arm_stops_a_win_only_if_it_is_worse(look, worse, state) -> None:
    rows = many(costs=CHEAPER)
    for row in rows.exposures:
        value = worse if row["arm"] == "cheaper" else 1.0
        rows.event("steps", row["unit"], row["first_exposed_at"], value)
    assert look(rows, "{event: steps}", "mean").decision.state is state


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{event: complain}", "there is no event 'complain' in production; did you mean 'complaint'?"),
        ("{table: nothing_yet}", "its source has no row"),
        (
            '{sql: "select unit, occurred_at as at, value from metric_events where false"}',
            "its source has no row",
        ),
    ],
    ids=["event", "table", "select"],
)
def test_the_check_of_sources_notes_a_source_without_a_row(declared, tmp_path, source, told) -> None:
    columns = {"unit": pa.string(), "at": pa.timestamp("us", "UTC"), "value": pa.float64()}
    pyarrow.parquet.write_table(pa.schema(columns).empty_table(), tmp_path / "nothing_yet.parquet")
    with engines.parquet(winning(), tmp_path) as warehouse:
        found = check_sources(warehouse, read_declared(declared(source), "cheaper_model"), "production")
        (finding,) = found
    assert not finding.is_fault
    assert finding.text.endswith(f"metric guarded: {told}")


def test_a_flag_without_requests_is_named_with_the_nearest(look) -> None:
    rows = winning()
    for row in rows.usage_logs:
        row["flag"] = "teachers"
    result = look(rows, "{event: complaint}")
    assert "there is no request of the flag 'teacher' in production; did you mean 'teachers'?" in " ".join(
        without_number(result.analysis.comparisons)
    )


def test_postgres_is_asked_for_the_same(declared, database) -> None:
    rows = Rows()
    for number in range(20):
        rows.expose(f"u{number}", "control" if number % 2 else "cheaper", START)
    rows.event("complaint", "u1", START, 1.0)
    with engines.postgres(rows, database) as warehouse:
        result = analyze("cheaper_model", warehouse, flags=declared("{event: complain}"), now=NOW)
    told = " ".join(without_number(result.analysis.comparisons))
    assert "there is no event 'complain' in production; did you mean 'complaint'?" in told
    assert "there is no request of the flag 'teacher' in production" in told
