"""What a new mirror and a new service do with the schema of an older release, migration by migration."""

import json
import logging
import threading
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from tests.waiting import eventually

from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.usage import Measured, Pending, UsageWriter, Use
from windsock.usage.postgres import PostgresSink
from windsock.usage.spool import Spool

MIGRATIONS = read_migrations()
NAMES = [migration.name for migration in MIGRATIONS]
TABLES = NAMES.index("windsock_usage_logs")


def migrated(url: str, count: int) -> None:
    with connect(url) as connection:
        migrate(connection, MIGRATIONS[:count])


@pytest.mark.parametrize("count", range(1, len(MIGRATIONS) + 1), ids=lambda count: NAMES[count - 1])
def test_a_new_mirror_publishes_from_an_older_schema(empty_database, tmp_path, count):
    migrated(empty_database, count)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        [config] = connection.execute("select id from app_configurations").fetchone()
        connection.execute("insert into profiles (id, config_id) values (gen_random_uuid(), %s)", (config,))
    options = MirrorOptions(url=empty_database, folder=tmp_path / "mirror", flags=("teacher",))
    assert Mirror(options).once().assigned == 1
    document = json.loads((tmp_path / "mirror" / "profiles.flagd.json").read_text())
    assert str(config) in document["flags"]["teacher.profile"]["variants"]


NEWER = """
alter table public.app_configurations add column of_a_newer_release text not null default 'x';
alter table public.profiles add column of_a_newer_release jsonb not null default '{}';
do $$
declare it regclass;
begin
    for it in select oid from pg_class where relnamespace = 'windsock'::regnamespace and relkind in ('r', 'p') loop
        execute format('alter table %s add column of_a_newer_release int not null default 7', it);
    end loop;
end
$$;
create table windsock.of_a_newer_release (id int primary key);
"""


def test_a_mirror_publishes_from_a_newer_schema_which_adds_to_every_table(empty_database, tmp_path):
    migrated(empty_database, len(MIGRATIONS))
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(NEWER)
        [config] = connection.execute("select id from app_configurations").fetchone()
        connection.execute("insert into profiles (id, config_id) values (gen_random_uuid(), %s)", (config,))
    path = tmp_path / "mirror" / "profiles.flagd.json"
    options = MirrorOptions(url=empty_database, folder=path.parent, flags=("teacher",), poll_seconds=0.1)
    assert Mirror(options).once().assigned == 1
    stop = threading.Event()
    thread = threading.Thread(target=Mirror(options).watch, args=(stop,))
    thread.start()
    try:
        user = str(uuid4())
        with psycopg.connect(empty_database, autocommit=True) as connection:
            connection.execute("insert into profiles (id, config_id) values (%s, %s)", (user, config))
        eventually(lambda: user in path.read_text())
    finally:
        stop.set()
        thread.join()


TRIGGERS_OF_OLD = """
select count(*) from pg_trigger
where tgname in ('windsock_inserted', 'windsock_updated', 'windsock_deleted', 'windsock_truncated')
    and tgrelid in ('public.profiles'::regclass, 'public.app_configurations'::regclass)
"""


def test_a_mirror_that_follows_the_change_log_alone_finds_it_incomplete_and_reads_everything(empty_database):
    """It followed the log if all eight triggers were there; since then the log has no assignments."""
    before = NAMES.index("windsock_one_row_per_change")
    for count, triggers in ((before, 8), (len(MIGRATIONS), 7)):
        migrated(empty_database, count)
        with connect(empty_database) as connection:
            assert connection.execute(TRIGGERS_OF_OLD).fetchone() == (triggers,)


def test_a_running_mirror_follows_through_every_migration(empty_database, tmp_path):
    migrated(empty_database, 1)
    path = tmp_path / "mirror" / "profiles.flagd.json"
    options = MirrorOptions(url=empty_database, folder=path.parent, flags=("teacher",), poll_seconds=0.1)
    stop = threading.Event()
    thread = threading.Thread(target=Mirror(options).watch, args=(stop,))
    thread.start()
    try:
        with psycopg.connect(empty_database, autocommit=True) as connection:
            for count in (TABLES + 1, len(MIGRATIONS)):
                eventually(path.exists)
                migrated(empty_database, count)
                user = str(uuid4())
                query = "insert into profiles (id, config_id) select %s, id from app_configurations"
                connection.execute(query, (user,))
                eventually(lambda user=user: user in path.read_text())
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_rows_of_a_new_service_wait_on_disk_until_the_database_is_migrated(empty_database, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    migrated(empty_database, TABLES + 1)  # usage_logs without the columns that came later
    spool = Spool(tmp_path / "spool")
    writer = UsageWriter(PostgresSink(empty_database), spool=spool)
    writer.put(
        Pending(
            uuid4(),
            datetime.now(UTC),
            Use("teacher", "v", None, "r", "STATIC", "test", "ann", {"a": 1}),
            Measured(),
        )
    )
    eventually(lambda: writer.health().spooled == 1)
    migrated(empty_database, len(MIGRATIONS))
    eventually(lambda: writer.health().replayed == 1)
    writer.stop()
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("select user_id from usage_logs").fetchall() == [("ann",)]


def test_the_sample_profile_can_be_taken_out_of_service(empty_database, tmp_path, caplog):
    migrated(empty_database, len(MIGRATIONS))
    options = MirrorOptions(url=empty_database, folder=tmp_path / "mirror", flags=("teacher", "aura"))
    Mirror(options).once()
    assert "experimental_v1" in caplog.text
    caplog.clear()
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("update app_configurations set is_active = false")
    Mirror(options).once()
    assert "experimental_v1" not in caplog.text
