"""A place of data that breaks, before an analysis or during it: the fault is told as what it is, never a number."""

import os
import re
from datetime import timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.experiments import engines
from tests.experiments.data import NOW, START, Rows, experiment_rows
from tests.experiments.test_engines import on_spark, spark
from windsock.errors import ConfigurationError, UnreachableError, WindsockError
from windsock.experiments import analyze
from windsock.experiments.data.warehouse import Warehouse, open_folder
from windsock.experiments.decision import State

__all__ = ["spark"]

pytestmark = pytest.mark.slow  # each analyses a complete experiment

ROWS = experiment_rows(40)
WRITE = {".parquet": pyarrow.parquet.write_table, ".csv": pyarrow.csv.write_csv}


@pytest.fixture
def data(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def breaking(monkeypatch):
    """Break the data before an analysis's third query."""

    def at_third_query(fault) -> None:
        asked = []

        def rows(self, *arguments, **options):
            asked.append(arguments)
            if len(asked) == 3:
                fault()
            return run(self, *arguments, **options)

        run = Warehouse.rows
        monkeypatch.setattr(Warehouse, "rows", rows)

    return at_third_query


def other_table(path: Path) -> None:
    WRITE[path.suffix](pa.table({"x": [1]}), path)


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def halve(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


FAULTS = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "half": halve,
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "folder": become_folder,
    "another table": other_table,
    "locked": lambda path: path.chmod(0),
}


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        *((f"usage_logs.{suffix}", fault) for suffix in ("parquet", "csv") for fault in FAULTS),
        *((f"{table}.parquet", "gone") for table in ("exposures", "metric_events")),
    ],
)
def test_a_file_that_changes_during_an_analysis_is_named(flags, data, breaking, file, fault) -> None:
    path = data / file
    with getattr(engines, path.suffix.removeprefix("."))(ROWS, data) as warehouse:
        breaking(lambda: FAULTS[fault](path))
        with pytest.raises(UnreachableError) as refused:
            analyze("cheaper_model", warehouse, flags=flags, now=NOW)
    what = "is gone" if fault == "gone" else "changed"
    assert str(refused.value) == (
        f"{path}: {what} while it was read; run the command again when the export is complete"
    )


@pytest.mark.parametrize("fault", ["empty", "half", "noise"])
def test_a_file_that_is_no_parquet_is_named(flags, data, fault) -> None:
    engines.parquet(ROWS, data).backend.disconnect()
    path = data / "usage_logs.parquet"
    FAULTS[fault](path)
    with pytest.raises(UnreachableError) as refused:
        analyze("cheaper_model", data, flags=flags, now=NOW)
    assert str(refused.value).startswith(f"{path}: cannot be read as Parquet: ")
    assert str(refused.value).endswith("; export it again")
    assert "\n" not in str(refused.value)


def test_noise_is_no_csv(flags, data) -> None:
    engines.csv(ROWS, data).backend.disconnect()
    path = data / "usage_logs.csv"
    path.write_bytes(os.urandom(5000))
    with pytest.raises(UnreachableError, match=re.escape(f"{path}: cannot be read as CSV: ")) as refused:
        analyze("cheaper_model", data, flags=flags, now=NOW)
    assert len(str(refused.value)) < 300


def test_damage_within_a_parquet_file_names_the_files_that_were_read(flags, data) -> None:
    engines.parquet(ROWS, data).backend.disconnect()
    path = data / "exposures.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[4:400] = bytes(each ^ 0x55 for each in damaged[4:400])
    path.write_bytes(damaged)
    with pytest.raises(WindsockError) as refused:
        analyze("cheaper_model", data, flags=flags, now=NOW)
    assert "exposures.parquet" in str(refused.value)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        (",2026-03-", ",soon-", 'invalid timestamp field format: "soon-'),  # DuckDB alone would read NULL
        (
            ".",
            ".x",
            'reading metric_events.csv: CSV Error on Line: 72002: column "value" does not fit the type DOUBLE',
        ),
    ],
)
def test_a_row_of_a_csv_file_that_fits_no_type_is_an_error(flags, data, good, bad, said) -> None:
    """It comes after the rows by which DuckDB decides on the types."""
    engines.csv(ROWS, data).backend.disconnect()
    path = data / "metric_events.csv"
    first, *lines = path.read_text().splitlines()
    path.write_text("\n".join([first, *lines * 1500, lines[-1].replace(good, bad, 1), ""]))
    with pytest.raises(WindsockError) as refused:
        analyze("cheaper_model", data, flags=flags, now=NOW)
    assert said in str(refused.value)
    assert lines[-1].split(",")[0] not in str(refused.value)  # the row itself isn't quoted
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("table", ["exposures", "usage_logs", "metric_events"])
def test_a_csv_file_without_rows_is_an_empty_table(flags, data, table) -> None:
    engines.csv(ROWS, data).backend.disconnect()
    path = data / f"{table}.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    result = analyze("cheaper_model", data, flags=flags, now=NOW)
    assert result.decision.state is State.COLLECTING
    assert result.analysis.collected.exposed.total == (0 if table == "exposures" else 40)


def test_ids_that_look_like_numbers_stay_as_they_are_in_csv(flags, data) -> None:
    """In one file every id is made of digits, in the other not: `0012` and `12` are two users."""
    rows = Rows()
    for number in range(8):
        unit = f"{number:04d}" if number else "first"
        rows.expose(unit, "control" if number % 2 else "cheaper", START)
        if number:
            rows.request(unit, START + timedelta(days=1), cost=2.0)
    rows.event("revenue", "0001", START, 1.0)
    engines.csv(rows, data).backend.disconnect()
    result = analyze("cheaper_model", data, flags=flags, now=NOW)
    sums = result.analysis.collected.metrics["cost_per_request"]
    assert {arm: each.events for arm, each in sums.items()} == {"control": 4, "cheaper": 3}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("exposures", "exposures: there is no column 'experiment'; there is 'x'"),
        ("usage_logs", "metric cost_per_request: there is no column 'latency_ms'; there is 'x'"),
        ("metric_events", "metric revenue: there is no column 'name'; there is 'x'"),
        ("withdrawals", "withdrawals: there is no column 'flag'; there is 'x'"),
    ],
)
def test_a_table_of_ours_without_its_columns_is_named(flags, data, suffix, table, said) -> None:
    getattr(engines, suffix)(ROWS, data).backend.disconnect()
    other_table(data / f"{table}.{suffix}")
    with pytest.raises(ConfigurationError) as refused:
        analyze("cheaper_model", data, flags=flags, now=NOW)
    assert str(refused.value).endswith(said)


def test_a_table_that_was_not_exported_is_named_by_its_file(flags, data) -> None:
    engines.parquet(ROWS, data).backend.disconnect()
    (data / "usage_logs.parquet").unlink()
    with pytest.raises(ConfigurationError) as refused:
        analyze("cheaper_model", data, flags=flags, now=NOW)
    assert str(refused.value).endswith(
        f"metric cost_per_request: there is no table 'public.usage_logs': {data} has no usage_logs.parquet or "
        "usage_logs.csv; there are 'exposures', 'metric_events'"
    )


def test_a_link_out_of_the_folder_is_not_read(data, tmp_path) -> None:
    engines.parquet(ROWS, data).backend.disconnect()
    (data / "usage_logs.parquet").rename(tmp_path / "elsewhere.parquet")
    (data / "usage_logs.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(
        UnreachableError, match=r"usage_logs\.parquet: leads out of the folder; copy the file"
    ):
        open_folder(data)


@pytest.mark.parametrize(
    "other", ["usage_logs.csv", "public.usage_logs.parquet", "Usage_Logs.parquet", "usage_logs/1.parquet"]
)
def test_two_files_of_one_table_are_both_named(data, other) -> None:
    engines.parquet(ROWS, data).backend.disconnect()
    second = data / other
    second.parent.mkdir(exist_ok=True)
    second.write_bytes((data / "usage_logs.parquet").read_bytes())
    with pytest.raises(ConfigurationError, match="are both the table") as refused:
        open_folder(data)
    assert {"usage_logs.parquet", Path(other).parts[0]} <= set(re.findall(r"[\w.]+", str(refused.value)))


@pytest.mark.parametrize("name", ["a[b]", "a*", "a?"])
def test_a_path_that_duckdb_takes_for_a_pattern_is_refused(data, name) -> None:
    engines.parquet(ROWS, data).backend.disconnect()
    inside = data / f"{name}.parquet"
    inside.write_bytes((data / "usage_logs.parquet").read_bytes())
    with pytest.raises(ConfigurationError, match=re.escape(f"{inside}: DuckDB takes")):
        open_folder(data)
    inside.unlink()
    outside = data.rename(data.with_name(name))
    with pytest.raises(ConfigurationError, match=re.escape(f"{name}/exposures.parquet: DuckDB takes")):
        open_folder(outside)


def test_a_column_nested_so_deep_that_duckdb_may_crash_is_refused(data) -> None:
    engines.parquet(ROWS, data).backend.disconnect()
    kind = pa.int32()
    for _ in range(101):
        kind = pa.struct([("inner", kind)])
    pyarrow.parquet.write_table(pa.table({"deep": pa.array([], kind)}), data / "deep.parquet")
    with pytest.raises(UnreachableError, match=r"deep\.parquet: columns are nested more than 100 deep"):
        open_folder(data)


POSTGRES = {
    "dropped": (
        "drop table windsock.metric_events",
        "there is no table windsock.metric_events; `windsock migrate`",
    ),
    "renamed": (
        "alter table windsock.metric_events rename to metric_event",
        "there is no table windsock.metric_events; `windsock migrate`",
    ),
    "without a column": ("alter table public.usage_logs drop column cost cascade", "column"),
    "revoked": (
        "revoke select on public.usage_logs from windsock_analyst",
        "windsock_analyst may not read it; run `windsock migrate`",
    ),
}


@pytest.mark.parametrize("fault", POSTGRES)
def test_a_table_that_changes_in_postgresql_is_told(flags, database, breaking, fault) -> None:
    statement, said = POSTGRES[fault]
    with engines.postgres(ROWS, database) as warehouse, psycopg.connect(database, autocommit=True) as owner:
        breaking(lambda: owner.execute(statement.encode()))
        with pytest.raises(ConfigurationError) as refused:
            analyze("cheaper_model", warehouse, flags=flags, now=NOW)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_connection_that_is_cut_half_way_is_told(flags, database, breaking) -> None:
    with engines.postgres(ROWS, database) as warehouse, psycopg.connect(database, autocommit=True) as owner:
        pid = warehouse.connection.info.backend_pid
        breaking(lambda: owner.execute("select pg_terminate_backend(%s)", [pid]))
        with pytest.raises(UnreachableError, match="the database went away") as refused:
            analyze("cheaper_model", warehouse, flags=flags, now=NOW)
    assert "\n" not in str(refused.value)


def test_a_statement_that_is_stopped_while_a_table_is_looked_up_is_told(flags, database, breaking) -> None:
    """A locked catalogue, say: that isn't a table that doesn't exist."""
    with engines.postgres(ROWS, database) as warehouse, psycopg.connect(database) as owner:

        def lock() -> None:
            warehouse.connection.execute("set statement_timeout = '100ms'")
            owner.execute("lock table windsock.metric_events in access exclusive mode")

        breaking(lock)
        with pytest.raises(ConfigurationError, match="it ran into the statement timeout"):
            analyze("cheaper_model", warehouse, flags=flags, now=NOW)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_spark_tells_a_missing_table_from_one_that_cannot_be_read(spark, data) -> None:
    warehouse = on_spark(ROWS, data, spark)
    assert warehouse.find("windsock.withdrawals") is None
    assert warehouse.find("withdrawals") is None
    assert warehouse.find("windsock.exposures") is not None
    spark.sql("create or replace temporary view middle as select 1 as a")
    spark.sql("create or replace temporary view broken as select a from middle")
    spark.sql("create or replace temporary view middle as select 1 as b")
    with pytest.raises(ConfigurationError, match="broken: "):
        warehouse.find("broken")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("inf"), "has NaN, or values that are infinite or too large to square"),
        (float("nan"), "has NaN, or values that are infinite or too large to square"),
        (1e200, "has NaN, or values that are infinite or too large to square"),
        (1e-200, "has values that are too small to square; give them in a smaller unit"),
        (5e-324, "has values that are too small to square; give them in a smaller unit"),
    ],
)
def test_values_without_a_variance_are_refused(flags, data, value, said) -> None:
    rows = experiment_rows(40)
    for each in rows.metric_events:
        each["value"] = value
    with engines.parquet(rows, data) as warehouse, pytest.raises(ConfigurationError) as refused:
        analyze("cheaper_model", warehouse, flags=flags, now=NOW)
    assert re.search(rf"metric revenue: arm (control|cheaper) {said}", str(refused.value))
