"""Goals by segment: from the attributes at the first exposure, corrected, and said to be exploratory."""

import json
from datetime import timedelta

import ibis
import numpy as np
import pytest

from tests.experiments import engines
from tests.experiments.data import NOW, START, Rows
from tests.experiments.test_engines import SPARK, spark
from windsock.experiments.analysis import analyse
from windsock.experiments.comparison import ComparisonOutcome
from windsock.experiments.data.collecting import collect
from windsock.experiments.data.segment_sums import MAX_COMBINATIONS, MAX_VALUES, OTHER, UNKNOWN
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.decision import decide
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import BUILT_IN
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.reporting.page import page
from windsock.experiments.segments import segments
from windsock.experiments.snapshot import Snapshot, from_json, to_json

__all__ = ["spark"]

FACTS = {
    "name": "cheaper_model", "hypothesis": "It costs less.", "owner": "ann", "settings": "teacher",
    "arms": {"control": {}, "cheaper": {"reasoning_model": "small"}}, "segments": ["plan", "beta"],
    "metrics": {"goal": ["cost_per_request"], "secondary": ["error_rate"]},
    "minimum_effect": "5%", "maximum": {"units": 1_200},
}  # fmt: skip
METRICS = {name: BUILT_IN[name] for name in ("cost_per_request", "error_rate")}


def declared(**changed: object) -> DeclaredExperiment:
    return DeclaredExperiment(Experiment.model_validate(FACTS | changed), METRICS)


def by_plan(units: int = 1_200, *, seed: int = 5, effects: dict[str, float] | None = None) -> Rows:
    """Units of three plans, one without; the arm's cost changes by plan."""
    random = np.random.default_rng(seed)
    rows = Rows()
    for number in range(units):
        plan = ("free", "pro", None)[number % 3]
        arm = "cheaper" if random.random() < 0.5 else "control"
        attributes = {"beta": number % 2 == 0} | ({"plan": plan} if plan else {})
        at = START + timedelta(minutes=5 * number)
        rows.expose(f"u{number}", arm, at, attributes=json.dumps(attributes))
        factor = 1 + (effects or {}).get(plan or "", 0.0) * (arm == "cheaper")
        for _ in range(int(random.integers(1, 4))):
            cost = float(random.gamma(6, 0.002)) * factor
            rows.request(f"u{number}", at + timedelta(hours=float(random.uniform(0, 100))), cost=cost)
    return rows


@pytest.fixture(params=["parquet", "csv", "postgres", SPARK])
def opened(request, tmp_path):
    """Rows on an engine."""

    def run(rows: Rows) -> Warehouse:
        if request.param == "spark":
            session = request.getfixturevalue("spark")
            engines.parquet(rows, tmp_path)
            for table in engines.TABLES:
                if getattr(rows, table):
                    session.read.parquet(str(tmp_path / f"{table}.parquet")).createOrReplaceTempView(table)
            return Warehouse(ibis.pyspark.connect(session))
        place = request.getfixturevalue("database") if request.param == "postgres" else tmp_path
        return getattr(engines, request.param)(rows, place)

    return run


def test_each_engine_splits_by_the_attributes_of_the_first_exposure(opened) -> None:
    with opened(by_plan(effects={"free": -0.3})) as warehouse:
        found = analyse(declared(), collect(warehouse, declared(), "production", NOW))
    assert [(each.attribute, each.value) for each in segments(found)] == [
        ("plan", "free"), ("plan", "pro"), ("plan", UNKNOWN), ("beta", "false"), ("beta", "true"),
    ]  # fmt: skip
    by = {(each.attribute, each.value): each.comparison for each in segments(found)}
    for attribute in ("plan", "beta"):
        assert sum(sum(by[key].units) for key in by if key[0] == attribute) == 1_200
    assert by["plan", "free"].outcome is ComparisonOutcome.BETTER
    assert by["plan", "free"].effect.relative == pytest.approx(-0.3, abs=0.06)
    assert by["plan", "pro"].outcome is not ComparisonOutcome.BETTER
    assert by["plan", "free"].confidence == pytest.approx(1 - 0.05 / 5)


def test_the_whole_is_the_same_with_segments_and_without(tmp_path) -> None:
    with engines.parquet(by_plan(), tmp_path) as warehouse:
        split = collect(warehouse, declared(), "production", NOW)
        whole = collect(warehouse, declared(segments=[]), "production", NOW)
    for arm in ("control", "cheaper"):
        one, other = (each.metrics["cost_per_request"][arm].sums for each in (split, whole))
        assert one.units == other.units
        assert one.sums == pytest.approx(other.sums, rel=1e-12)
    assert not whole.segments
    assert decide(analyse(declared(), split)) == decide(analyse(declared(segments=[]), whole))


@pytest.mark.parametrize(
    ("maximum", "outcome"), [(1_200, ComparisonOutcome.OPEN), (5_000, ComparisonOutcome.NOT_YET)]
)
def test_a_small_segment_is_too_early_until_the_maximum_of_all_units(tmp_path, maximum, outcome) -> None:
    rows = by_plan()
    for number, row in enumerate(rows.exposures):
        row["attributes"] = json.dumps({"plan": "team" if number % 40 == 0 else "free"})
    document = declared(maximum={"units": maximum}, segments=["plan"])
    with engines.parquet(rows, tmp_path) as warehouse:
        found = analyse(document, collect(warehouse, document, "production", NOW))
    team = next(each.comparison for each in segments(found) if each.value == "team")
    assert sum(team.units) == 30
    assert team.outcome is outcome
    assert (team.interval is not None) is (outcome is ComparisonOutcome.OPEN)


def test_a_snapshot_keeps_the_segments(tmp_path) -> None:
    with engines.parquet(by_plan(300), tmp_path) as warehouse:
        collected = collect(warehouse, declared(), "production", NOW)
    again = from_json(to_json(Snapshot(declared(), collected)))
    assert again.collected == collected
    assert segments(analyse(again.declared, again.collected)) == segments(analyse(declared(), collected))


@pytest.mark.slow
def test_segments_without_an_effect_are_seldom_called(tmp_path) -> None:
    called = 0
    for seed in range(40):
        (folder := tmp_path / str(seed)).mkdir()
        with engines.parquet(by_plan(240, seed=seed), folder) as warehouse:
            document = declared(maximum={"units": 240})
            found = analyse(document, collect(warehouse, document, "production", NOW))
        called += any(
            each.comparison.outcome in (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE)
            for each in segments(found)
        )
    assert called <= 6  # of 40 at 5 %, more than 6 happens once in 200 times


def test_values_that_are_hostile_or_many(tmp_path) -> None:
    rows = by_plan(900)
    for number, row in enumerate(rows.exposures):
        plan = "<script>alert(1)</script>" if number % 2 else f"p{number % 30}"
        row["attributes"] = json.dumps({"plan": plan, "beta": {"a": [number % 3]}})
    hostile = ("not JSON", '{"plan": ' + "[" * 6_000 + "]" * 6_000 + "}", '{"plan": ' + "9" * 6_000 + "}")
    for row, attributes in zip(rows.exposures, hostile, strict=False):
        row["attributes"] = attributes
    with engines.parquet(rows, tmp_path) as warehouse:
        found = analyse(declared(), collect(warehouse, declared(), "production", NOW))
    plans = [each.value for each in segments(found) if each.attribute == "plan"]
    assert len(plans) == MAX_VALUES + 1
    assert (plans[0], plans[-1]) == ("<script>alert(1)</script>", OTHER)
    html = page(found, decide(found))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "suggest what to test next" in html


def test_too_many_combinations_are_left_out_and_said(tmp_path) -> None:
    rows = by_plan(MAX_COMBINATIONS + 1)
    for number, row in enumerate(rows.exposures):
        row["attributes"] = json.dumps({"plan": f"p{number}"})
    with engines.parquet(rows, tmp_path) as warehouse:
        found = analyse(declared(), collect(warehouse, declared(), "production", NOW))
    assert segments(found) == ()
    assert "1,001 combinations of values; name attributes with fewer" in page(found, decide(found))
    assert found.comparisons[0].effect is not None
