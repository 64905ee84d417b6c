"""What the triggers cost an application: no notification that nobody waits for, and no failure of theirs."""

import contextlib
import threading
import time
import uuid

import psycopg
import pytest

from windsock.mirror.postgres import connect as mirror_connect
from windsock.mirror.queries import QUERIES
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

SLEEP = "select pg_advisory_lock(8603657889541918571)"


@pytest.fixture
def application(database):
    with connect(database) as connection:
        connection.execute("insert into profiles (id) select gen_random_uuid() from generate_series(1, 10)")
        yield connection


@pytest.fixture
def mirror(database):
    """A session that listens as a mirror's does."""
    with connect(database) as connection:
        connection.execute("listen windsock")
        yield connection


def assign_all(connection):
    connection.execute("update profiles set config_id = (select id from app_configurations limit 1)")


def heard(mirror):
    return [(each.channel, each.payload) for each in mirror.notifies(timeout=0.3)]


@pytest.mark.parametrize(
    "statement",
    [
        "update profiles set config_id = (select id from app_configurations limit 1)",
        "update app_configurations set settings = '{}'",
        "truncate profiles",
        (
            "insert into windsock.withdrawals (flag, variant, field, fingerprint, reason, expires_at)"
            " values ('a.profile', '', gen_random_uuid()::text, 'c', '', now() + interval '1 hour')"
        ),
    ],
)
def test_a_mirror_is_notified_if_it_sleeps_and_not_otherwise(application, mirror, statement):
    with application.transaction(force_rollback=True):
        application.execute(statement)
    application.execute("begin")
    application.execute(statement)
    application.execute("commit")
    assert heard(mirror) == []
    mirror.execute(SLEEP)
    application.execute("update profiles set config_id = null")
    application.execute(statement)
    assert set(heard(mirror)) == {("windsock", "")}


def test_a_mirror_stays_awake_during_a_change_without_a_notification(database, application):
    source = mirror_connect(database)
    try:
        application.execute("begin")
        assign_all(application)
        assert source.wait(0.1), "look again soon"
        assert source.wait(0.1), "it is still awake"
        application.execute("commit")
        assert source.wait(0.1), "now it falls asleep, and reads the log once more"
        assert not source.wait(0.1)
        application.execute("update profiles set config_id = null")
        assert source.wait(60.0), "this one was notified"
    finally:
        source.close()


@pytest.mark.slow
def test_a_transaction_that_stays_open_keeps_no_mirror_busy(database, application):
    source = mirror_connect(database)
    try:
        with source.read() as reading:
            cursor = reading.cursor
        application.execute("begin")
        assign_all(application)
        looks, end = 0, time.monotonic() + 2.0
        while time.monotonic() < end:
            assert source.wait(60.0)
            assert source.changes(cursor).assignments == ()
            looks += 1
        assert looks <= 13
        application.execute("commit")
        assert source.wait(60.0)
        assert len(source.changes(cursor).assignments) == 10
    finally:
        source.close()


@pytest.mark.slow
def test_a_change_of_many_writers_is_never_overlooked(database, application):
    """Each of four writers changes rows as fast as it can; between two sleeps nothing may be missing."""
    users = [user for (user,) in application.execute("select id from profiles")]
    (config,) = application.execute("select id from app_configurations limit 1").fetchone()
    done = threading.Event()

    def write(user):
        with psycopg.connect(database, autocommit=True) as connection:
            while not done.is_set():
                for value in (config, None):
                    connection.execute("update profiles set config_id = %s where id = %s", [value, user])
                done.wait(0.003)

    writers = [threading.Thread(target=write, args=(user,)) for user in users[:4]]
    source = mirror_connect(database)
    try:
        with source.read() as reading:
            cursor = reading.cursor
        for writer in writers:
            writer.start()
        seen: dict[str, str | None] = {}
        for _ in range(200):
            source.wait(0.5)
            changes = source.changes(cursor)
            seen.update((row.user_id, row.config_id) for row in changes.assignments)
            cursor = changes.cursor
        done.set()
        for writer in writers:
            writer.join()
        while source.wait(0.2):
            changes = source.changes(cursor)
            seen.update((row.user_id, row.config_id) for row in changes.assignments)
            cursor = changes.cursor
    finally:
        done.set()
        source.close()
    assert seen == dict.fromkeys(map(str, users[:4]))


@pytest.mark.slow
def test_a_transaction_of_an_application_can_be_prepared(postgres_folder):
    with embedded.start(postgres_folder) as server, connect(server.url) as connection:
        connection.execute("alter system set max_prepared_transactions = 2")
    with embedded.start(postgres_folder) as server, connect(server.url) as connection:
        migrate(connection, read_migrations())
        connection.execute("insert into profiles (id) values (gen_random_uuid())")
        with connect(server.url) as sleeper:
            sleeper.execute(SLEEP)
            connection.execute("begin")
            assign_all(connection)
            connection.execute("update app_configurations set settings = '{}'")
            connection.execute("prepare transaction 'ours'")
            connection.execute("commit prepared 'ours'")
        assert connection.execute("select count(*) from windsock.changes").fetchone() == (2,)
        source = mirror_connect(server.url)
        try:
            with source.read() as reading:
                cursor = reading.cursor
            connection.execute("update profiles set config_id = null")
            assert source.wait(60.0), "it is told to look, though nobody woke it"
            assert len(source.changes(cursor).assignments) == 1
        finally:
            source.close()


@pytest.mark.slow
def test_a_full_queue_of_notifications_fails_nothing(postgres_folder):
    with embedded.start(postgres_folder) as server, connect(server.url) as connection:
        if connection.info.server_version < 170000:
            pytest.skip("the queue of this PostgreSQL is 8 GB, and can't be made smaller")
        connection.execute("alter system set max_notify_queue_pages = 64")
    with embedded.start(postgres_folder) as server, connect(server.url) as connection:
        migrate(connection, read_migrations())
        connection.execute("insert into profiles (id) values (gen_random_uuid())")
        with connect(server.url) as sleeper, connect(server.url) as idle:
            sleeper.execute(SLEEP)
            idle.execute("listen elsewhere")
            idle.execute("begin")
            filling = "select pg_notify('elsewhere', repeat('x', 7000) || n) from generate_series(1, 20) n"
            with contextlib.suppress(psycopg.errors.ProgramLimitExceeded):
                while True:
                    connection.execute(filling)
            assign_all(connection)
            connection.execute("update app_configurations set settings = '{}'")
        assert connection.execute("select count(*) from windsock.changes").fetchone() == (2,)


def test_repeated_assignments_grow_nothing_without_bound(application):
    (user,) = application.execute("select id from profiles limit 1").fetchone()
    (config,) = application.execute("select id from app_configurations limit 1").fetchone()
    for _ in range(100):
        with application.transaction():
            for value in (config, None) * 5:
                application.execute("update profiles set config_id = %s where id = %s", [value, user])
    application.execute("update profiles set config_id = %s where id = %s", [config, user])
    application.execute("set role windsock_mirror")
    application.execute("select windsock.cut_log('0', 100000)")
    application.execute("reset role")
    history = application.execute(
        "select config_id from windsock.assignment_history where user_id = %s order by changed_at, id",
        [str(user)],
    ).fetchall()
    assert len(history) <= 3, "one row a minute"
    assert history[-1] == (config,)


def test_a_transaction_that_began_long_before_it_ended_keeps_no_toggles_for_good(application):
    """Its row is the oldest and has the highest transaction id. Thinning stops before what is too recent."""
    application.execute("truncate windsock.assignment_history")
    application.execute(
        "insert into windsock.assignment_history (user_id, xid, changed_at)"
        " select 'ann', (10 + g)::text::xid8, date_trunc('minute', now()) - interval '5 minutes' + g * interval '1 s'"
        " from generate_series(1, 20) g"
        " union all select 'night', '100', now() - interval '2 hours'"
    )
    rows = "select count(*) from windsock.assignment_history where user_id = 'ann'"
    application.execute("select windsock.cut_log('1 hour', 20000)")
    assert application.execute(rows).fetchone() == (20,)
    application.execute("update windsock.assignment_history set changed_at = changed_at - interval '2 hours'")
    application.execute("select windsock.cut_log('1 hour', 20000)")
    assert application.execute(rows).fetchone() == (1,)


def test_an_assignment_of_a_clock_that_was_ahead_keeps_no_others(application):
    application.execute("truncate windsock.assignment_history")
    application.execute(
        "insert into windsock.assignment_history (user_id, xid, changed_at)"
        " select 'ann', (10 + g)::text::xid8, date_trunc('minute', now()) - interval '2 hours' + g * interval '1 s'"
        " from generate_series(1, 20) g"
        " union all select 'tomorrow', '5', now() + interval '1 day'"
    )
    application.execute("select windsock.cut_log('1 hour', 20000)")
    rows = application.execute(
        "select user_id, count(*) from windsock.assignment_history group by 1 order by 1"
    )
    assert rows.fetchall() == [("ann", 1), ("tomorrow", 1)]


@pytest.mark.slow
def test_a_hundred_thousand_assignments_of_a_user_are_thinned_within_the_mirrors_limit(application):
    """Its statements end after a minute; what looked at each pair of a user's rows took hours."""
    application.execute(
        "insert into windsock.assignment_history (user_id, xid, changed_at)"
        " select 'ann', (1 + g / 1000)::text::xid8, date_trunc('hour', now()) - interval '2 hours' + g * interval '6 ms'"
        " from generate_series(0, 99999) g"
    )
    application.execute("set statement_timeout = '60s'; set role windsock_mirror")
    for _ in range(5):
        application.execute("select windsock.cut_log('1 hour', 20000)")
    application.execute("reset role")
    kept = application.execute(
        "select count(*), count(distinct date_trunc('minute', changed_at)), bool_and(extract(second from changed_at) > 59)"
        " from windsock.assignment_history where user_id = 'ann'"
    )
    assert kept.fetchone() == (10, 10, True)


def test_a_dump_s_log_of_another_server_is_cut_bit_by_bit(application):
    application.execute(
        "insert into windsock.change_log (changed_table, row_id, xid)"
        " select 'profiles', g::text, (10000000000 + g)::text::xid8 from generate_series(1, 30) g"
    )
    application.execute("select windsock.cut_log('1 hour', 20)")
    assert application.execute(
        "select count(*) from windsock.change_log where xid >= '10000000000'"
    ).fetchone() == (10,)


def test_the_mirror_finds_changes_by_an_index_however_long_the_history_is(application):
    (since,) = application.execute("select pg_current_snapshot()::text").fetchone()
    application.execute("set enable_seqscan = off")
    question = b"explain " + QUERIES["changes_since"]
    plan = "\n".join(line for (line,) in application.execute(question, {"since": since, "limit": 10}))
    assert plan.count("Index Cond") == 2
    assert "Seq Scan" not in plan


def test_the_history_of_a_quiet_user_is_kept_whole(application):
    assign_all(application)
    application.execute("select windsock.cut_log('0', 100000)")
    assert application.execute("select count(*) from windsock.assignment_history").fetchone() == (10,)


def test_a_service_that_is_frozen_in_a_withdrawal_blocks_no_correction(database, application):
    (config,) = application.execute("select id::text from app_configurations limit 1").fetchone()
    application.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, reason, expires_at)"
        " values ('a.profile', %s, 'temperature', 'f', '', now() + interval '1 hour')",
        [config],
    )
    with psycopg.connect(database) as frozen:
        frozen.execute("update windsock.withdrawals set reason = 'again'")
        application.execute("set lock_timeout = '5s'")
        application.execute("update app_configurations set settings = '{\"temperature\": 1}'")
        frozen.rollback()
    application.execute("update app_configurations set settings = '{\"temperature\": 0}'")
    assert application.execute("select lifted_at is not null from windsock.withdrawals").fetchall() == [
        (True,)
    ]


CHANGES = (
    "update app_configurations set settings = '{\"temperature\": 1}'",
    "update profiles set config_id = (select id from app_configurations limit 1)",
    "delete from app_configurations",
    "truncate app_configurations, profiles",
)


@pytest.mark.parametrize(
    "table", ["change_log", "assignment_history", "configuration_history", "withdrawals"]
)
def test_a_lock_on_a_table_of_ours_holds_no_application_up(database, application, table):
    application.execute(
        "set statement_timeout = '900ms'"
    )  # four triggers wait a tenth of a second each at most
    with connect(database) as other, other.transaction():
        other.execute(f"lock table windsock.{table}")
        for change in CHANGES:
            application.execute(change)
    assert application.execute("select count(*) from app_configurations").fetchone() == (0,)


def test_serializable_transactions_do_not_fail_each_other(database, application):
    application.execute("insert into app_configurations (name) values ('another')")
    application.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, reason, expires_at)"
        " select 'a.profile', id::text, 'temperature', n::text, '', now() + interval '1 hour'"
        " from app_configurations, generate_series(1, 3) n"
    )
    application.execute("analyze windsock.withdrawals")
    names = ("another", "experimental_v1")
    changes = ("update app_configurations set settings = '{\"temperature\": 1}' where name = %s",
               "delete from app_configurations where name = %s")  # fmt: skip
    for change in changes:
        with connect(database) as one, connect(database) as other:
            for connection, name in zip((one, other), names, strict=True):
                connection.execute("begin isolation level serializable")
                connection.execute(change, [name])
            one.execute("commit")
            other.execute("commit")
        assert application.execute(
            "select count(*) from windsock.withdrawals where lifted_at is null"
        ).fetchone() == (0,)
        application.execute("update windsock.withdrawals set lifted_at = null")


@pytest.mark.parametrize("kind", ["json", "point", "json_pair"])
def test_a_column_that_cannot_be_compared_fails_nothing(application, kind):
    """An application may add columns of its own to these tables."""
    application.execute("create type json_pair as (one json, two json)")
    for table in ("app_configurations", "profiles"):
        application.execute(f"alter table {table} add column extra {kind}")
    assign_all(application)
    before = "select settings, updated_at from app_configurations"
    application.execute("update app_configurations set settings = settings")
    ((_, same),) = application.execute(before).fetchall()
    application.execute("update app_configurations set settings = '{\"temperature\": 1}'")
    ((settings, moved),) = application.execute(before).fetchall()
    assert settings == {"temperature": 1}
    assert moved > same
    for change in ("delete from profiles", "delete from app_configurations"):
        assert application.execute(change).rowcount > 0


def test_every_trigger_of_ours_that_writes_waits_briefly_for_locks(application):
    waits = "select oid::regproc::text, proconfig from pg_proc where prosecdef and prorettype = 'trigger'::regtype"
    found = dict(application.execute(waits).fetchall())
    assert len(found) >= 7
    assert [name for name, settings in found.items() if "lock_timeout=100ms" not in settings] == []


def test_an_id_that_no_index_takes_is_logged_all_the_same(empty_database):
    with connect(empty_database) as connection:
        connection.execute("create table profiles (id text)")
        migrate(connection, read_migrations())
        long = "".join(uuid.uuid4().hex for _ in range(300))
        connection.execute("insert into profiles select %s, id from app_configurations limit 1", [long])
        connection.execute("insert into profiles select 'short', id from app_configurations limit 1")
        changed = connection.execute("select row_id from windsock.changes where changed_table = 'profiles'")
        assert sorted(changed.fetchall(), key=str) == [("short",), (None,)], "null: any row"


def test_the_row_of_an_id_that_no_index_takes_is_cut_with_the_log(empty_database):
    with connect(empty_database) as connection:
        connection.execute("create table profiles (id text)")
        migrate(connection, read_migrations())
        connection.execute("truncate windsock.change_log, windsock.assignment_history")
        for turn in range(3):
            connection.execute(
                "insert into profiles select repeat('x', 3000) || %s, id from app_configurations", [turn]
            )
        rows = "select count(*) from windsock.assignment_history"
        connection.execute("select windsock.cut_log('1 hour', 100)")
        assert connection.execute(rows).fetchone() == (3,)
        xids = "select xid::text from windsock.assignment_history order by changed_at"
        gone = connection.execute(xids).fetchall()
        cut = "select xid::text from windsock.change_log_cut"
        for left in (1, 0):
            connection.execute("select windsock.cut_log('0', 2)")
            assert connection.execute(rows).fetchone() == (left,)
            assert connection.execute(cut).fetchone() == gone[2 - left], "a mirror behind it reads everything"


def test_what_a_dump_brings_from_a_server_with_higher_transaction_ids_is_forgotten(application):
    application.execute("truncate windsock.change_log")
    application.execute("insert into windsock.change_log values ('99999999', 'profiles', null)")
    application.execute("update windsock.change_log_cut set xid = '99999999', thinned = '99999999'")
    application.execute(
        "insert into windsock.assignment_history (xid, user_id) values ('99999999', 'foreign')"
    )
    with application.transaction():
        assign_all(application)
        application.execute("update app_configurations set settings = '{}'")
        application.execute("select windsock.cut_log('0', 100000)")  # its own rows are not cut yet
    (kept,) = application.execute("select count(*) from windsock.changes where xid > '0'").fetchone()
    assert kept == 11
    assert application.execute("select xid::text, thinned::text from windsock.change_log_cut").fetchone() == (
        "0",
        "0",
    )
    application.execute("select windsock.cut_log('0', 100000)")
    cut_here = (
        "select xid > '0' and xid < pg_snapshot_xmax(pg_current_snapshot()) from windsock.change_log_cut"
    )
    assert application.execute(cut_here).fetchone() == (True,)
    assert application.execute("select count(*) from windsock.change_log").fetchone() == (0,)


def test_columns_of_an_application_are_not_taken_for_variables_of_a_trigger(application):
    """And each change is logged, as the history has it."""
    names = application.execute(
        "select distinct word[1] from pg_catalog.pg_proc,"
        " regexp_matches(split_part(split_part(prosrc, 'declare', 2), 'begin', 1), '^\\s*([a-z_]+) ', 'gn') word"
        " where pronamespace = 'windsock'::regnamespace and prorettype = 'trigger'::regtype"
    ).fetchall()
    assert ("longest",) in names
    for (name,) in names:
        for table in ("profiles", "app_configurations"):
            application.execute(f"alter table {table} add column {name} bigint default 7")
    application.execute("truncate windsock.change_log, windsock.assignment_history")
    application.execute(
        "insert into profiles (id, config_id) select gen_random_uuid(), id from app_configurations limit 1"
    )
    assign_all(application)
    application.execute("delete from profiles")
    application.execute("update app_configurations set settings = '{\"temperature\": 1}'")
    logged = application.execute("select changed_table, count(*) from windsock.changes group by 1 order by 1")
    assert logged.fetchall() == [("app_configurations", 1), ("profiles", 1 + 10 + 11)]


def test_under_a_publication_of_all_tables_the_log_is_cut_all_the_same(application):
    """Such as an upgrade by logical replication makes, or a tool that copies the database elsewhere."""
    application.execute("create publication everything for all tables")
    assign_all(application)
    application.execute("update app_configurations set settings = '{}'")
    application.execute("set role windsock_mirror")
    application.execute("select windsock.cut_log('0', 100000)")
    application.execute("reset role")
    assert application.execute("select count(*) from windsock.change_log").fetchone() == (0,)


def test_each_table_of_ours_has_what_a_publication_tells_its_rows_by(application):
    keyless = application.execute(
        "select c.oid::regclass::text from pg_class c where relkind = 'r' and relreplident <> 'f'"
        " and relnamespace in ('public'::regnamespace, 'windsock'::regnamespace)"
        " and not exists (select from pg_index where indrelid = c.oid and indisprimary)"
    )
    assert keyless.fetchall() == []
