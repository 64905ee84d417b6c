"""A folder of files that was exported days ago: units mature by its newest row, not by today's clock."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.experiments import engines
from tests.experiments.data import Rows
from windsock.errors import ConfigurationError
from windsock.experiments import Result, analyze, restore
from windsock.experiments.planning import power
from windsock.experiments.reporting.left_out import left_out
from windsock.experiments.reporting.summary import message

EXPORTED = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=9)
STARTED = EXPORTED - timedelta(days=10)


def exported(units: int = 300) -> Rows:
    """Units that arrive evenly until the export; each asks and buys at once, and again a day later."""
    rows = Rows()
    for number in range(units):
        unit, arm = f"u{number}", "control" if number % 2 else "cheaper"
        at = STARTED + (EXPORTED - STARTED) * number / units
        rows.expose(unit, arm, at)
        for later in (at, at + timedelta(days=1)):
            if later <= EXPORTED:
                rows.request(unit, later, cost=0.01 * (number % 7))
                rows.event("revenue", unit, later, float(number % 5))
    rows.request("u0", EXPORTED)
    return rows


@pytest.fixture
def analysed(flags, tmp_path):
    def run(rows: Rows, **options) -> Result:
        (data := tmp_path / "data").mkdir(exist_ok=True)
        with engines.parquet(rows, data):
            pass
        return analyze("cheaper_model", data, flags=flags, **options)

    return run


def units(result: Result, metric: str = "cost_per_request") -> int:
    return sum(arm.sums.units for arm in result.analysis.collected.metrics[metric].values())


def test_units_mature_by_the_newest_row(analysed) -> None:
    result = analysed(exported())
    collected = result.analysis.collected
    assert collected.now == EXPORTED
    assert units(result) == sum(
        STARTED + (EXPORTED - STARTED) * number / 300 <= EXPORTED - timedelta(days=7) for number in range(300)
    )
    told = f"The data ends on {EXPORTED:%Y-%m-%d %H:%M} UTC, its newest row: units mature until then."
    assert told in list(left_out(result.analysis))
    assert told in message(result)
    assert told in result.report()
    assert restore(result.snapshot()).analysis == result.analysis


def test_a_time_that_is_named_counts_and_the_end_of_the_data_is_told(analysed) -> None:
    at = EXPORTED + timedelta(days=8)
    result = analysed(exported(), now=at)
    assert result.analysis.collected.now == at
    assert units(result) == 300
    (told,) = [line for line in message(result) if line.startswith("The data ends")]
    assert f"{EXPORTED:%Y-%m-%d %H:%M} UTC" in told
    assert f"{at:%Y-%m-%d %H:%M} UTC" in told


def test_a_row_from_the_future_is_not_the_end_of_the_data(analysed) -> None:
    rows = exported()
    rows.request("u1", datetime.now(UTC) + timedelta(days=400))
    assert analysed(rows).analysis.collected.now == EXPORTED


def test_a_time_within_the_data_has_nothing_to_tell(analysed) -> None:
    result = analysed(exported(), now=EXPORTED - timedelta(days=1))
    assert not [line for line in left_out(result.analysis) if line.startswith("The data ends")]


def test_the_report_names_the_newest_row_of_each_source(analysed, flags) -> None:
    metrics = flags / "metrics.yaml"
    source = '{sql: "select unit, occurred_at as at, value from metric_events where occurred_at < (select max(occurred_at) - interval 1 day from metric_events)"}'
    metrics.write_text(metrics.read_text().replace("{event: revenue}", source))
    newest = analysed(exported()).analysis.collected.newest
    assert newest["usage_logs"] == EXPORTED
    assert newest["revenue"] < newest["metric_events"] <= EXPORTED


def test_a_file_that_ends_a_window_before_the_others_is_named(analysed) -> None:
    """Exposures and requests were exported again, events were not: their zeros would count."""
    rows = exported()
    ended = EXPORTED - timedelta(days=14)
    rows.metric_events = [row for row in rows.metric_events if row["occurred_at"] <= ended]
    rows.event("revenue", "u0", ended, 1.0)
    result = analysed(rows)
    told = (
        f"metric_events ends on {ended:%Y-%m-%d %H:%M} UTC: units whose window began after it count with zeros in "
        "revenue. If its export is older than the others', export it again."
    )
    assert told in list(left_out(result.analysis))
    assert told in message(result)
    assert not [line for line in left_out(result.analysis) if line.startswith("usage_logs ends")]


def test_files_that_end_together_are_not_named(analysed) -> None:
    for options in ({}, {"now": EXPORTED + timedelta(days=30)}):
        result = analysed(exported(), **options)
        assert not [
            line for line in left_out(result.analysis) if " ends on " in line and "The data" not in line
        ]


def test_a_live_database_goes_by_its_own_clock(flags, database) -> None:
    rows = exported(20)
    with engines.postgres(rows, database) as warehouse:
        result = analyze("cheaper_model", warehouse, flags=flags)
    assert result.analysis.collected.now > EXPORTED + timedelta(days=8)
    assert not result.analysis.collected.newest


def test_a_restored_database_says_where_its_rows_end(flags, database) -> None:
    """It can't be told from a live one in which nothing happens, so its clock stays, and the reader decides."""
    rows = exported(20)
    with engines.postgres(rows, database) as warehouse:
        result = analyze("cheaper_model", warehouse, flags=flags)
        ended = max(row["requested_at"] for row in rows.usage_logs)
        ended = max([ended, *(row["occurred_at"] for row in rows.metric_events)])
        assert result.analysis.collected.quiet_since == ended
        told = f"analyse it as of then, on the command line with --at {ended:%Y-%m-%dT%H:%MZ}."
        assert any(line.endswith(told) for line in left_out(result.analysis))
        assert any(line.endswith(told) for line in message(result))
        assert restore(result.snapshot()).analysis == result.analysis
        at_its_end = analyze("cheaper_model", warehouse, flags=flags, now=ended + timedelta(hours=1))
    assert at_its_end.analysis.collected.quiet_since is None


def test_power_reads_the_window_before_the_newest_row(flags, tmp_path) -> None:
    with engines.parquet(exported(), tmp_path) as warehouse:
        assert power("cheaper_model", warehouse.backend, flags=flags).mean > 0


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_power_refuses_a_past_that_has_not_come(flags, tmp_path, request, engine) -> None:
    rows = exported(20)
    if engine == "duckdb":
        place: object = tmp_path
        engines.parquet(rows, tmp_path).backend.disconnect()
    else:
        place = request.getfixturevalue("database")
        engines.postgres(rows, str(place)).backend.disconnect()
    with pytest.raises(
        ConfigurationError, match="is in the future: power reads the past, so name an earlier time"
    ):
        power("cheaper_model", place, flags=flags, now=datetime.now(UTC) + timedelta(hours=1))
