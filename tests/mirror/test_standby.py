"""A mirror on standby is ready only as long as the leader of its group is at work, in the same folder."""

import contextlib
import json
import logging
import signal
import threading

import psycopg
import pytest
from tests.mirror.conftest import World
from tests.waiting import eventually

from windsock.errors import MirrorError
from windsock.mirror import health, standby
from windsock.mirror.postgres import Leader

LOCK = "select pg_advisory_lock(hashtextextended('windsock mirror default', 0))"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(standby, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(health, "STALE_SECONDS", 8.0)


def test_a_role_without_rights_that_holds_the_lock_is_an_alarm(*, world, role, watching, messages):
    ann = world.user(world.seed)
    with psycopg.connect(world.url, user=role, autocommit=True) as stranger:
        stranger.execute(LOCK)
        mirror = watching(world.mirror())
        eventually(lambda: mirror.status.trouble)
        assert f"of role {role} holds the lock of the group 'default', and no mirror" in mirror.status.trouble
        assert not mirror.status.is_ready
    eventually(lambda: ann in world.served())
    eventually(lambda: mirror.status.is_ready)


def test_whoever_holds_the_lock_is_not_taken_for_another_databases_mirror(
    *, world, make_database, migrated_template, role, watching
):
    """Whom the alarm names, an operator ends; each database has such a lock of its own."""
    with (
        psycopg.connect(make_database(migrated_template), autocommit=True) as elsewhere,
        psycopg.connect(world.url, user=role, autocommit=True) as stranger,
        psycopg.connect(world.url, autocommit=True) as other_kind,
    ):
        elsewhere.execute(LOCK)
        for shared in ("", "_shared"):
            other_kind.execute(
                f"select pg_advisory_lock{shared}((hash >> 32)::int4, hash::bit(32)::int4)"
                " from hashtextextended('windsock mirror default', 0) hash"
            )
        stranger.execute(LOCK)
        mirror = watching(world.mirror())
        eventually(lambda: f"session {stranger.info.backend_pid} of role {role}" in mirror.status.trouble)


@pytest.mark.slow
def test_a_leader_that_is_frozen_is_an_alarm(*, world, start_mirror, watching, messages):
    world.user(world.seed)
    leader = start_mirror()
    eventually(lambda: world.served() == world.assigned())
    mirror = watching(world.mirror(shards=4))
    eventually(lambda: mirror.status.is_ready)
    leader.send_signal(signal.SIGSTOP)
    eventually(lambda: "has reported for more than 8 s" in mirror.status.trouble)
    assert not mirror.status.is_ready
    leader.send_signal(signal.SIGCONT)
    eventually(lambda: mirror.status.is_ready)
    assert not mirror.status.leading


def test_a_standby_is_as_far_behind_as_the_leader_reports(*, world, watching, monkeypatch):
    monkeypatch.setattr(health, "STALE_SECONDS", 60.0)
    world.user(world.seed)
    world.mirror().once()
    folder = json.loads((world.folder / "mirror.json").read_text())["folder"]
    with psycopg.connect(world.url, autocommit=True) as leader:
        leader.execute(LOCK)
        world.execute(
            "insert into windsock.mirrors (group_name, folder, reported_at, right_at, trouble)"
            " values ('default', %s, now(), now() - interval '30 seconds', '')",
            folder,
        )
        mirror = watching(world.mirror())
        eventually(lambda: mirror.status.is_ready)
        assert mirror.status.age >= 30


@pytest.mark.parametrize(("reported", "found"), [(5.0, ""), (16.0, None)])
def test_after_missed_reports_a_standby_no_longer_believes_the_last(tmp_path, reported, found, monkeypatch):
    monkeypatch.setattr(health, "STALE_SECONDS", 60.0)
    leader = Leader(folder="f", reported=reported, right=reported, trouble="", holder=None)
    assert standby.trouble(leader, "default", tmp_path, "f", 600.0) == found


@pytest.mark.slow
def test_the_leaders_trouble_is_the_standbys(*, world, watching, tmp_path):
    users = [world.user(world.seed) for _ in range(30)]
    leader = watching(world.mirror())
    eventually(lambda: len(world.served()) == len(users))
    mirror = watching(world.mirror())
    eventually(lambda: mirror.status.is_ready)
    world.execute("update profiles set config_id = null")
    eventually(lambda: "that an hour may remove" in mirror.status.trouble)
    assert mirror.status.trouble.startswith("the mirror that leads the group 'default' reports: ")
    assert not mirror.status.is_ready
    world.execute("update profiles set config_id = %s", world.seed)
    eventually(lambda: leader.status.is_ready and mirror.status.is_ready, seconds=60)


@pytest.mark.parametrize("damage", ["{", None])
def test_a_memory_that_is_damaged_is_written_again_as_it_was(*, world, watching, damage):
    world.user(world.seed)
    watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: world.served() == world.assigned())
    standby = watching(world.mirror())
    eventually(lambda: standby.status.is_ready)
    memory = world.folder / "mirror.json"
    before = memory.read_text()
    if damage is None:
        memory.unlink()
    else:
        memory.write_text(damage)
    eventually(lambda: memory.read_text() == before)
    eventually(lambda: standby.status.is_ready)


@pytest.mark.parametrize("exists", [True, False])
def test_another_folder_than_the_leaders_is_an_alarm(*, world, watching, tmp_path, exists):
    world.user(world.seed)
    watching(world.mirror())
    eventually(lambda: world.served() == world.assigned())
    elsewhere = tmp_path / "elsewhere"
    if exists:
        elsewhere.mkdir()
    mirror = watching(world.mirror(folder=elsewhere))
    eventually(lambda: f"writes another folder than {elsewhere}" in mirror.status.trouble)
    assert not mirror.status.is_ready
    assert elsewhere.exists() is exists


def test_two_groups_cannot_share_a_folder(*, world, watching):
    world.user(world.seed)
    first = watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: world.served() == world.assigned())
    second = watching(world.mirror(group="other", poll_seconds=0.1))
    eventually(lambda: "belongs to mirrors of the group 'default'" in second.status.trouble)
    assert not second.status.is_ready
    world.user(world.seed)
    eventually(lambda: world.served() == world.assigned())
    assert first.status.is_ready


def test_two_groups_that_begin_at_once_are_found_out(*, world, watching):
    for _ in range(20):
        world.user(world.seed)
    mirrors = [world.mirror(group=name, poll_seconds=0.1) for name in ("one", "two")]
    together = threading.Barrier(2)
    for mirror in mirrors:
        take_over = mirror._take_over

        def both(take_over=take_over):
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(60)
            together.abort()  # only the first time
            take_over()

        mirror._take_over = both
        watching(mirror)
    eventually(lambda: any("belongs to mirrors of the group" in each.status.trouble for each in mirrors))
    world.user(world.seed)
    eventually(lambda: world.served() == world.assigned())


@pytest.mark.parametrize("file_is_there", [True, False])
def test_a_mirror_that_was_frozen_while_it_wrote_changes_nothing_newer(world, file_is_there):
    """A person ended its session, and another has taken over; the old one is about to write a document."""
    world.user(world.seed)
    world.mirror().once()
    old = world.mirror()
    check = old._folder.check_writer

    def another_takes_over():
        world.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'windsock mirror'"
        )
        world.execute("update app_configurations set settings = '{\"retrieval_top_k\": 2}'")
        world.mirror().once()

    def frozen():
        old._folder.check_writer = check
        if file_is_there:
            check()
        another_takes_over()
        if not file_is_there:
            check()

    world.execute("update app_configurations set settings = '{\"retrieval_top_k\": 1}'")
    old._take_over()
    old._take_over = lambda: setattr(old._folder, "check_writer", frozen)
    with pytest.raises((MirrorError, psycopg.Error)):
        old.once()
    assert list(world.served().values()) == [{"retrieval_top_k": 2}]
    assert not list(world.folder.glob(".*"))


@pytest.mark.slow
def test_mirrors_of_two_databases_in_one_folder_are_an_alarm(
    *, world, make_database, migrated_template, watching, messages, tmp_path
):
    """The database's lock doesn't keep them apart, and a link makes the paths differ."""
    world.user(world.seed)
    first = watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: first.status.is_ready)
    (tmp_path / "link").symlink_to(world.folder)
    other = World(make_database(migrated_template), tmp_path / "link")
    other.user(other.seed)
    other.connection.close()
    stop = threading.Event()
    second = other.mirror(poll_seconds=0.1)
    thread = threading.Thread(target=second.watch, args=[stop])
    thread.start()
    try:
        for failures in range(1, 4):
            eventually(lambda n=failures: min(each.status.failures for each in (first, second)) >= n)
            for each in (first, second):
                assert "another mirror has taken over this folder" in each.status.reason
        assert len(messages(logging.ERROR)) == 2
    finally:
        stop.set()
        thread.join()
    eventually(lambda: world.served() == world.assigned())
    eventually(lambda: first.status.is_ready)
