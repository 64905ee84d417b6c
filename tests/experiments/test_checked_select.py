"""A metric's SQL is hostile: one SELECT that reads, as a role that may read little."""

import logging

import pytest

from tests.experiments import engines
from tests.experiments.data import NOW, experiment_rows
from windsock.errors import ConfigurationError, UnreachableError
from windsock.experiments.data.checked_select import check_table, checked_select
from windsock.experiments.data.collecting import collect
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metric
from windsock.experiments.reading import DeclaredExperiment

READS = "select user_id as unit, occurred_at as at, value as amount from windsock.metric_events where name = 'revenue'"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select 1; drop table x", "must be one SELECT"),
        ("drop table x", "must be one SELECT"),
        ("insert into x values (1) returning *", "must be one SELECT"),
        ("copy x to program 'sh'", "must be one SELECT"),
        ("with gone as (delete from x returning *) select * from gone", "may only read; it has DELETE"),
        ("select * into y from x", "may only read; it has INTO"),
        ("select * from x for update", "may only read; it has LOCK"),
        ("select set_config('role', 'postgres', false)", "set_config() may not be called"),
        ("select pg_catalog.set_config('role', 'none', false)", "set_config() may not be called"),
        ("select pg_read_file('/etc/passwd')", "pg_read_file() may not be called"),
        ("select * from dblink('host=x', 'select 1') as t(a int)", "dblink() may not be called"),
        ("select query_to_xml('delete from x', true, true, '')", "query_to_xml() may not be called"),
        ("select pg_sleep(1000)", "pg_sleep() may not be called"),
        ("select \"Set_Config\"('a', 'b', true)", "may not be called"),
        ("select (", "cannot be parsed"),
        ("set role postgres", "must be one SELECT"),
        ("", "must be one SELECT"),
    ],
)
def test_what_is_not_one_select_that_reads_is_refused(sql, message) -> None:
    with pytest.raises(ConfigurationError) as raised:
        checked_select(sql, "postgres", "metric revenue")
    assert message in str(raised.value)
    assert str(raised.value).startswith("metric revenue: ")


def test_the_logger_of_the_parser_is_as_it_was(caplog) -> None:
    parser = logging.getLogger("sqlglot")
    before = list(parser.filters)
    with pytest.raises(ConfigurationError):
        checked_select("set role postgres", "postgres", "metric revenue")  # the parser warns of it
    assert (parser.filters, caplog.records) == (before, [])
    parser.warning("somebody else's\nwarning")
    assert caplog.records[0].getMessage() == "somebody else's\nwarning"


@pytest.mark.parametrize("deep", ["(" * 4000 + "1" + ")" * 4000, "1" + "::int" * 3000, "- " * 9000 + "1"])
def test_what_is_nested_too_deeply_is_said(deep) -> None:
    with pytest.raises(ConfigurationError, match=r"^metric revenue: the SQL is nested too deeply"):
        checked_select(f"select {deep}", "duckdb", "metric revenue")


@pytest.mark.parametrize("sql", ["select * from read_csv('/etc/passwd')", "select * from read_parquet('x')"])
def test_files_are_not_read_by_a_metric(sql) -> None:
    with pytest.raises(ConfigurationError, match=r"may only read|may not be called"):
        checked_select(sql, "duckdb", "metric revenue")


@pytest.mark.parametrize(
    "table",
    [
        "information_schema.tables",
        "x.Information_Schema.tables",
        "pg_catalog.pg_roles",
        "PG_class",
        "duckdb_tables",
    ],
)
def test_the_tables_of_the_engine_are_not_a_metric_s(table) -> None:
    for check in (
        check_table,
        lambda name, where: checked_select(f"select * from {name}", "postgres", where),
    ):
        with pytest.raises(
            ConfigurationError, match=r"^metric revenue: a metric may not read the system table"
        ):
            check(table, "metric revenue")


@pytest.mark.parametrize("table", ["billing.pg_payments", "payments", "windsock.metric_events"])
def test_the_tables_of_the_team_are(table) -> None:
    check_table(table, "metric revenue")
    assert table in checked_select(f"select * from {table}", "postgres", "metric revenue")


def declared(sql: str) -> DeclaredExperiment:
    experiment = Experiment.model_validate(
        {
            "name": "cheaper_model", "hypothesis": "h", "owner": "o", "settings": "teacher",
            "arms": {"control": {}, "cheaper": {"reasoning_model": "small"}},
            "metrics": {"goal": ["revenue"]}, "minimum_effect": 0.05,
        }
    )  # fmt: skip
    metric = {"source": {"sql": sql}, "kind": "mean", "value": "amount", "better": "higher"}
    return DeclaredExperiment(experiment, {"revenue": Metric.model_validate(metric)})


def test_a_select_gives_the_numbers_of_its_table(database, tmp_path) -> None:
    rows = experiment_rows(200)
    with engines.postgres(rows, database) as opened:
        assert opened.as_analyst
        ours = collect(opened, declared(READS), "production", NOW)
    with engines.parquet(rows, tmp_path) as opened:
        theirs = collect(opened, declared(READS.replace("windsock.", "")), "production", NOW)
    for arm, sums in ours.metrics["revenue"].items():
        expected = theirs.metrics["revenue"][arm]
        assert sums.seen == expected.seen > 30
        assert sums.sums.sums == pytest.approx(expected.sums.sums)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "select id::text as unit, now() as at, 1 as amount from public.profiles",
            "grant select on public.profiles",
        ),
        (
            "select rolname as unit, now() as at, 1 as amount from pg_authid",
            "a metric may not read the system table pg_authid",
        ),
        (
            "select user_id as unit, occurred_at as at from windsock.metric_events",
            "no column 'amount'",
        ),
        (
            "select user_id as unit, 'now' as at, value as amount from windsock.metric_events",
            "not a timestamp",
        ),
        (
            "select user_id as unit, occurred_at as at, name as amount from windsock.metric_events",
            "not a number",
        ),
        ("select nothing as unit, now() as at, 1 as amount", "does not exist"),
    ],
)
def test_a_select_reads_granted_tables_and_says_what_is_wrong(database, sql, message) -> None:
    with (
        engines.postgres(experiment_rows(6), database) as opened,
        pytest.raises(ConfigurationError, match="metric revenue") as raised,
    ):
        collect(opened, declared(sql), "production", NOW)
    assert message in str(raised.value)


def test_the_connection_writes_nothing(database) -> None:
    import psycopg

    with engines.postgres(experiment_rows(6), database) as opened, pytest.raises(psycopg.errors.Error):
        opened.connection.execute("insert into public.usage_logs (id) values (gen_random_uuid())")


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_database_that_goes_away_half_way_is_said(database, after) -> None:
    import psycopg

    with engines.postgres(experiment_rows(6), database) as opened:
        count, process = 0, opened.connection.info.backend_pid
        run = Warehouse.rows

        class Watched(Warehouse):
            def rows(self, *asked):
                nonlocal count
                if count == after:
                    with psycopg.connect(database, autocommit=True) as other:
                        other.execute("select pg_terminate_backend(%s)", (process,))
                count += 1
                return run(self, *asked)

        watched = Watched(opened.backend, opened.connection, opened.as_analyst)
        with pytest.raises(UnreachableError, match="the database went away"):
            collect(watched, declared(READS), "production", NOW)


def test_a_folder_is_all_that_duckdb_reads(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    with engines.parquet(experiment_rows(6), tmp_path / "data") as opened:
        for statement in (
            "select * from '/etc/passwd'",
            "set enable_external_access = true",
            "install httpfs",
        ):
            with pytest.raises(Exception, match=r"(?i)permission|locked|disabled|does not exist"):
                opened.backend.raw_sql(statement)


def test_a_unit_as_uuid_joins_its_text(database) -> None:
    rows = experiment_rows(0)
    units = [f"30000000-0000-4000-8000-{number:012d}" for number in range(40)]
    for number, unit in enumerate(units):
        at = NOW.replace(day=2)
        rows.expose(unit, "control" if number % 2 else "cheaper", at)
        rows.event("revenue", unit, at.replace(day=3), 5.0 + number)
    sql = READS.replace("user_id as unit", "user_id::uuid as unit")
    with engines.postgres(rows, database) as opened:
        collected = collect(opened, declared(sql), "production", NOW)
    assert sum(arm.seen for arm in collected.metrics["revenue"].values()) == 40
