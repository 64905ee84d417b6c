"""Changes that no trigger sees, and logs that came with a dump of another server."""

import time

import psycopg
import pytest
from tests.waiting import eventually


@pytest.fixture
def replica(world):
    """Run a statement as logical replication does: without triggers."""

    def run(statement, *parameters):
        with psycopg.connect(world.url, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(statement, parameters)

    return run


UNLOGGED = {
    "assigned": "update profiles set config_id = (select id from app_configurations where name = 'other')",
    "unassigned": "update profiles set config_id = null",
    "inserted": "insert into profiles (id, config_id) select gen_random_uuid(), id from app_configurations",
    "edited": "update app_configurations set settings = '{\"retrieval_top_k\": 77}'",
    "deactivated": "update app_configurations set is_active = false",
}


@pytest.mark.parametrize("statement", UNLOGGED.values(), ids=UNLOGGED)
def test_what_no_trigger_logged_is_found(*, world, replica, watching, statement):
    world.configuration("other", {"retrieval_top_k": 3})
    for _ in range(5):
        world.user(world.seed)
    watching(world.mirror(poll_seconds=0.1, audit_seconds=1))
    eventually(lambda: len(world.served()) == 5)
    replica(statement)
    eventually(lambda: world.served() == world.assigned(), seconds=10)


def test_a_configuration_that_no_trigger_logged_is_found(*, world, replica, watching):
    world.user(world.seed)
    watching(world.mirror(poll_seconds=0.1, audit_seconds=1))
    eventually(lambda: len(world.served()) == 1)
    replica(
        "with made as (insert into app_configurations (name, settings) values ('new', '{}') returning id)"
        " select * from made"
    )
    replica("insert into profiles select gen_random_uuid(), id from app_configurations")
    eventually(lambda: world.served() == world.assigned(), seconds=10)


def test_a_log_of_another_server_costs_no_reading_after_another(*, world, watching, messages):
    ann = world.user()
    world.execute(
        "insert into windsock.change_log (xid, changed_table, row_id)"
        " values ('99999999', 'profiles', null), ('99999998', 'app_configurations', null)"
    )
    world.execute("update windsock.change_log_cut set xid = '99999999'")
    mirror = world.mirror(poll_seconds=0.1)
    readings, publish = [], mirror._publish_all

    def count(source):
        readings.append(None)
        return publish(source)

    mirror._publish_all = count
    watching(mirror)
    eventually(lambda: "teacher.profile" in world.flags())
    time.sleep(2)
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    assert len(readings) == 1
    assert messages() == []
