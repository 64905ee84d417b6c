"""A database that stalls: locks, paused sessions and swallowed answers hold up neither profiles nor the mirror's end."""

import logging
import os
import signal
import threading

import psycopg
import pytest
from tests.mirror.test_base_values import Ads, rows
from tests.waiting import eventually

from windsock.errors import ConfigurationError, MirrorError
from windsock.mirror.options import MirrorOptions
from windsock.mirror.pace import Pace
from windsock.mirror.queries import LockedError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "flagd"
    folder.mkdir()
    (folder / "ads.flagd.json").write_text(
        '{"flags": {"bids": {"state": "ENABLED", "variants": {"base": {"k": 1}}, "defaultVariant": "base"}}}'
    )
    return folder


def sessions(world):
    return [
        pid
        for (pid,) in world.execute(
            "select pid from pg_stat_activity where application_name = 'windsock mirror'"
        )
    ]


@pytest.mark.parametrize("table", ["learning_config", "windsock.mirrors"])
def test_a_lock_on_what_the_mirror_writes_costs_no_profile_and_no_connection(
    *, world, folder, watching, table
):
    options = {"settings": (Ads,), "learning_config": ("bids",), "git_folder": folder, "answer_seconds": 60.0}
    watching(world.mirror(**options, poll_seconds=0.2))
    eventually(lambda: "k" in rows(world))
    before = sessions(world)
    with psycopg.connect(world.url) as locker:
        locker.execute(f"lock table {table} in share mode")  # what is read goes on, what is written waits
        (folder / "ads.flagd.json").write_text((folder / "ads.flagd.json").read_text().replace("1", "2"))
        for _ in range(3):
            user = world.user(world.seed)
            eventually(lambda user=user: user in world.served())
        assert sessions(world) == before
    eventually(lambda: rows(world)["k"] == 2)


@pytest.mark.parametrize("table", ["profiles", "app_configurations"])
def test_a_lock_on_what_the_mirror_reads_is_told_and_costs_no_connection(*, world, watching, messages, table):
    mirror = watching(world.mirror(answer_seconds=2.0, poll_seconds=0.2, reconcile_seconds=0.2))
    world.user(world.seed)
    eventually(lambda: world.served() == world.assigned())
    before = sessions(world)
    with psycopg.connect(world.url) as locker:
        locker.execute(f"lock table {table} in access exclusive mode")
        with world.serving():
            eventually(lambda: mirror.status.failures >= 3)  # it asks again all the while
        assert "another session has locked a table" in mirror.status.reason
    eventually(lambda: mirror.status.is_ready)
    user = world.user(world.seed)
    eventually(lambda: user in world.served())
    assert sessions(world) == before
    assert len(messages(logging.ERROR)) == 1


@pytest.mark.parametrize("is_new", [False, True])
def test_a_deactivation_goes_out_while_profiles_is_locked(*, world, watching, is_new):
    off = world.configuration("off", {"temperature": 0.5})
    ann, bob = world.user(world.seed), world.user(off)
    world.mirror().once()
    options = {"answer_seconds": 2.0, "poll_seconds": 0.2, "audit_seconds": 0.2}
    if not is_new:
        mirror = watching(world.mirror(**options))
        eventually(lambda: mirror.status.is_ready)
    with psycopg.connect(world.url) as locker:
        locker.execute("lock table profiles in access exclusive mode")
        if is_new:
            mirror = watching(world.mirror(**options))
        eventually(lambda: "another session has locked a table" in mirror.status.reason)
        assert world.served().keys() == {ann, bob}
        world.execute("update app_configurations set is_active = false where id = %s", off)
        eventually(lambda: world.served().keys() == {ann})
        assert not mirror.status.is_ready


@pytest.mark.parametrize("table", ["change_log", "assignment_history"])
def test_a_lock_on_the_change_log_has_everything_read_and_is_no_alarm(*, world, watching, messages, table):
    mirror = watching(world.mirror(answer_seconds=1.0, poll_seconds=0.2))
    eventually(lambda: mirror.status.is_ready)
    locked = "another session has locked the change log: reading everything again"
    with psycopg.connect(world.url) as locker:
        locker.execute(f"lock table windsock.{table} in access exclusive mode")
        user = world.user(world.seed)
        eventually(lambda: user in world.served())
        eventually(lambda: messages().count(locked) >= 3)
        assert mirror.status.is_ready
    assert messages(logging.ERROR) == []


def test_a_lock_while_the_guard_holds_assignments_back_costs_no_connection(world, watching):
    mirror = watching(world.mirror(answer_seconds=4.0, poll_seconds=0.1))
    users = [world.user(world.seed) for _ in range(40)]
    eventually(lambda: world.served().keys() == set(users))
    world.execute("update profiles set config_id = null")
    eventually(lambda: mirror.status.guard_stops >= 5)  # now it mostly looks at the configurations alone
    before, failures = sessions(world), mirror.status.failures
    with psycopg.connect(world.url) as locker:
        locker.execute("lock table app_configurations in access exclusive mode")
        eventually(lambda: "another session has locked a table" in mirror.status.reason)
        eventually(lambda: mirror.status.failures >= failures + 2)
    world.execute("update app_configurations set settings = '{\"temperature\": 1.9}'")
    eventually(lambda: list(world.served().values()) == [{"temperature": 1.9}] * len(users))
    assert sessions(world) == before


def test_a_lock_on_the_mirrors_reports_costs_a_standby_no_connection(world, watching):
    leader = watching(world.mirror(poll_seconds=0.2))
    eventually(lambda: leader.status.leading and leader.status.is_ready)
    standby = watching(world.mirror(answer_seconds=2.0))
    eventually(lambda: standby.status.is_ready)
    before = set(sessions(world))
    with psycopg.connect(world.url) as locker:
        locker.execute("lock table windsock.mirrors in access exclusive mode")
        eventually(lambda: standby.status.failures >= 2)
        assert "another session has locked a table" in standby.status.reason
    eventually(lambda: standby.status.is_ready)
    assert set(sessions(world)) == before


def test_a_lock_never_lengthens_the_pause(tmp_path):
    pace = Pace(MirrorOptions(url="", folder=tmp_path, flags=("teacher",)))
    for _ in range(9):
        pace.failed(LockedError("locked"))
    assert pace.pause <= 0.5
    pace.failed(MirrorError("another"))
    assert pace.pause > 0.5


def test_a_session_that_is_paused_is_given_up(*, world, watching, messages):
    watching(world.mirror(answer_seconds=1.0, poll_seconds=0.2))
    user = world.user(world.seed)
    eventually(lambda: user in world.served())
    paused = sessions(world)
    for pid in paused:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: messages(logging.ERROR))
    finally:
        for pid in paused:
            os.kill(pid, signal.SIGCONT)
    another = world.user(world.seed)
    eventually(lambda: another in world.served())


def test_the_first_questions_of_a_connection_end_too(world, proxy):
    """The second session of the pooler's test has a deadline as the first has."""
    proxy.silent_session = 1
    mirror = world.mirror(url=proxy.url(world.connection.info.dbname), answer_seconds=1.0)
    failed = []

    def once():
        try:
            mirror.once()
        except ConfigurationError as error:
            failed.append(error)

    thread = threading.Thread(target=once, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive(), "the mirror waits for ever"
    assert failed
