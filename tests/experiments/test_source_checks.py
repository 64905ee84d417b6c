"""What a person is told when a metric's source is wrong: the line, the fault, and what to do."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from tests.experiments import engines
from tests.experiments.data import NOW, SHORT, declare, experiment_rows
from windsock.cli._app import app
from windsock.errors import ConfigurationError
from windsock.experiments.data.source_checks import check_sources
from windsock.experiments.data.warehouse import Warehouse, open_postgres
from windsock.experiments.planning import power
from windsock.experiments.reading import read_declared
from windsock.experiments.result import analyze

METRIC = """\
metrics:
  revenue:
    source: SOURCE
    kind: mean
    value: amount
    better: higher
"""
TABLE = "{table: billing.payments, unit: user_id, at: paid_at}"
PAYMENTS = """\
create schema billing;
create table billing.payments (
    user_id text, paid_at timestamptz, amount numeric, note text, local timestamp, number int);
insert into billing.payments values ('user-00001', now(), 5, 'a', now(), 1);
"""
READABLE = (
    "grant usage on schema billing to windsock_analyst; grant select on billing.payments to windsock_analyst"
)


def select(**columns: str) -> str:
    """A SELECT over the payments, with some columns replaced."""
    chosen = {"unit": "user_id", "at": "paid_at", "amount": "amount"} | columns
    return f'{{sql: "select {", ".join(f"{v} as {k}" for k, v in chosen.items())} from billing.payments"}}'


def flags(folder: Path, source: str, goal: str = "revenue") -> Path:
    return declare(folder, f"{SHORT}metrics: {{goal: [{goal}]}}\n", METRIC.replace("SOURCE", source))


@pytest.fixture
def payments(database) -> str:
    """A migrated database with exposures, and a table of the team's own that the analyst may read."""
    with engines.postgres(experiment_rows(6), database), psycopg.connect(database, autocommit=True) as owner:
        owner.execute(PAYMENTS.encode())
        owner.execute(READABLE.encode())
    return database


def findings(warehouse: Warehouse, folder: Path) -> list[str]:
    found = check_sources(warehouse, read_declared(folder, "cheaper_model"), "production")
    return [each.text for each in found if each.is_fault]


WRONG = [
    ("{table: biling.payments}", "there is no schema 'biling'; did you mean 'billing'?"),
    ("{table: billing.paymnts}", "there is no table 'billing.paymnts'; did you mean 'billing.payments'?"),
    ("{table: pg_catalog.pg_stat_activity}", "may not read the system table pg_catalog.pg_stat_activity"),
    ("{table: payments}", "there is no table payments outside schemas; write billing.payments"),
    ("{table: billing.payments, unit: user, at: paid_at}", "no column 'user'; did you mean 'user_id'?"),
    ("{table: billing.payments, unit: user_id, at: note}", "'note' is text, not a timestamp"),
    (select(amount="note"), "'amount' is text, not a number"),
    (select(amount="amonut"), 'perhaps you meant to reference the column "payments.amount"'),
    (select(unit="number"), "its units are whole numbers, but the exposed ones are other text"),
    (
        select().replace("billing.payments", "billing.zebra"),
        "there is no table 'billing.zebra'; there is 'billing.payments'",
    ),
]


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_each_fault_is_one_line_with_its_place(payments, tmp_path, source, message) -> None:
    folder = flags(tmp_path / "flagd", source)
    with open_postgres(payments) as warehouse:
        (found,) = findings(warehouse, folder)
    assert found.startswith(f"{folder / 'metrics.yaml'}:2: metric revenue: ")
    assert message in found
    assert "\n" not in found


@pytest.mark.parametrize("source", [TABLE, select(), select(unit="user_id::varchar", amount="amount > 1")])
def test_a_source_that_works_has_no_fault(payments, tmp_path, source) -> None:
    with open_postgres(payments) as warehouse:
        assert findings(warehouse, flags(tmp_path / "flagd", source)) == []


@pytest.mark.parametrize("source", [TABLE, select()])
def test_the_grants_that_it_names_are_the_ones_that_are_missing(payments, tmp_path, source) -> None:
    folder = flags(tmp_path / "flagd", source)
    with psycopg.connect(payments, autocommit=True) as owner:
        owner.execute("revoke all on schema billing from windsock_analyst")
        owner.execute("revoke all on billing.payments from windsock_analyst")
        with open_postgres(payments) as warehouse:
            (found,) = findings(warehouse, folder)
        assert found.endswith(
            ": metric revenue: the role windsock_analyst may not read billing.payments; "
            f"as its owner, run: {READABLE}"
        )
        for asked in (analyze, power):
            with pytest.raises(ConfigurationError) as told:
                asked("cheaper_model", payments, flags=folder, now=NOW)
            assert str(told.value) == found
        owner.execute(found.partition("run: ")[2].encode())
    with open_postgres(payments) as warehouse:
        assert findings(warehouse, folder) == []


def test_plain_ids_beside_hashed_ones_join_nothing_and_are_a_fault(payments, tmp_path) -> None:
    folder = flags(tmp_path / "flagd", TABLE)
    with psycopg.connect(payments, autocommit=True) as owner:
        owner.execute("update windsock.exposures set unit = windsock.hashed_user_id(unit, 'a key')")
    with open_postgres(payments) as warehouse:
        (found,) = findings(warehouse, folder)
    assert "its units are other text, but the exposed ones are hashes, so nothing joins" in found
    assert found.endswith("hashed with `windsock usage hash`")


def test_a_built_in_metric_is_named_where_the_experiment_names_it(payments, tmp_path) -> None:
    folder = flags(tmp_path / "flagd", TABLE, goal="revenue, thumbs")
    with psycopg.connect(payments, autocommit=True) as owner:
        owner.execute("drop table windsock.metric_events cascade")
    with open_postgres(payments) as warehouse:
        (found,) = findings(warehouse, folder)
    assert found == (
        f"{folder / 'experiments' / 'cheaper_model.yaml'}:7: metric thumbs: "
        "there is no table windsock.metric_events; `windsock migrate` makes it"
    )


def test_the_command_lists_every_fault_and_notes_a_time_without_zone(payments, tmp_path) -> None:
    folder = flags(tmp_path / "flagd", select(at="local"))
    asked = ["experiment", "check", "--flags", str(folder), "--data", payments]
    noted = CliRunner().invoke(app, [*asked, "--sources"])
    assert "metric revenue: the column 'at' has no time zone and is read as UTC" in noted.stderr
    assert noted.exit_code == 0
    (folder / "metrics.yaml").write_text(METRIC.replace("SOURCE", select(amount="note")))
    found = CliRunner().invoke(app, [*asked, "--sources"])
    assert f"{folder / 'metrics.yaml'}:2: metric revenue: the column 'amount' is text" in found.stderr
    assert "1 experiment, 1 problem" in found.stdout
    assert found.exit_code == 1
    assert CliRunner().invoke(app, asked).exit_code == 0  # the database is asked only if wanted


def test_a_metric_that_no_experiment_names_is_checked_too(tmp_path) -> None:
    (data := tmp_path / "data").mkdir()
    (data / "payments.csv").write_text("unit,at,amount\nuser-00001,2026-03-02T00:00:00Z,5\n")
    folder = flags(tmp_path / "flagd", "{table: payments}")
    unused = (
        METRIC.replace("revenue", "later")
        .replace("SOURCE", "{table: payments, unit: unti}")
        .removeprefix("metrics:\n")
    )
    with (folder / "metrics.yaml").open("a") as file:
        file.write(unused)
    with engines.csv(experiment_rows(6), data):
        pass
    asked = ["experiment", "check", "--sources", "--flags", str(folder), "--data", str(data)]
    found = CliRunner().invoke(app, asked)
    assert f"{folder / 'metrics.yaml'}:7: metric later: " in found.stderr
    assert "no column 'unti'; did you mean 'unit'?" in found.stderr
    assert "metric revenue" not in found.stderr
    assert found.exit_code == 1


def test_files_are_checked_too(tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "payments.csv").write_text("user_id,paid_at,amount\nuser-00001,2026-03-02T00:00:00Z,5\n")
    wrong = select(amount="amonut").replace("billing.", "")
    with engines.csv(experiment_rows(6), data) as warehouse:
        (found,) = findings(warehouse, flags(tmp_path / "wrong", wrong))
        assert "amonut" in found
        assert '"amount"' in found
        right = select().replace("billing.", "")
        assert findings(warehouse, flags(tmp_path / "right", right)) == []


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_a_statement_that_runs_too_long_is_stopped_and_named(tmp_path, request, engine) -> None:
    endless = (
        "{sql: \"select n::text as unit, timestamptz '2026-03-02' as at, sum(m) as amount "
        'from generate_series(1, 10000000) as a(n), generate_series(1, 10000000) as b(m) group by 1, 2"}'
    )
    folder = flags(tmp_path / "flagd", endless)
    (data := tmp_path / "data").mkdir()
    if engine == "duckdb":
        opened = replace(engines.parquet(experiment_rows(6), data), seconds=0.5)
    else:
        opened = engines.postgres(experiment_rows(6), request.getfixturevalue("database"))
        opened.connection.execute("set statement_timeout = '500ms'")
    with opened, pytest.raises(ConfigurationError) as told:
        analyze("cheaper_model", opened, flags=folder, now=NOW)
    assert str(told.value) == (
        f"{folder / 'metrics.yaml'}:2: metric revenue: it ran into the statement timeout; "
        "narrow the SELECT, or read a prepared table instead"
    )
