"""The same numbers on every engine, and the same as computed from the rows by hand."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import ibis
import numpy as np
import pytest

from tests.experiments import engines
from tests.experiments.data import NOW, Rows, experiment_rows
from windsock.experiments.data.collected import Collected
from windsock.experiments.data.collecting import collect
from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.data.unit_table import columns_of
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.documents import Experiment, Maximum
from windsock.experiments.metrics import BUILT_IN, Metric
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics.calendar import COUNTS
from windsock.experiments.statistics.effects import compare
from windsock.experiments.statistics.moments import aggregates

OWN = {
    "revenue": Metric.model_validate(
        {"source": {"event": "revenue"}, "kind": "mean", "value": "value", "better": "higher"}
    ),
    "buyers": Metric.model_validate(
        {"source": {"event": "revenue"}, "kind": "proportion", "better": "higher"}
    ),
}
EVERY = BUILT_IN | OWN
EXPERIMENT = Experiment.model_validate(
    {
        "name": "cheaper_model", "hypothesis": "the small model costs less", "owner": "ann", "settings": "teacher",
        "arms": {"control": {}, "cheaper": {"reasoning_model": "small"}},
        "metrics": {"goal": ["cost_per_request"], "secondary": [name for name in EVERY if name != "cost_per_request"]},
        "minimum_effect": "5%", "maximum": {"units": 10_000},
    }
)  # fmt: skip
DECLARED = DeclaredExperiment(EXPERIMENT, {name: EVERY[name] for name in EXPERIMENT.metrics.every})


@pytest.fixture(scope="module")
def rows() -> Rows:
    return experiment_rows()


@pytest.fixture(scope="module")
def spark() -> Iterator[object]:
    pytest.importorskip("pyspark", reason="no pyspark: uv sync --group spark; it needs Java")
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    )  # fmt: skip
    yield session
    session.stop()


# py4j leaves its sockets to the garbage collector
SPARK = pytest.param(
    "spark", marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
)


@pytest.fixture(params=["parquet", "csv", "postgres", SPARK])
def warehouse(request, rows, tmp_path) -> Iterator[Warehouse]:
    if request.param == "spark":
        yield on_spark(rows, tmp_path, request.getfixturevalue("spark"))
        return
    place = request.getfixturevalue("database") if request.param == "postgres" else tmp_path
    with getattr(engines, request.param)(rows, place) as opened:
        yield opened


def by_hand(rows: Rows) -> dict[str, dict[str, tuple[int, float, float]]]:
    """Units, numerator and denominator of three metrics by arm, in plain Python."""
    at = {row["unit"]: (row["arm"], row["first_exposed_at"]) for row in rows.exposures}
    found: dict = defaultdict(lambda: defaultdict(lambda: [0, 0.0, 0.0]))
    for arm, _ in at.values():
        for metric in ("cost_per_request", "assigned_model_share", "revenue"):
            found[metric][arm][0] += 1
    for row in rows.usage_logs:
        arm, exposed = at[row["user_id"]]
        if exposed <= row["requested_at"] < exposed + timedelta(days=7):
            found["cost_per_request"][arm][1] += row["cost"]
            found["cost_per_request"][arm][2] += 1
            was_healed = "reasoning_model" in row["healed"]  # `values` then has what it fell to
            found["assigned_model_share"][arm][1] += row["answered_model"] == "small" and not was_healed
            found["assigned_model_share"][arm][2] += 1
    for row in rows.metric_events:
        arm, exposed = at[row["user_id"]]
        if row["name"] == "revenue" and exposed <= row["occurred_at"] < exposed + timedelta(days=7):
            found["revenue"][arm][1] += row["value"]
    return found


def test_sums_are_those_of_the_rows(warehouse, rows) -> None:
    collected = collect(warehouse, DECLARED, "production", NOW)
    assert collected.exposed.counted == {"control": 200, "cheaper": 200}
    expected = by_hand(rows)
    for metric, arms in expected.items():
        for arm, (units, numerator, denominator) in arms.items():
            sums = collected.metrics[metric][arm].sums
            totals = {name: value + sums.units * sums.shifts[name] for name, value in sums.sums.items()}
            assert sums.units == units
            assert totals[f"n_{metric}"] == pytest.approx(numerator, rel=1e-12)
            if denominator:
                assert totals[f"d_{metric}"] == denominator


def test_the_latency_that_most_requests_stay_within_is_that_of_the_rows(warehouse, rows) -> None:
    slow = collect(warehouse, DECLARED, "production", NOW).slow_ms
    at = {row["unit"]: (row["arm"], row["first_exposed_at"]) for row in rows.exposures}
    took = defaultdict(list)
    for row in rows.usage_logs:
        arm, exposed = at[row["user_id"]]
        if exposed <= row["requested_at"] < exposed + timedelta(days=7):
            took[arm].append(row["latency_ms"])
    assert slow == {
        arm: pytest.approx(np.quantile(each, 0.95, method="inverted_cdf"), rel=1e-9)
        for arm, each in took.items()
    }


def test_arrivals_are_counted_by_the_part_of_a_duration(warehouse, rows) -> None:
    lasting = EXPERIMENT.model_copy(update={"maximum": Maximum(duration=timedelta(days=10))})
    exposed = collect(warehouse, replace(DECLARED, experiment=lasting), "production", NOW).exposed
    times = sorted(row["first_exposed_at"] for row in rows.exposures)
    part, inside = timedelta(days=10) / COUNTS, [at for at in times if at <= times[0] + timedelta(days=10)]
    expected = Counter(min(int((at - times[0]) / part), COUNTS - 1) for at in inside)
    assert sum(exposed.arrived) == exposed.total == len(inside)
    # engines count in whole seconds
    assert all(abs(units - expected[number]) <= 1 for number, units in enumerate(exposed.arrived))
    after_three = collect(
        warehouse, replace(DECLARED, experiment=lasting), "production", times[0] + timedelta(days=3)
    ).exposed
    assert after_three.arrived[:12] == exposed.arrived[:12]
    assert len(after_three.arrived) == 13


def test_what_was_recorded_under_an_override_is_not_summed(
    make_database, migrated_template, tmp_path
) -> None:
    plain, more = experiment_rows(60), experiment_rows(60)
    for rows in (plain, more):
        for row in rows.usage_logs:
            row["variant"] = None
    for exposed in more.exposures[:20]:
        later = exposed["first_exposed_at"] + timedelta(days=1)
        more.request(exposed["unit"], later, cost=1000.0, variant="override")
        more.event(
            "revenue", exposed["unit"], later, 1e6, attributes='{"windsock.override": true, "why": "a"}'
        )
        more.event("revenue", exposed["unit"], later, 1e6, attributes='{"windsock.override":true}')
    found = []
    for number, rows in enumerate((plain, more)):
        (folder := tmp_path / str(number)).mkdir()
        database = make_database(migrated_template)
        for opened in (engines.parquet(rows, folder), engines.postgres(rows, database)):
            with opened:
                sums = collect(opened, DECLARED, "production", NOW).metrics
            found.append([effect_of(metric, sums[metric]) for metric in ("cost_per_request", "revenue")])
    for each in found[1:]:
        for ours, theirs in zip(each, found[0], strict=True):
            assert ours.absolute == pytest.approx(theirs.absolute, rel=1e-9)
            assert ours.absolute_error == pytest.approx(theirs.absolute_error, rel=1e-9)


@pytest.fixture(scope="module")
def reference(rows, tmp_path_factory) -> Collected:
    with engines.parquet(rows, tmp_path_factory.mktemp("reference")) as opened:
        return collect(opened, DECLARED, "production", NOW)


def effect_of(metric: str, arms: Mapping[str, ArmSums]):
    return compare(
        aggregates(arms["control"].sums), aggregates(arms["cheaper"].sums), columns_of(metric, EVERY[metric])
    )


def test_every_engine_gives_the_same_effects(warehouse, reference) -> None:
    collected = collect(warehouse, DECLARED, "production", NOW)
    has_withdrawals = warehouse.find("windsock.withdrawals") is not None
    assert collected.exposed.unchecked == (() if has_withdrawals else ("windsock.withdrawals",))
    assert replace(collected.exposed, unchecked=()) == replace(reference.exposed, unchecked=())
    assert set(collected.metrics) == set(EVERY)
    for metric in set(EVERY) - {"judge_pass"}:
        ours, theirs = (
            effect_of(metric, collected.metrics[metric]),
            effect_of(metric, reference.metrics[metric]),
        )
        for name in ("absolute", "absolute_error", "relative", "log_ratio_error"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-9), (metric, name)
    assert {arm.seen for arm in collected.metrics["judge_pass"].values()} == {0}


def on_spark(rows: Rows, folder: Path, session) -> Warehouse:
    """Spark over Parquet."""
    engines.parquet(rows, folder)
    for table in engines.TABLES:
        if getattr(rows, table):
            session.read.parquet(str(folder / f"{table}.parquet")).createOrReplaceTempView(table)
    return Warehouse(ibis.pyspark.connect(session))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_offset_of_1e8_keeps_its_digits_on_spark(spark, tmp_path) -> None:
    found = []
    declared = DeclaredExperiment(EXPERIMENT, {"revenue": OWN["revenue"]})
    for number, offset in enumerate((0.0, 1e8, 1e8)):
        rows = experiment_rows(offset=offset)
        rows.metric_events = [row for row in rows.metric_events if row["name"] == "revenue"]
        bought = {row["user_id"] for row in rows.metric_events}
        rows.exposures = [row for row in rows.exposures if row["unit"] in bought]
        (folder := tmp_path / str(number)).mkdir()
        opened = on_spark(rows, folder, spark) if number < 2 else engines.parquet(rows, folder)
        sums = collect(opened, declared, "production", NOW).metrics["revenue"]
        found.append(effect_of("revenue", sums))
    plain, far, duckdb = found
    assert far.absolute == pytest.approx(plain.absolute, abs=3e-8)  # a float near 1e8 has steps of 1.5e-8
    assert far.absolute_error == pytest.approx(plain.absolute_error, rel=1e-9)
    assert far.absolute_error == pytest.approx(duckdb.absolute_error, rel=1e-9)


def test_an_offset_of_1e8_keeps_its_digits(make_database, migrated_template, tmp_path) -> None:
    plain, far = (experiment_rows(offset=offset) for offset in (0.0, 1e8))
    for each in (plain, far):  # every unit has one event, so that the offset is the same for all
        each.metric_events = [row for row in each.metric_events if row["name"] == "revenue"]
        bought = {row["user_id"] for row in each.metric_events}
        each.exposures = [row for row in each.exposures if row["unit"] in bought]
    errors = []
    declared = DeclaredExperiment(EXPERIMENT, {"revenue": OWN["revenue"]})
    for number, each in enumerate((plain, far)):
        (folder := Path(tmp_path / str(number))).mkdir()
        database = make_database(migrated_template)
        for opened in (engines.parquet(each, folder), engines.postgres(each, database)):
            with opened:
                found = collect(opened, declared, "production", NOW).metrics["revenue"]
            errors.append(((effect := effect_of("revenue", found)).absolute, effect.absolute_error))
    for absolute, error in errors[1:]:
        assert absolute == pytest.approx(errors[0][0], abs=3e-8)  # a float near 1e8 has steps of 1.5e-8
        assert error == pytest.approx(errors[0][1], rel=1e-9)
    assert errors[2] == pytest.approx(errors[3], rel=1e-9, abs=3e-8)


@pytest.mark.parametrize("backend", ["bigquery", "snowflake", "databricks", "clickhouse"])
def test_other_warehouses_compile(backend, reference, rows, tmp_path) -> None:
    """Untested beyond this: no such server is here. The SQL of every query compiles to the dialect."""
    warehouse = engines.parquet(rows, tmp_path)
    seen = []

    class Compiling(Warehouse):
        def sql(self, expression):
            seen.append(ibis.to_sql(expression, dialect=backend))
            return super().sql(expression)

    collect(Compiling(warehouse.backend), DECLARED, "production", NOW)
    assert len(seen) >= 6
    assert all(each.startswith(("SELECT", "WITH")) for each in seen)
