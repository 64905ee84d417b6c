"""Probes: one call in a hundred tries one withdrawn value again, also one that the mirror has taken away."""

import json

import psycopg
import pytest
from tests.flagfiles import object_flag, write_flags
from tests.healing.teachers import CONFIG, TYPO, Provider, StatusError, Teacher, profiles
from tests.waiting import eventually

import windsock
from windsock.healing.quarantine import PROBE_EVERY, Withdrawal, quarantine
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.settings.place import fingerprint

ANN = "6f6b4b53-6b0a-4c39-a2f3-8d4f6dd0a9f0"


def heal(user, call, settings_class=Teacher):
    with windsock.request():
        return windsock.heal(settings_class.for_user(user), call)


def withdraw(field, value, config=CONFIG, flag="teacher.profile"):
    kept = None if field == "api_key" else json.dumps(value)
    quarantine.withdraw([Withdrawal(flag, config, field, fingerprint(value), kept, "a test")])


@pytest.fixture
def sql(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield lambda statement, *values: connection.execute(statement, values or None).fetchall()


@pytest.fixture
def configure(sql):
    """Give Ann these settings; gives the configuration's id."""

    def configure(**settings):
        ((config,),) = sql(
            "insert into app_configurations (name, settings) values ('c', %s) returning id::text",
            json.dumps(settings),
        )
        sql("insert into profiles (id, config_id) values (%s, %s) returning id", ANN, config)
        return config

    return configure


@pytest.mark.parametrize("more", [{"temperature": 0.2}, {}], ids=["a field of several", "the only field"])
def test_a_value_that_the_mirror_took_away_is_probed_and_comes_back(database, sql, configure, tmp_path, more):
    config = configure(reasoning_model=TYPO, **more)
    folder = tmp_path / "flagd"
    mirror = Mirror(MirrorOptions(url=database, folder=folder, flags=("teacher",), max_shrink=1.0))
    mirror.once()
    provider = Provider()
    windsock.start(flags=folder, usage=database)
    for _ in range(5):
        heal(ANN, provider)
    eventually(lambda: sql("select from windsock.withdrawals"))
    mirror.once()
    assert TYPO not in (folder / "profiles.flagd.json").read_text()
    windsock.reload()
    provider.asked.clear()
    for _ in range(2 * PROBE_EVERY):
        assert heal(ANN, provider) == "gpt-4o-mini"
    assert provider.asked.count(TYPO) == 2

    provider.models = ("gpt-4o-mini", TYPO)  # the provider has it again
    windsock.usage.request.installed().flush()
    sql("delete from usage_logs returning id")
    while quarantine.in_force():
        heal(ANN, provider)
        assert len(provider.asked) < 10 * PROBE_EVERY
    probed = (
        "select config_id::text, variant, healed from usage_logs where \"values\"->>'reasoning_model' = %s"
    )
    eventually(lambda: len(sql(probed, TYPO)) >= 3)
    assert sql(probed, TYPO) == [(config, config, [])] * 3
    eventually(lambda: sql("select from windsock.withdrawals where lifted_at is not null"))
    mirror.once()
    windsock.reload()
    assert heal(ANN, provider) == TYPO


def test_a_value_that_this_process_never_loaded_is_not_tried(database, sql, configure, tmp_path):
    """The board's rows are other processes' words: the role windsock_writer may write any value there."""
    config = configure(temperature=0.2)
    folder = tmp_path / "flagd"
    Mirror(MirrorOptions(url=database, folder=folder, flags=("teacher",), max_shrink=1.0)).once()
    sql(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
        " values ('teacher.profile', %s, 'reasoning_model', %s, %s, '', now() + interval '1 hour') returning flag",
        config,
        fingerprint("attacker/model"),
        json.dumps("attacker/model"),
    )
    provider = Provider("attacker/model", "gpt-4o-mini")
    windsock.start(flags=folder, usage=database)
    eventually(quarantine.in_force)
    for _ in range(3 * PROBE_EVERY):
        heal(ANN, provider)
    assert set(provider.asked) == {"gpt-4o-mini"}


def test_of_several_that_were_withdrawn_together_the_innocent_come_back(serve):
    serve(profiles(["ann"], reasoning_model=TYPO, temperature=0.2))

    def unspecific(settings):
        assert settings.temperature
        if settings.reasoning_model == TYPO:
            raise StatusError(400, "bad request")
        return "answered"

    for _ in range(5):
        heal("ann", unspecific)
    assert {each.field for each in quarantine.in_force()} == {"reasoning_model", "temperature"}
    for _ in range(6 * PROBE_EVERY + 1):
        assert heal("ann", unspecific) == "answered"
    assert [each.field for each in quarantine.in_force()] == ["reasoning_model"]
    assert Teacher.for_user("ann").temperature == 0.2
    assert Teacher.for_user("ann").reasoning_model == "gpt-4o-mini"


def test_the_innocent_come_back_in_whatever_order_a_board_lists_them(serve):
    serve(profiles(["ann"], reasoning_model=TYPO, temperature=0.2))
    withdraw("reasoning_model", TYPO)
    withdraw("temperature", 0.2)
    quarantine.take_outbox()

    def unspecific(settings):
        if settings.reasoning_model == TYPO:
            raise StatusError(400, "bad request")
        return settings.temperature

    for turn in range(6):
        quarantine.shared(sorted(quarantine.in_force(), key=lambda each: each.field, reverse=turn % 2 == 0))
        for _ in range(PROBE_EVERY):
            heal("ann", unspecific)
    assert [each.field for each in quarantine.in_force()] == ["reasoning_model"]


def test_a_failed_probe_restarts_the_count(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    withdraw("reasoning_model", "gpt-4o")
    outcomes = iter([True, True, False, True, True, False, True, True, True])
    seen = []

    def flaky(settings):
        if settings.reasoning_model == "gpt-4o":
            seen.append(next(outcomes))
            if not seen[-1]:
                raise RuntimeError("no JSON")
        return "answered"

    while quarantine.in_force():
        assert heal("ann", flaky) == "answered"
    assert len(seen) == 9


def test_an_outage_during_a_probe_says_nothing_of_the_value(serve):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    withdraw("reasoning_model", "gpt-4o")
    outcomes = iter([True, True, False, True])

    def call(settings):
        if settings.reasoning_model == "gpt-4o" and not next(outcomes):
            raise StatusError(503, "overloaded")
        return "answered"

    while quarantine.in_force():
        assert heal("ann", call) == "answered"
    assert list(outcomes) == []


def test_what_a_person_removed_is_not_probed(serve):
    folder = serve({"teacher": object_flag({"base": {"reasoning_model": TYPO}}, "base")})
    withdraw("reasoning_model", TYPO, config="base", flag="teacher")
    write_flags(folder / "test.flagd.json", {"teacher": object_flag({"base": {}}, "base")})
    windsock.reload()
    provider = Provider()
    for _ in range(2 * PROBE_EVERY):
        heal("ann", provider)
    assert set(provider.asked) == {"gpt-4o-mini"}


@pytest.mark.parametrize(
    ("statement", "lifts"),
    [
        ('update app_configurations set settings = settings || \'{"reasoning_model": "gpt-4o"}\'', True),
        ("update app_configurations set settings = settings - 'reasoning_model'", True),
        ('update app_configurations set settings = \'{"teacher": {"reasoning_model": "gpt-4o"}}\'', True),
        ("delete from app_configurations", True),
        ("update app_configurations set settings = settings || '{\"temperature\": 0.9}'", False),
        ("update app_configurations set name = name || '2'", False),
    ],
)
def test_a_withdrawal_is_lifted_when_the_value_changes_and_not_otherwise(sql, configure, statement, lifts):
    config = configure(reasoning_model=TYPO, temperature=0.2)
    sql(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, reason, expires_at)"
        " values ('teacher.profile', %s, 'reasoning_model', 'f', 'a test', now() + interval '1 hour')"
        " returning flag",
        config,
    )
    sql(f"{statement} returning id")
    assert sql("select lifted_at is not null from windsock.withdrawals") == [(lifts,)]


def test_a_deleted_configuration_lifts_its_own_withdrawals_and_no_others(sql, configure):
    config = configure(reasoning_model=TYPO)
    sql(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, reason, expires_at)"
        " select 'teacher.profile', variant, 'model', 'f', 'a test', now() + interval '1 hour'"
        " from unnest(array[%s, 'another']) variant returning flag",
        config,
    )
    sql("delete from app_configurations returning id")
    assert sql("select variant from windsock.withdrawals where lifted_at is null") == [("another",)]
