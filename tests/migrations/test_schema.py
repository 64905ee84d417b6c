"""What the migrations make of a plain database and of one that is shaped like Supabase's."""

import uuid

import psycopg
import pytest
from tests.migrations.conftest import SHAPE

from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.usage import hashed_user_id


@pytest.fixture(params=["plain", "supabase"])
def connection(request, make_database):
    made = "migrated_supabase_template" if request.param == "supabase" else "migrated_template"
    with connect(make_database(request.getfixturevalue(made))) as connection:
        connection.shape = request.param
        yield connection


@pytest.fixture
def supabase(make_database, migrated_supabase_template):
    with connect(make_database(migrated_supabase_template)) as connection:
        yield connection


def add_user(connection, config_id=None):
    user = uuid.uuid4()
    if connection.execute("select to_regclass('auth.users')").fetchone()[0]:
        connection.execute("insert into auth.users (id) values (%s)", [user])
        connection.execute("update profiles set config_id = %s where id = %s", [config_id, user])
    else:
        connection.execute("insert into profiles (id, config_id) values (%s, %s)", [user, config_id])
    return user


def seed(connection):
    query = "select id, settings from app_configurations where name = 'experimental_v1'"
    return connection.execute(query).fetchone()


def logged(connection):
    rows = connection.execute(
        "select changed_table, row_id from windsock.changes order by xid, row_id is null"
    )
    return rows.fetchall()


def test_the_seed_profile_is_the_documents(connection):
    _, settings = seed(connection)
    assert settings == {
        "retrieval_top_k": 25,
        "rerank_top_n": 5,
        "reasoning_model": "gpt-4o",
        "temperature": 0.2,
    }


def test_the_first_file_can_be_applied_again_by_hand(connection):
    first = read_migrations()[0]
    connection.execute("update app_configurations set settings = '{}' where name = 'experimental_v1'")
    connection.execute(first.path.read_bytes())
    assert seed(connection)[1] == {}


def test_a_deleted_configuration_unassigns_its_users(connection):
    config, _ = seed(connection)
    user = add_user(connection, config)
    connection.execute("delete from app_configurations where id = %s", [config])
    assert connection.execute("select config_id from profiles where id = %s", [user]).fetchone() == (None,)


def test_every_change_is_logged_once_for_a_row(connection):
    config, _ = seed(connection)
    user = add_user(connection, config)
    connection.execute("truncate windsock.change_log, windsock.assignment_history")
    connection.execute(
        "update app_configurations set settings = '{\"temperature\": 1}' where id = %s", [config]
    )
    connection.execute("update profiles set config_id = config_id")
    connection.execute("update profiles set config_id = null")
    connection.execute("update profiles set config_id = null")
    assert logged(connection) == [("app_configurations", str(config)), ("profiles", str(user))]
    connection.execute("truncate profiles cascade")
    assert logged(connection)[-1] == ("profiles", None)


def test_a_changed_key_is_logged_under_both(connection):
    config, _ = seed(connection)
    new = uuid.uuid4()
    connection.execute("truncate windsock.change_log, windsock.assignment_history")
    connection.execute("update app_configurations set id = %s where id = %s", [new, config])
    assert {row for _, row in logged(connection)} == {str(config), str(new)}


@pytest.fixture
def plain(database):
    with connect(database) as connection:
        yield connection


def warnings_of(connection):
    found = []
    connection.add_notice_handler(lambda notice: found.append(notice.message_primary))
    return found


def test_a_log_that_cannot_be_written_does_not_stop_a_sign_up(connection):
    config, _ = seed(connection)
    warnings = warnings_of(connection)
    connection.execute("drop table windsock.assignment_history cascade")
    user = add_user(connection, config)
    assert connection.execute("select config_id from profiles where id = %s", [user]).fetchone() == (config,)
    assert any("a change of profiles was not logged" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("lost", "statement", "warning"),
    [
        (
            "change_log",
            "insert into app_configurations (name) values ('x')",
            "a change of app_configurations was",
        ),
        ("change_log", "update app_configurations set settings = '{}'", "a change of app_configurations was"),
        ("change_log", "delete from app_configurations", "a change of app_configurations was"),
        ("change_log", "truncate profiles cascade", "a truncate of profiles was"),
        ("change_log", "update windsock.withdrawals set reason = ''", "a withdrawal was"),
        ("assignment_history", "delete from profiles", "a change of profiles was"),
        ("configuration_history", "delete from app_configurations", "the history of app_configurations was"),
        (
            "withdrawals",
            "update app_configurations set settings = '{}'",
            "withdrawals of changed values were",
        ),
        ("withdrawals", "delete from app_configurations", "withdrawals of deleted configurations were"),
    ],
)
def test_what_windsock_cannot_note_down_happens_all_the_same(plain, lost, statement, warning):
    warnings = warnings_of(plain)
    config, _ = seed(plain)
    add_user(plain, config)
    withdraw(plain, config)
    plain.execute(f"drop table windsock.{lost} cascade")
    assert plain.execute(statement).rowcount != 0
    assert any(each.startswith(f"windsock: {warning} not") for each in warnings)


def withdraw(connection, config):
    connection.execute(
        "insert into windsock.withdrawals (flag, variant, field, fingerprint, reason, expires_at)"
        " values ('teacher.profile', %s, 'temperature', 'f', 'a test', now() + interval '1 hour')",
        [str(config)],
    )


def test_what_a_role_without_any_rights_on_windsock_changes_is_noted_down_too(plain):
    """An application, and Supabase's own services: the triggers run as their owner."""
    warnings = warnings_of(plain)
    config, _ = seed(plain)
    user = add_user(plain, config)
    withdraw(plain, config)
    plain.execute("truncate windsock.change_log, windsock.assignment_history, windsock.configuration_history")
    plain.execute("create role application bypassrls")
    try:
        plain.execute("grant all on profiles, app_configurations to application")
        plain.execute("set role application")
        plain.execute("update profiles set config_id = null")
        plain.execute("update app_configurations set settings = '{}'")
        plain.execute("truncate profiles")
        plain.execute("reset role")
        assert logged(plain) == [
            ("profiles", str(user)),
            ("app_configurations", str(config)),
            ("app_configurations", str(config)),  # its withdrawal was lifted
            ("profiles", None),
        ]
        assert plain.execute("select lifted_at is not null from windsock.withdrawals").fetchall() == [(True,)]
        assert plain.execute("select count(*) from windsock.assignment_history").fetchone() == (1,)
        assert plain.execute("select count(*) from windsock.configuration_history").fetchone() == (1,)
        withdraw_again = "update windsock.withdrawals set lifted_at = null"
        plain.execute(withdraw_again)
        plain.execute("set role application")
        plain.execute("delete from app_configurations")
        plain.execute("reset role")
        assert plain.execute("select lifted_at is not null from windsock.withdrawals").fetchall() == [(True,)]
        assert not [each for each in warnings if each.startswith("windsock:")]
    finally:
        plain.execute("reset role")
        plain.execute("drop owned by application")
        plain.execute("drop role application")


GRANTS = """
select grantee::regrole::text || ': ' || lower(privilege_type) || ' ' || thing from (
    select relname as thing, (aclexplode(relacl)).* from pg_class
    union all
    select relname || '.' || attname, (aclexplode(attacl)).* from pg_attribute join pg_class c on c.oid = attrelid
    union all
    select proname || '()', (aclexplode(proacl)).* from pg_proc
    union all
    select nspname, (aclexplode(nspacl)).* from pg_namespace
) granted
where grantee in ('windsock_mirror'::regrole, 'windsock_writer'::regrole, 'windsock_api'::regrole,
    'windsock_definer'::regrole, 'windsock_analyst'::regrole,
    'windsock_assigner'::regrole, 'windsock_console'::regrole,
    'windsock_pruner'::regrole)
  and grantee <> grantor
"""


def test_the_roles_have_these_grants_and_no_others(plain):
    granted = {row for (row,) in plain.execute(GRANTS)}
    audit = [
        f"configuration_audit.{name}"
        for name in ("actor", "flag", "file", "revision_before", "revision_after", "request", "changed")
    ]
    assert granted == {
        "windsock_mirror: usage public",
        "windsock_mirror: usage windsock",
        "windsock_mirror: select app_configurations",
        "windsock_mirror: select profiles.id",
        "windsock_mirror: select profiles.config_id",
        "windsock_mirror: execute cut_log()",
        "windsock_mirror: select changes",
        "windsock_mirror: select change_log_cut",
        "windsock_mirror: select withdrawals",
        *(f"windsock_mirror: {each} mirrors" for each in ("select", "insert", "update")),
        "windsock_writer: select mirrors",
        "windsock_api: select mirrors",
        *(
            f"windsock_mirror: {each} learning_config{suffix}"
            for each in ("select", "insert", "update", "delete")
            for suffix in ("", "_units")
        ),
        "windsock_writer: usage public",
        "windsock_writer: usage windsock",
        *(f"windsock_writer: insert {each}" for each in ("usage_logs", "exposures", "metric_events")),
        *(f"windsock_writer: select {each}.id" for each in ("usage_logs", "metric_events")),
        *(
            f"windsock_writer: select exposures.{each}"
            for each in ("experiment", "version", "environment", "unit", "arm", "first_exposed_at")
        ),
        *(f"windsock_writer: {each} faults" for each in ("select", "insert", "delete")),
        *(f"windsock_writer: {each} withdrawals" for each in ("select", "insert")),
        *(
            f"windsock_writer: update withdrawals.{each}"
            for each in ("reason", "withdrawn_at", "expires_at", "lifted_at")
        ),
        "windsock_writer: update exposures.first_exposed_at",
        "windsock_analyst: usage public",
        "windsock_analyst: usage windsock",
        "windsock_analyst: select usage_logs",
        "windsock_analyst: select exposures",
        "windsock_analyst: select metric_events",
        "windsock_analyst: select profile_history",
        *(
            f"windsock_analyst: select withdrawals.{each}"
            for each in (
                "flag",
                "variant",
                "field",
                "fingerprint",
                "withdrawn_at",
                "expires_at",
                "lifted_at",
            )
        ),
        *(
            f"windsock_analyst: select analysis_snapshots.{each}"
            for each in ("experiment", "version", "environment", "taken_at", "declared")
        ),
        "windsock_analyst: execute hashed_user_id()",
        "windsock_api: usage windsock",
        "windsock_api: execute api_token()",
        "windsock_api: execute end_configuration_write()",
        "windsock_api: execute begin_configuration_write()",
        "windsock_api: execute configuration_changes()",
        *(f"windsock_definer: insert {each}" for each in audit),
        "windsock_console: usage public",
        "windsock_console: usage windsock",
        *(
            f"windsock_console: execute {each}()"
            for each in (
                "api_token",
                "begin_configuration_write",
                "configuration_changes",
                "end_configuration_write",
            )
        ),
        *(
            f"windsock_console: {right} {table}"
            for right in ("select", "insert", "update", "delete")
            for table in ("console_sessions", "app_configurations")
        ),
        *(
            f"windsock_console: select {each}"
            for each in (
                "profiles.id",
                "profiles.config_id",
                "usage_logs",
                "assignment_history",
                "configuration_history",
                "mirrors",
                "exposures",
                "metric_events",
                "analysis_snapshots",
                "experiment_assignments",
                "faults",
                "configuration_audit",
                "profile_changes",
                "withdrawals",
            )
        ),
        *(
            f"windsock_console: insert {each}"
            for each in ("configuration_audit", "profile_changes", "analysis_snapshots")
        ),
        "windsock_console: update profiles.config_id",
        "windsock_console: update profile_changes.undone_by",
        "windsock_console: update withdrawals.lifted_at",
        "windsock_assigner: usage windsock",
        *(
            f"windsock_assigner: {right} {table}"
            for right in ("select", "insert")
            for table in ("profile_changes", "experiment_assignments")
        ),
        "windsock_assigner: update profile_changes.undone_by",
        "windsock_assigner: update experiment_assignments.undone_at",
        *(
            f"windsock_writer: select experiment_assignments.{each}"
            for each in (
                *("experiment", "version", "unit", "arm", "flag", "fields", "allocation", "key_fingerprint"),
                *("config_id", "assigned_at", "undone_at"),
            )
        ),
        "windsock_analyst: select experiment_assignments",
        "windsock_assigner: usage public",
        *(f"windsock_assigner: {each}" for each in ("select profiles.id", "select profiles.config_id")),
        "windsock_assigner: update profiles.config_id",
        *(
            f"windsock_assigner: select app_configurations.{each}"
            for each in ("id", "name", "is_active", "settings")
        ),
        "windsock_pruner: usage public",
        "windsock_pruner: usage windsock",
        "windsock_pruner: execute cut_log()",
        *(
            f"windsock_pruner: {right} {table}.{column}"
            for right, table, columns in (
                ("select", "profiles", "id config_id"),
                ("update", "profiles", "config_id"),
                ("select", "usage_logs", "id requested_at user_id request_id"),
                ("select", "metric_events", "id occurred_at user_id unit request_id"),
                ("select", "exposures", "experiment version environment unit arm first_exposed_at"),
                (
                    "select",
                    "experiment_assignments",
                    "experiment version unit profile_id assigned_at undone_at",
                ),
                ("select", "assignment_history", "id user_id changed_at"),
                ("select", "configuration_history", "id config_id changed_at"),
                ("select", "profile_changes", "id changed_at before after"),
                ("update", "profile_changes", "before after"),
                ("select", "configuration_audit", "id requested_at"),
                ("select", "faults", "id request_id reported_at"),
                ("select", "withdrawals", "flag variant field fingerprint expires_at"),
            )
            for column in columns.split()
        ),
        *(
            f"windsock_pruner: delete {table}"
            for table in (
                *("usage_logs", "metric_events", "exposures", "experiment_assignments", "assignment_history"),
                *("configuration_history", "profile_changes", "configuration_audit", "faults", "withdrawals"),
            )
        ),
        "windsock_definer: usage windsock",
        *(
            f"windsock_definer: insert {each}"
            for each in ("change_log", "assignment_history", "configuration_history")
        ),
        *(
            f"windsock_definer: select withdrawals.{each}"
            for each in ("flag", "variant", "field", "lifted_at")
        ),
        "windsock_definer: select withdrawals",
        "windsock_definer: update withdrawals.lifted_at",
        *(f"windsock_definer: {each}" for each in ("select change_log", "delete change_log")),
        *(f"windsock_definer: {each} change_log_cut" for each in ("select", "update")),
        *(
            f"windsock_definer: select assignment_history.{each}"
            for each in ("id", "user_id", "changed_at", "xid")
        ),
        "windsock_definer: update assignment_history.xid",
        *(f"windsock_pruner: insert change_log.{each}" for each in ("changed_table", "row_id")),
        "windsock_definer: delete assignment_history",
        *(
            f"windsock_definer: select api_tokens.{each}"
            for each in ("name", "role", "flags", "token_sha256", "revoked_at")
        ),
        *(
            f"windsock_definer: select configuration_audit.{each}"
            for each in (
                *("id", "requested_at", "written_at", "actor", "flag"),
                *("revision_before", "revision_after", "changed"),
            )
        ),
        "windsock_definer: update configuration_audit.written_at",
    }


def test_names_that_differ_by_case_are_two_configurations(connection):
    connection.execute("insert into app_configurations (name) values ('Experimental_V1')")
    assert connection.execute("select count(*) from app_configurations").fetchone() == (2,)


def test_an_existing_assignment_column_is_kept(empty_database):
    with connect(empty_database) as connection:
        connection.execute("create table profiles (id uuid primary key, name text, config_id uuid)")
        migrate(connection, read_migrations())
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("insert into profiles values (gen_random_uuid(), 'x', gen_random_uuid())")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        "select * from app_configurations",
        "insert into app_configurations (name) values ('x')",
        "select * from usage_logs",
        "select * from windsock.change_log",
        "select windsock.log_assignments()",
    ],
)
def test_the_public_of_supabase_reads_and_writes_nothing(supabase, role, statement):
    supabase.execute(f"set role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        supabase.execute(statement)


@pytest.mark.parametrize(
    "table", ["app_configurations", "usage_logs", "learning_config", "learning_config_units"]
)
def test_our_tables_in_public_are_closed_twice(supabase, table):
    """No grants, and row level security: either alone is undone by one statement of somebody else's."""
    granted = supabase.execute(
        "select grantee::regrole from pg_class, aclexplode(relacl) where oid = %s::regclass"
        " and (grantee = 0 or grantee in ('anon'::regrole, 'authenticated'::regrole))",
        [table],
    )
    assert granted.fetchall() == []
    closed = supabase.execute("select relrowsecurity from pg_class where oid = %s::regclass", [table])
    assert closed.fetchone() == (True,)


def test_a_minimal_profiles_table_on_supabase_is_closed(empty_database):
    with connect(empty_database) as connection:
        connection.execute(SHAPE)
        connection.execute("drop table public.profiles")
        migrate(connection, read_migrations())
        connection.execute("insert into profiles values (gen_random_uuid())")
        connection.execute("set role anon")
        assert connection.execute("select count(*) from profiles").fetchone() == (0,)


def test_the_mirrors_role_reads_past_row_level_security_and_writes_nothing(connection):
    config, _ = seed(connection)
    add_user(connection, config)
    connection.execute("set role windsock_mirror; set row_security = off")
    assert connection.execute("select count(*) from app_configurations").fetchone() == (1,)
    assert connection.execute("select count(id) from profiles where config_id is not null").fetchone() == (1,)
    for statement in ("update profiles set config_id = null", "delete from app_configurations"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_writers_role_adds_usage_rows_and_changes_none(connection):
    connection.execute("set role windsock_writer")
    row = [uuid.uuid4()]
    statement = """insert into usage_logs (id, requested_at, environment, flag)
                   values (%s, now(), 'production', 'teacher') on conflict (id) do nothing"""
    connection.execute(statement, row)
    connection.execute(statement, row)
    assert connection.execute("select count(id) from usage_logs").fetchone() == (1,)
    for refused in (
        "delete from usage_logs",
        "select user_id from usage_logs",
        "select profile_id from windsock.experiment_assignments",
        "do $$ begin lock table windsock.withdrawals; end $$",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(refused)


EXPOSE = """
insert into windsock.exposures (experiment, version, environment, unit, arm, first_exposed_at)
values ('cheaper', 1, 'production', 'u1', 'control', %s)
on conflict (experiment, version, environment, unit, arm)
do update set first_exposed_at = least(windsock.exposures.first_exposed_at, excluded.first_exposed_at)
"""


def test_the_writers_role_moves_a_first_exposure_back_and_changes_nothing_else(connection):
    connection.execute("set role windsock_writer")
    for day in ("2026-03-02", "2026-03-01", "2026-03-03"):
        connection.execute(EXPOSE, [f"{day}T00:00Z"])
    stored = connection.execute("select first_exposed_at = '2026-03-01T00:00Z' from windsock.exposures")
    assert stored.fetchall() == [(True,)]
    for statement in (
        "update windsock.exposures set arm = 'treatment'",
        "update windsock.exposures set excluded = 'profile'",
        "delete from windsock.exposures",
        "delete from windsock.metric_events",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_analysts_role_reads_and_writes_nothing(connection):
    connection.execute("set role windsock_analyst")
    assert connection.execute("select count(*) from windsock.exposures").fetchone() == (0,)
    for statement in (
        EXPOSE.replace("%s", "now()"),
        "insert into windsock.metric_events (id, name) values (gen_random_uuid(), 'x')",
        "select * from app_configurations",
        "select * from windsock.api_tokens",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize("key", [b"k", b"\x00\xff" * 32, b"longer than a block" * 7])
@pytest.mark.parametrize("user", ["ada", "", "Zoë 🙂", "x" * 1000])
def test_sql_hashes_a_user_id_as_the_writer_does(plain, user, key):
    hashed = plain.execute("select windsock.hashed_user_id(%s, %s)", [user, key]).fetchone()
    assert hashed == (hashed_user_id(user, key),)


def test_a_request_ends_well_or_in_an_error(plain):
    with pytest.raises(psycopg.errors.CheckViolation):
        plain.execute(
            "insert into usage_logs (id, requested_at, environment, flag, status)"
            " values (gen_random_uuid(), now(), 'production', 'teacher', 'maybe')"
        )


def test_supabase_sign_up_and_sign_off_are_unharmed(supabase):
    config, _ = seed(supabase)
    user = add_user(supabase, config)
    supabase.execute("delete from auth.users where id = %s", [user])
    assert supabase.execute("select count(*) from profiles").fetchone() == (0,)
    assert logged(supabase)[-1] == ("profiles", str(user))


def test_updated_at_moves_with_each_change(plain):
    config = plain.execute("insert into app_configurations (name) values ('one') returning id").fetchone()[0]
    plain.execute("update app_configurations set updated_at = '2020-01-01'")
    moves = []
    for change in ("settings = '{\"a\": 1}'", "settings = '{\"a\": 1}'", "is_active = false", "name = 'two'"):
        plain.execute(f"update app_configurations set {change} where id = %s", [config])
        moves.append(
            plain.execute("select updated_at from app_configurations where id = %s", [config]).fetchone()[0]
        )
    assert moves[0] == moves[1], "nothing changed"
    assert moves[0].year > 2020
    assert moves[1] < moves[2] < moves[3]
