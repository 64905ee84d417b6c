"""Profiles as arms: a share of the users by hash, resumable, undoable, and exposed when a field is read."""

import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from windsock.errors import ConfigurationError
from windsock.experiments.documents import Experiment
from windsock.experiments.running.assigning import QUERIES, Options, arm_for, assign, undo
from windsock.usage import Measured, Pending, Use, hashed_user_id
from windsock.usage.making_rows import clean
from windsock.usage.postgres import PostgresSink

QUICK = Options(size=100)
FACTS = {
    "name": "tuned",
    "hypothesis": "It answers better.",
    "owner": "ada",
    "settings": "teacher",
    "arms": {"control": "control_v1", "tuned": "experimental_v1"},
    "metrics": {"goal": ["cost_per_request"]},
    "minimum_effect": 0.05,
}


def declared(**changed):
    return Experiment.model_validate(FACTS | changed)


@pytest.fixture
def connection(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into app_configurations (name) values ('control_v1')")
        sign_up(connection, 1_000)
        connection.execute("set role windsock_assigner")
        yield connection


def sign_up(connection, count):
    connection.execute(
        "insert into profiles (id) select gen_random_uuid() from generate_series(1, %s)", [count]
    )


def as_owner(connection, statement):
    connection.execute("reset role")
    found = connection.execute(statement)
    rows = found.fetchall() if found.description else []
    connection.execute("set role windsock_assigner")
    return rows


HAVE = """select p.id::text, coalesce(c.name, '') from profiles p left join app_configurations c on c.id = config_id"""


def test_a_share_is_assigned_in_batches_and_again_for_new_users(connection):
    experiment = declared(traffic=0.4, allocation={"control": 3, "tuned": 1})
    batches = []
    count = assign(connection, experiment, QUICK, lambda so_far: batches.append(sum(so_far.values())))
    assert len(batches) == 10
    assert batches == sorted(batches)
    assert sum(count.values()) == pytest.approx(400, abs=60)
    assert count["control"] / sum(count.values()) == pytest.approx(0.75, abs=0.08)
    have = dict(as_owner(connection, HAVE))
    names = {None: "", "control": "control_v1", "tuned": "experimental_v1"}
    assert have == {user: names[arm_for(experiment, user)] for user in have}
    assert sum(assign(connection, experiment, QUICK, lambda _: None).values()) == 0
    as_owner(connection, "insert into profiles (id) select gen_random_uuid() from generate_series(1, 200)")
    assert sum(assign(connection, experiment, QUICK, lambda _: None).values()) == pytest.approx(80, abs=30)
    more = assign(
        connection, declared(traffic=0.8, allocation={"control": 3, "tuned": 1}), QUICK, lambda _: None
    )
    assert sum(more.values()) > 300
    now = dict(as_owner(connection, HAVE))
    assert all(now[user] == name for user, name in have.items() if name)


def test_users_with_a_profile_keep_it_and_users_who_lost_it_are_not_enrolled_again(connection):
    as_owner(connection, "update profiles set config_id = (select id from app_configurations limit 1)")
    assert sum(assign(connection, declared(), QUICK, lambda _: None).values()) == 0
    as_owner(connection, "update profiles set config_id = null")
    assert sum(assign(connection, declared(), QUICK, lambda _: None).values()) == 1_000
    as_owner(connection, "update profiles set config_id = null")
    assert sum(assign(connection, declared(), QUICK, lambda _: None).values()) == 0


def test_a_run_that_is_cut_off_goes_on(connection):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assign(connection, declared(), QUICK, stop)
    assert dict(Counter(name != "" for _, name in as_owner(connection, HAVE))) == {True: 100, False: 900}
    assert sum(assign(connection, declared(), QUICK, lambda _: None).values()) == 900


def test_undo_frees_users_whose_assignment_is_still_the_experiments(connection):
    assign(connection, declared(), QUICK, lambda _: None)
    as_owner(
        connection,
        "update profiles set config_id = (select id from app_configurations where name = 'experimental_v1')"
        " where id in (select profile_id from windsock.experiment_assignments where arm = 'control' limit 7)",
    )
    shown = []
    assert undo(connection, declared(), replace(QUICK, dry_run=True), shown.append) == 993
    assert shown == []
    assert undo(connection, declared(), QUICK, shown.append) == 993, "the dry run changed nothing"
    assert (len(shown), shown[-1]) == (10, 993)
    assert shown == sorted(shown)
    assert Counter(name for _, name in as_owner(connection, HAVE)) == {"": 993, "experimental_v1": 7}
    assert undo(connection, declared(), QUICK, shown.append) == 0
    assert sum(assign(connection, declared(), QUICK, lambda _: None).values()) == 993


def test_undo_finds_each_user_by_id_and_not_among_all_who_have_the_profile(connection):
    """The statistics may be from before the assignment, when hardly anybody had a profile."""
    as_owner(connection, "vacuum analyze profiles")
    assign(connection, declared(), QUICK, lambda _: None)
    asked = {"experiment": "tuned", "version": 1, "size": 100}
    plan = connection.execute(b"explain " + QUERIES["undo"], asked).fetchall()
    assert "profiles_config_id_idx" not in "".join(line for (line,) in plan)


def test_a_dry_run_counts_and_changes_nothing(connection):
    count = assign(connection, declared(), replace(QUICK, dry_run=True), lambda _: None)
    assert sum(count.values()) == 1_000
    assert Counter(name for _, name in as_owner(connection, HAVE)) == {"": 1_000}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": {"control": {}, "tuned": {"temperature": 1}}}, "its arms aren't profiles"),
        ({"arms": {"control": "control_v1", "tuned": "gone"}}, "no active profile gone"),
        ({"audience": {"==": [{"var": "tier"}, "pro"]}}, "reads tier, which isn't a column of profiles"),
        ({"audience": {"==": [{"var": "user.tier"}, "pro"]}}, "the audience reads 'user.tier'"),
        ({"audience": {"missing": ["tier"]}}, "the audience has 'missing'"),
        ({"audience": {"==": [{"var": 'x" from y; --'}, 1]}}, "isn't a column of profiles"),
    ],
)
def test_what_cannot_be_assigned(connection, changed, message):
    with pytest.raises(ConfigurationError, match=message):
        assign(connection, declared(**changed), QUICK, lambda _: None)


PRO = {"and": [{"==": [{"var": "plan"}, "pro"]}, {">": [{"var": "seats"}, 2]}]}


def test_an_audience_reads_columns_of_profiles(connection):
    as_owner(connection, "alter table profiles add plan text, add seats integer")
    as_owner(connection, "update profiles set plan = 'pro' where id > '80000000-0000-0000-0000-000000000000'")
    as_owner(connection, "update profiles set seats = case when id::text like '%0' then null else 3 end")
    with pytest.raises(
        ConfigurationError, match=r"grant select \(plan, seats\) on public.profiles to windsock_assigner"
    ):
        assign(connection, declared(audience=PRO), QUICK, lambda _: None)
    as_owner(connection, "grant select (plan, seats) on profiles to windsock_assigner")
    dry = assign(connection, declared(audience=PRO), replace(QUICK, dry_run=True), lambda _: None)
    assert assign(connection, declared(audience=PRO), QUICK, lambda _: None) == dry
    fits = "plan = 'pro' and seats > 2"
    ((within, of_them, without),) = as_owner(
        connection,
        f"select count(*) filter (where config_id is not null and {fits}), count(*) filter (where {fits}),"
        f" count(*) filter (where config_id is not null and ({fits}) is not true) from profiles",
    )
    assert within == of_them == sum(dry.values()) > 300
    assert without == 0
    rest = {"!": [{"==": [{"var": "plan"}, "pro"]}]}
    assert sum(assign(connection, declared(audience=rest), QUICK, lambda _: None).values()) > 300


@pytest.mark.parametrize("key", [None, b"secret"])
def test_reading_a_field_of_an_arm_exposes_who_was_assigned(connection, database, key):
    assign(connection, declared(), replace(QUICK, user_id_key=key), lambda _: None)
    (user, name), *_ = [row for row in as_owner(connection, HAVE) if row[1]]
    other = str(uuid.uuid4())
    at = datetime.now(UTC) + timedelta(minutes=1)

    def row(user, minute, **values):
        use = Use("teacher", None, None, "r1", "TARGETING_MATCH", "production", user, values)
        return clean(Pending(uuid.uuid4(), at + timedelta(minutes=minute), use, Measured()), key)

    sink = PostgresSink(database)
    sink.write([row(user, 0, prompt="x"), row(other, 0, temperature=1)])
    assert as_owner(connection, "select count(*) from windsock.exposures") == [(0,)]
    sink.write([row(user, 2, temperature=1), row(user, 1, temperature=1)])
    sink.close()
    (found,) = as_owner(
        connection, "select unit, arm, first_exposed_at, allocation, key_fingerprint from windsock.exposures"
    )
    assert found[0] == (user if key is None else hashed_user_id(user, key))
    assert found[1] == ("control" if name == "control_v1" else "tuned")
    assert found[2:4] == (at + timedelta(minutes=1), 0.5)
    assert (found[4] is None) == (key is None)
