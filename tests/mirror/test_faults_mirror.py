"""Mirrors that are killed, folders and disks that refuse, clocks that go back.

As in `test_faults`: the last good assignments serve, none is lost or invented afterwards, one alarm.
"""

import contextlib
import logging
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from pathlib import Path

import psycopg
import pytest
from tests.waiting import eventually

from windsock.errors import MirrorError
from windsock.flag_names import shard_of


def newest(folder):
    return max((path.stat().st_mtime_ns for path in folder.glob("*.flagd.json")), default=0)


def test_killed_at_random_moments_under_load_it_loses_and_invents_nothing(world, start_mirror):
    """WINDSOCK_TEST_KILLS says how often: half of them anywhere in its start, half while it publishes."""
    dice = random.Random(2026)
    users = [world.user() for _ in range(200)]
    # seldom nobody: the share of users with a profile must not wander further than the guard allows
    configs = [world.seed, world.configuration("other", {"retrieval_top_k": 5})] * 5 + [None]
    stop = threading.Event()

    def write():
        with psycopg.connect(world.url, autocommit=True) as connection:
            while not stop.wait(0.001):
                user, config = dice.choice(users), dice.choice(configs)
                connection.execute("update profiles set config_id = %s where id = %s", [config, user])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(int(os.environ.get("WINDSOCK_TEST_KILLS", "5"))):
            before = newest(world.folder)
            mirror = start_mirror()
            if number % 2 == 0:
                eventually(lambda before=before: newest(world.folder) > before, seconds=120)
            time.sleep(dice.uniform(0, 0.3 if number % 2 == 0 else 1.5))
            mirror.send_signal(signal.SIGKILL)
            mirror.wait()
            world.served()  # every document can be read whole, whenever the kill came
    finally:
        stop.set()
        writer.join()
    start_mirror()
    eventually(lambda: world.served() == world.assigned())
    assert world.mirror().differences() == ()
    assert not list(world.folder.glob(".*"))


def test_a_standby_mirror_takes_over_from_one_that_is_killed(
    *, world, start_mirror, watching, messages, recovered
):
    world.user(world.seed)
    leader = start_mirror()
    eventually(lambda: world.served() == world.assigned())
    second = watching(world.mirror(shards=4))
    eventually(lambda: second.status.last_success)
    assert not second.status.leading
    leader.send_signal(signal.SIGKILL)
    world.user(world.seed)
    eventually(lambda: second.status.leading)
    recovered(world, None)
    assert messages() == ["the mirror that led the group 'default' is gone; this one leads"]


def test_the_second_mirror_stands_by_while_the_first_leads(*, world, watching, messages, recovered):
    world.user(world.seed)
    stop = threading.Event()
    leader = threading.Thread(target=world.mirror().watch, args=[stop])
    leader.start()
    eventually(lambda: world.served() == world.assigned())
    watching(world.mirror())
    eventually(lambda: any("standing by" in message for message in messages(level=0)))
    with pytest.raises(MirrorError, match="another mirror of the group 'default' leads"):
        world.mirror().once()
    stop.set()
    leader.join()
    world.user(world.seed)
    recovered(world, None)


@pytest.fixture
def shared_folder():
    """A folder that any user may look into, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="windsock-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def without_rights():
    """Run as a user who owns nothing, where the tests run as root, whom no folder stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_turned_read_only_is_one_alarm_and_recovers(
    *, world, shared_folder, watching, messages, recovered
):
    world.folder = shared_folder / "mirror"
    world.user(world.seed)
    mirror = watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: mirror.status.last_success)  # a file is there before its publication has ended
    assert world.served() == world.assigned()
    world.folder.chmod(0o555)
    try:
        with without_rights(), world.serving():
            world.user(world.seed)
            eventually(messages)
            failures = mirror.status.failures
            eventually(lambda: mirror.status.failures > failures)
            assert mirror.status.transactions_waiting == 1
    finally:
        world.folder.chmod(0o755)
    recovered(world, "Permission denied")
    eventually(lambda: mirror.status.transactions_waiting == 0)


def test_a_folder_that_cannot_be_made_is_tried_again(world, watching, messages, recovered):
    world.user(world.seed)
    world.folder.write_text("a file where the folder should be")
    watching(world.mirror(poll_seconds=0.1))
    eventually(messages)
    world.folder.unlink()
    recovered(world, "cannot use this folder")


def test_a_full_disk_is_one_alarm_and_recovers_when_there_is_room(
    *, world, small_disk, watching, messages, recovered
):
    world.folder = small_disk
    ann = world.user(world.seed)
    watching(world.mirror(poll_seconds=0.2, shards=3))
    eventually(lambda: world.served() == world.assigned())
    big = world.configuration("big", {"prompt": "x" * 80_000})
    for _ in range(6):
        world.user(big)
    eventually(lambda: any("No space left" in message for message in messages(logging.ERROR)))
    with world.serving() as served:
        assert ann in served
        time.sleep(0.5)
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    recovered(world, "No space left")
    assert not list(small_disk.glob(".*")), "no half a document is left behind"


def test_a_deactivation_that_a_full_disk_cuts_short_is_forgiven_whole(
    *, world, small_disk, watching, messages, recovered
):
    """Three documents of four have lost its users when the last, a large one, finds no room."""
    world.folder = small_disk
    by_shard = defaultdict(list)
    while len(by_shard[3]) < 620 or min(map(len, by_shard.values())) < 60:
        user_id = str(uuid.uuid4())
        by_shard[shard_of(user_id, 4)].append(user_id)
    off, on = (world.configuration(name, {"teacher": {"model": name}}) for name in ("off", "on"))
    for config_id, users in (
        (off, [user_id for each in by_shard.values() for user_id in each[:60]]),
        (on, by_shard[3][60:620]),
    ):
        world.execute("insert into profiles (id, config_id) select unnest(%s::uuid[]), %s", users, config_id)
    watching(world.mirror(poll_seconds=0.2, shards=4))
    eventually(lambda: len(world.served()) == 800)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(bytes(free - 16_384))
    world.execute("update app_configurations set is_active = false where id = %s", off)
    eventually(lambda: any("No space left" in message for message in messages(logging.ERROR)))
    assert 560 < len(world.served()) < 800
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    world.user(on)
    recovered(world, "No space left")


def test_a_clock_that_was_set_back_still_gives_newer_files(world, watching, recovered):
    """Readers that compare modification times must see each document, also one from before the clock."""
    ann = world.user(world.seed)
    path = world.folder / "profiles.flagd.json"
    world.mirror().once()
    tomorrow = time.time() + 86_400
    os.utime(path, (tomorrow, tomorrow))
    watching(world.mirror())
    world.assign(ann, None)
    eventually(lambda: world.served() == {})
    first = path.stat().st_mtime_ns
    assert first > tomorrow * 1e9
    world.assign(ann, world.seed)
    recovered(world, None)
    assert path.stat().st_mtime_ns > first
