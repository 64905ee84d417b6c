"""Arms that weren't served as declared: withdrawn values, deactivated and edited profiles, profiles given later."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.experiments import engines
from tests.experiments.data import NOW, START, Rows
from windsock.experiments.analysis import analyse
from windsock.experiments.data.collecting import collect
from windsock.experiments.data.warehouse import open_postgres
from windsock.experiments.decision import State, decide
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import BUILT_IN
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.reporting.left_out import left_out
from windsock.experiments.running.assigning import Options, assign
from windsock.settings.place import fingerprint
from windsock.usage import Measured, Pending, Use
from windsock.usage.making_rows import clean
from windsock.usage.postgres import PostgresSink

METRICS = {"cost_per_request": BUILT_IN["cost_per_request"]}
FACTS = {
    "name": "cheaper_model", "hypothesis": "It costs less.", "owner": "ann", "settings": "teacher",
    "arms": {"control": {}, "cheaper": {"reasoning_model": "small"}},
    "metrics": {"goal": ["cost_per_request"]}, "minimum_effect": "5%", "maximum": {"units": 10_000},
}  # fmt: skip


def declared(**changed: object) -> DeclaredExperiment:
    return DeclaredExperiment(Experiment.model_validate(FACTS | changed), METRICS)


def hourly(units: int = 200) -> Rows:
    """A unit each hour, the arms in turn, each with one request an hour after its exposure."""
    rows = Rows()
    for number in range(units):
        at = START + timedelta(hours=number)
        rows.expose(f"u{number}", ("control", "cheaper")[number % 2], at)
        rows.request(f"u{number}", at + timedelta(hours=1))
    return rows


def look(url: str, experiment: DeclaredExperiment, now: datetime = NOW):
    with open_postgres(url) as warehouse:
        assert warehouse.as_analyst
        return analyse(experiment, collect(warehouse, experiment, "production", now))


def withdraw(
    url: str, start: datetime, end: datetime, value: object = "small", *, lifted: bool = False
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into windsock.withdrawals"
            " (flag, variant, field, fingerprint, reason, withdrawn_at, expires_at, lifted_at)"
            " values ('teacher.experiment', 'cheaper', 'reasoning_model', %s, 'it failed', %s, %s, %s)",
            [fingerprint(value), start, end + timedelta(days=9 * lifted), end if lifted else None],
        )


@pytest.mark.parametrize("lifted", [False, True])
def test_units_from_before_a_withdrawal_contaminate_the_version(database, lifted) -> None:
    with engines.postgres(hourly(), database):
        pass
    assert not look(database, declared()).collected.exposed.lapses
    start = START + timedelta(days=8)  # of 200 hours, 192 have passed; those of the last seven days count
    withdraw(database, start, start + timedelta(hours=2), lifted=lifted)
    found = look(database, declared())
    # exposed above hour 24 and below hour 194, in the arm that has the odd hours
    assert sum(found.collected.exposed.lapses.values()) == len(range(25, 194, 2))
    decision = decide(found)
    assert decision.state is State.INVALID
    assert decision.sentence == (
        "cheaper_model cannot be judged: version 1 is contaminated: reasoning_model of cheaper was withdrawn on "
        "2026-03-09 at 00:00 UTC, while 85 of its units were being counted; declare a new version."
    )


@pytest.mark.parametrize(
    ("start", "value"),
    [
        (START - timedelta(days=1), "small"),  # over before the first exposure
        (START + timedelta(days=20), "small"),  # after the last unit's window
        (START + timedelta(days=2), "another"),  # the value of another version at the same place
    ],
)
def test_a_withdrawal_that_no_unit_met_changes_nothing(database, start, value) -> None:
    with engines.postgres(hourly(), database):
        pass
    withdraw(database, start, start + timedelta(hours=1), value)
    found = look(database, declared())
    assert not found.collected.exposed.lapses
    assert decide(found).state is not State.INVALID


def test_a_withdrawal_that_is_yet_to_come_is_not_seen(database) -> None:
    with engines.postgres(hourly(), database):
        pass
    withdraw(database, START + timedelta(days=4), START + timedelta(days=5))
    assert not look(database, declared(), START + timedelta(days=3)).collected.exposed.lapses


def test_a_profile_that_is_given_later_is_counted_in_the_arm_and_said(database) -> None:
    rows = hourly()
    for unit in (1, 3, 5):  # of the arm "cheaper"
        at = START + timedelta(hours=unit + 30)
        rows.request(f"u{unit}", at, config_id=uuid.uuid4(), cost=0.5)
        rows.request(f"u{unit}", at, config_id=uuid.uuid4(), cost=0.5)
    rows.request("u7", START + timedelta(days=25), config_id=uuid.uuid4())  # its window has passed
    with engines.postgres(rows, database):
        pass
    found = look(database, declared())
    assert found.collected.exposed.moved == {"cheaper": 3}
    assert found.collected.exposed.counted == {"control": 100, "cheaper": 100}
    sums = found.collected.metrics["cost_per_request"]["cheaper"].sums
    assert sums.sums["n_cost_per_request"] + 100 * sums.shifts["n_cost_per_request"] == pytest.approx(
        100 * 0.01 + 6 * 0.5
    )
    sentence = "3 units of cheaper had a profile after the first exposure, counted in cheaper all the same."
    assert sentence in list(left_out(found))


@pytest.fixture
def assigned(database):
    """Forty users with arms that are profiles, each of whom read a field of them."""
    experiment = declared(arms={"control": "control_v1", "tuned": "tuned_v1"})
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "insert into app_configurations (name, settings) values ('control_v1', '{}'),"
            """ ('tuned_v1', '{"teacher": {"temperature": 1.1}, "tutor": {"tone": "kind"}}')"""
        )
        connection.execute("insert into profiles (id) select gen_random_uuid() from generate_series(1, 40)")
        assign(connection, experiment.experiment, Options(), lambda _: None)
        people = connection.execute("select id::text, config_id::text from profiles").fetchall()
    sink = PostgresSink(database)
    at = datetime.now(UTC) + timedelta(seconds=5)
    sink.write([used(user, config, at) for user, config in people])
    sink.close()
    return experiment, people


def used(user: str, config: str | None, at: datetime):
    use = Use("teacher", None, config, "r1", "TARGETING_MATCH", "production", user, {"temperature": 1})
    return clean(Pending(uuid.uuid4(), at, use, Measured(latency=0.1)))


def after(url: str, statement: str) -> None:
    """A change after everybody's first exposure, which lies five seconds in the future of these tests."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
        connection.execute(
            "update windsock.configuration_history set changed_at = changed_at + interval '1 minute'"
            " where id = (select max(id) from windsock.configuration_history)"
        )


SOON = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update app_configurations set is_active = false where name = 'tuned_v1'", "was deactivated"),
        ("delete from app_configurations where name = 'tuned_v1'", "was deactivated"),
        (
            """update app_configurations set settings = '{"temperature": 0.2, "tutor": {}}' where name = 'tuned_v1'""",
            "was edited (teacher, temperature)",
        ),
    ],
)
def test_a_profile_that_changes_contaminates_the_version(database, assigned, statement, said) -> None:
    experiment, _ = assigned
    before = look(database, experiment, datetime.now(UTC) + SOON)
    assert before.collected.exposed.total == 40
    assert not before.collected.exposed.lapses
    if statement.startswith("delete"):
        after(database, "update profiles set config_id = null")
    after(database, statement)
    found = look(database, experiment, datetime.now(UTC) + SOON)
    (what,) = found.collected.exposed.lapses
    assert what.startswith(f"the profile tuned_v1 of tuned {said} on ")
    assert found.collected.exposed.lapses[what] == before.collected.exposed.counted["tuned"]
    come = replace(found, collected=replace(found.collected, preview=False))  # as if that time had come
    assert decide(come).state is State.INVALID


@pytest.mark.parametrize(
    "statement",
    [
        "update app_configurations set description = 'the one for experiments' where name = 'tuned_v1'",
        """update app_configurations set settings = settings || '{"tutor": {}}' where name = 'tuned_v1'""",
    ],
)
def test_an_edit_of_something_else_changes_nothing(database, assigned, statement) -> None:
    experiment, _ = assigned
    after(database, statement)
    assert not look(database, experiment, datetime.now(UTC) + SOON).collected.exposed.lapses


def test_users_moved_out_of_an_arm_are_counted_there(database, assigned) -> None:
    experiment, people = assigned
    own = dict(people)
    (other,) = set(own.values()) - {people[0][1]}
    sink = PostgresSink(database)
    at = datetime.now(UTC) + timedelta(seconds=10)
    sink.write(
        [used(people[0][0], other, at), used(people[1][0], None, at), used(people[2][0], people[2][1], at)]
    )
    sink.close()
    found = look(database, experiment, datetime.now(UTC) + SOON)
    assert sum(found.collected.exposed.moved.values()) == 2
    assert found.collected.exposed.total == 40
    assert any("had another profile, or none, after the first exposure" in each for each in left_out(found))


def test_data_without_withdrawals_says_so(tmp_path) -> None:
    with engines.parquet(hourly(), tmp_path) as warehouse:
        found = analyse(declared(), collect(warehouse, declared(), "production", NOW))
    assert "The data has no withdrawals:" in " ".join(left_out(found))
