"""`windsock experiment check --sources` over hostile SELECTs: each is refused in one line, and does nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.experiments import engines
from tests.experiments.data import NOW, SHORT, declare, experiment_rows
from windsock.errors import ConfigurationError
from windsock.experiments.result import analyze

HANGS = 300
"""Seconds after which a command is taken to hang; it takes a few."""
MEMORY = 2 << 20
"""Kilobytes of address space that the command may have."""

DOCUMENT = f"{SHORT}metrics: {{goal: [well_formed]}}\n"
ROW = "timestamptz '2026-03-02' as at, 1.0 as value"
READS = "select unit, occurred_at as at, value from metric_events"
WELL_FORMED = f"{READS} where name = 'revenue' -- a comment does no harm"

FILES = {
    "copy": "copy (select 1) to 'pwned'",
    "copy_to_program": "copy metric_events to program 'touch pwned'",
    "pg_read_file": f"select pg_read_file('/etc/passwd') as unit, {ROW}",
    "pg_read_file_by_schema": f"select pg_catalog.pg_read_file('/etc/passwd') as unit, {ROW}",
    "pg_read_file_quoted": f"select \"pg_read_file\"('/etc/passwd') as unit, {ROW}",
    "pg_read_file_in_unicode": f"select U&\"pg\\005fread_file\"('/etc/passwd') as unit, {ROW}",
    "pg_read_file_in_comments": f"select pg_read_file/**/('/etc/passwd') as unit, {ROW}",
    "pg_read_file_as_value": f"{READS} where length(pg_read_file('/etc/passwd')) > 9",
    "pg_ls_dir": f"select pg_ls_dir('/etc') as unit, {ROW}",
    "pg_ls_dir_in_rows_from": f"select a as unit, {ROW} from rows from (pg_ls_dir('/etc')) as t(a)",
    "lo_import": f"select lo_import('/etc/passwd') as unit, {ROW}",
    "lo_export": f"select lo_export(1, 'pwned') as unit, {ROW}",
    "read_csv": f"select column0 as unit, {ROW} from read_csv('/etc/passwd', delim=':')",
    "read_csv_auto": f"select column0 as unit, {ROW} from read_csv_auto('/etc/passwd')",
    "read_text": f"select content as unit, {ROW} from read_text('/etc/passwd')",
    "read_blob": f"select content as unit, {ROW} from read_blob('/etc/passwd')",
    "read_json": f"select * as unit, {ROW} from read_json('/etc/passwd')",
    "sniff_csv": f"select prompt as unit, {ROW} from sniff_csv('/etc/passwd')",
    "glob": f"select file as unit, {ROW} from glob('/etc/*')",
    "file_as_table": f"select column0 as unit, {ROW} from '/etc/passwd'",
    "file_as_quoted_table": f'select column0 as unit, {ROW} from "/etc/passwd"',
    "another_host": f"select unit, {ROW} from read_parquet('https://example.org/x.parquet')",
}
SESSION = {
    "set_role": "set role postgres",
    "set_access": "set enable_external_access = true",
    "set_config": f"select set_config('role', 'none', false) as unit, {ROW}",
    "current_setting": f"select current_setting('data_directory') as unit, {ROW}",
    "getenv": f"select getenv('HOME') as unit, {ROW}",
    "dblink": f"select a as unit, {ROW} from dblink('host=x', 'select 1') as t(a text)",
    "query_to_xml": f"select query_to_xml('delete from metric_events', true, true, '') as unit, {ROW}",
    "query": f"select unit, {ROW} from query('from metric_events')",
    "attach": "attach 'pwned' as x",
    "install": "install httpfs",
    "load": "load httpfs",
    "pragma": "pragma database_list",
    "call": "call pragma_version()",
    "execute_in_with": f"with a as (execute x) select unit, {ROW} from a",
    "do": "do $$ begin perform 1; end $$",
    "pg_sleep": f"select pg_sleep(3600) as unit, {ROW}",
    "pg_advisory_lock": f"select pg_advisory_lock(1) as unit, {ROW}",
    "pg_terminate_backend": f"select pg_terminate_backend(pg_backend_pid()) as unit, {ROW}",
}
WRITES = {
    "insert": "insert into metric_events values (1)",
    "delete_in_with": "with d as (delete from metric_events returning *) select unit, occurred_at as at, value from d",
    "update_in_with": f"with d as (update metric_events set value = 9 returning *) {READS}",
    "insert_in_deep_with": f"with a as (with b as (insert into metric_events select * from metric_events returning *) "
    f"select * from b) {READS}",
    "select_into": "select * into pwned from metric_events",
    "for_update": f"{READS} for update",
    "create": "create table pwned as select 1",
    "two_statements": f"{READS}; drop table metric_events",
    "two_after_a_comment": f"{READS} /* ; */ ; -- \n drop table metric_events",
}
SYSTEM = {
    "information_schema": f"select table_name as unit, {ROW} from information_schema.tables",
    "information_schema_in_capitals": f"select table_name as unit, {ROW} from INFORMATION_SCHEMA.columns",
    "pg_authid": f"select rolname as unit, {ROW} from pg_authid",
    "pg_roles": f"select rolname as unit, {ROW} from pg_catalog.pg_roles",
    "pg_stat_activity": f"select query as unit, {ROW} from pg_stat_activity",
    "pg_class_in_a_condition": f"{READS} where exists (select 1 from pg_class where relname = 'users')",
    "duckdb_settings": f"select name as unit, {ROW} from duckdb_settings()",
    "duckdb_tables": f"select table_name as unit, {ROW} from main.duckdb_tables",
}
SHAPES = {
    "comment_without_an_end": "select unit /* ",
    "quote_without_an_end": "select 'unit",
    "only_a_comment": "-- nothing",
    "only_semicolons": " ; ; ",
    "nothing": " ",
    "text": "select unit, occurred_at as at, 'x' as value from metric_events",
    "other_columns": "select 1 as x",
    "terminal_codes": "load \x1b[2J\x1b]0;pwned\x07",
    "terminal_codes_in_a_name": f'select "\x1b[2J" as unit, {ROW} from metric_events',
    "parentheses": f"select unit, occurred_at as at, {'(' * 3_000}value{')' * 3_000} as value from metric_events",
    "casts": f"select unit, occurred_at as at, value{'::float' * 2_500} as value from metric_events",
}
ENDLESS = {
    "recursion": "with recursive r(n) as (select 1 union all select 1 from r) "
    "select 'x' as unit, timestamptz '2026-03-02' as at, sum(n) as value from r",
    "two_series": "select 'x' as unit, timestamptz '2026-03-02' as at, sum(n + m) as value "
    "from generate_series(1, 10000000) as a(n), generate_series(1, 10000000) as b(m)",
    "joins": "select 'x' as unit, timestamptz '2026-03-02' as at, sum(a.value + f.value) as value from "
    + ", ".join(f"metric_events as {each}" for each in "abcdef"),
}
"""They read, so nothing refuses them before they run."""
HOSTILE = FILES | SESSION | WRITES | SYSTEM | SHAPES


def folder_of(root: Path, selects: dict[str, str], events: str) -> Path:
    """A working folder with an experiment, and each SELECT as a metric; JSON is YAML too."""
    metrics = {
        name: {
            "source": {"sql": sql.replace("metric_events", events)},
            "kind": "mean", "value": "value", "better": "higher",
        }
        for name, sql in selects.items()
    }  # fmt: skip
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(metric)}" for name, metric in metrics.items())
    declare(root / "flagd", DOCUMENT, f'{{"metrics": {{\n{lines}}}}}\n')
    return root


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, with a limit on its memory."""
    return subprocess.run(
        ["/bin/sh", "-c", f'ulimit -v {MEMORY} && exec "$@"', "sh", sys.executable, "-c",
         "from windsock.cli._app import main; main()", "experiment", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip


def holds_nothing_else(folder: Path) -> bool:
    return {path.name for path in folder.rglob("*")} == {
        "flagd",
        "experiments",
        "cheaper_model.yaml",
        "metrics.yaml",
    }


def compared(done: subprocess.CompletedProcess[str]) -> int:
    """How many SELECTs were refused, each in a line of its own that names the file and the metric."""
    secrets = Path("/etc/passwd").read_text().splitlines()
    assert secrets
    assert not [line for line in secrets if line in done.stdout + done.stderr]
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert all(line.isprintable() for line in lines)
    expected = [
        f"windsock: flagd/metrics.yaml:{number}: metric {name}: "
        for number, name in enumerate(HOSTILE, start=3)
    ]
    found = {start: [line for line in lines if line.startswith(start)] for start in expected}
    assert {start: each for start, each in found.items() if len(each) != 1} == {}
    assert len(lines) == len(expected), [line for line in lines if not line.startswith(tuple(expected))]
    assert done.stdout == f"1 experiment, {len(HOSTILE)} problems\n"
    assert done.returncode == 1
    return len(expected)


def test_each_hostile_select_over_files_is_refused(tmp_path) -> None:
    (data := tmp_path / "data").mkdir()
    with engines.parquet(experiment_rows(6), data):
        before = {path: path.read_bytes() for path in data.iterdir()}
    folder = folder_of(tmp_path / "work", {"well_formed": WELL_FORMED, **HOSTILE}, "metric_events")
    assert compared(run(folder, "check", "--sources", "--data", str(data))) == 68
    assert holds_nothing_else(folder)
    assert {path: path.read_bytes() for path in data.iterdir()} == before


def test_each_hostile_select_over_postgresql_is_refused(tmp_path, database) -> None:
    with engines.postgres(experiment_rows(6), database):
        before = contents(database)
    folder = folder_of(tmp_path / "work", {"well_formed": WELL_FORMED, **HOSTILE}, "windsock.metric_events")
    assert compared(run(folder, "check", "--sources", "--data", database)) == 68
    assert holds_nothing_else(folder)
    assert contents(database) == before


def contents(url: str) -> tuple[object, ...]:
    """The events, and the names of all tables and large objects."""
    with psycopg.connect(url) as connection:
        return tuple(
            connection.execute(query).fetchall()
            for query in (
                "select * from windsock.metric_events order by id",
                "select oid::regclass::text from pg_class where relkind = 'r' order by oid",
                "select oid from pg_largeobject_metadata",
            )
        )


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_each_endless_select_runs_into_the_timeout(tmp_path, request, engine) -> None:
    (data := tmp_path / "data").mkdir()
    url = request.getfixturevalue("database") if engine == "postgres" else ""
    opened = (
        engines.postgres(experiment_rows(200), url) if url else engines.parquet(experiment_rows(200), data)
    )
    if opened.connection:
        opened.connection.execute("set statement_timeout = '500ms'")
    with replace(opened, seconds=0.5) as warehouse:
        for name, sql in ENDLESS.items():
            events = "windsock.metric_events" if url else "metric_events"
            folder = folder_of(tmp_path / name, {"well_formed": sql}, events) / "flagd"
            with pytest.raises(ConfigurationError) as told:
                analyze("cheaper_model", warehouse, flags=folder, now=NOW)
            assert str(told.value).startswith(
                f"{folder / 'metrics.yaml'}:2: metric well_formed: it ran into the statement timeout; "
            )
