"""Who may say which configuration a user has, on a database shaped like Supabase's with the starter's policies."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.migrations.conftest import SHAPE
from tests.waiting import eventually

from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

CONFIG, USER, OTHER = (str(uuid.UUID(int=number)) for number in (1, 2, 3))


@pytest.fixture
def supabase(make_database, migrated_supabase_template):
    with connect(make_database(migrated_supabase_template)) as connection:
        connection.execute("insert into app_configurations (id, name) values (%s, 'one')", [CONFIG])
        connection.execute("insert into auth.users (id) values (%s), (%s)", [USER, OTHER])
        connection.execute('create policy "own insert" on profiles for insert with check (auth.uid() = id)')
        yield connection


def act_as(connection, role):
    """Sign in as PostgREST does, as the first user."""
    user = USER if role == "authenticated" else ""
    connection.execute("select set_config('request.jwt.claim.sub', %s, false)", [user])
    connection.execute(f"set role {role}")


def assigned(connection):
    connection.execute("reset role")
    return dict(connection.execute("select id::text, config_id::text from profiles").fetchall())


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        "update profiles set config_id = '{config}'",
        "update profiles set username = 'ann', config_id = '{config}' where id = '{user}'",
        "insert into profiles (id) values ('{user}') on conflict (id) do update set config_id = '{config}'",
        (
            "merge into profiles p using (values ('{user}'::uuid)) v (id) on v.id = p.id"
            " when matched then update set config_id = '{config}'"
        ),
    ],
)
def test_a_signed_in_user_does_not_choose_their_configuration(supabase, role, statement):
    if statement.startswith("merge") and supabase.info.server_version < 150000:
        pytest.skip("PostgreSQL 14 has no MERGE")
    act_as(supabase, role)
    if role == "authenticated" or not statement.startswith("update"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            supabase.execute(statement.format(config=CONFIG, user=USER))
    else:  # anon has no row of its own, so there is nothing to update
        assert supabase.execute(statement.format(config=CONFIG, user=USER)).rowcount == 0
    assert assigned(supabase) == {USER: None, OTHER: None}


@pytest.mark.parametrize("policy", ["using (true) with check (true)", "using (true)"])
def test_no_policy_opens_it(supabase, policy):
    supabase.execute(f"create policy everything on profiles {policy}")
    supabase.execute("delete from profiles where id = %s", [OTHER])
    for role in ("anon", "authenticated"):
        act_as(supabase, role)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{role} may not set config_id"):
            supabase.execute("update profiles set config_id = %s", [CONFIG])
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{role} may not set config_id"):
            supabase.execute("insert into profiles (id, config_id) values (%s, %s)", [OTHER, CONFIG])
        supabase.execute("reset role")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nor_does_a_row_that_is_renamed_to_theirs(supabase, role):
    supabase.execute("create policy everything on profiles using (true) with check (true)")
    supabase.execute("create policy leave on profiles for delete using (true)")
    supabase.execute("update profiles set config_id = %s where id = %s", [CONFIG, OTHER])
    act_as(supabase, role)
    supabase.execute("delete from profiles where id = %s", [USER])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{role} may not set config_id"):
        supabase.execute("update profiles set id = %s where id = %s", [USER, OTHER])
    assert assigned(supabase) == {OTHER: CONFIG}
    supabase.execute("update profiles set config_id = null")
    act_as(supabase, role)
    supabase.execute("update profiles set id = %s where id = %s", [USER, OTHER])
    assert assigned(supabase) == {USER: None}


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    ("body", "statement"),
    [
        ("new.id := auth.uid()", "insert into profiles (id, config_id) values ('{other}', '{config}')"),
        ("new.id := auth.uid()", "update profiles set username = 'x' where id = '{other}'"),
        (
            "new.config_id := new.username",
            "insert into profiles (id, username) values ('{user}', '{config}')",
        ),
        ("new.config_id := null", "update profiles set username = 'x'"),
    ],
)
def test_nor_does_a_trigger_of_the_application_that_comes_last(supabase, role, body, statement):
    """Triggers before a change run in the order of their names, and each may change the row."""
    supabase.execute("create policy everything on profiles using (true) with check (true)")
    supabase.execute("update profiles set config_id = %s where id = %s", [CONFIG, OTHER])
    supabase.execute("delete from profiles where id = %s", [USER])
    supabase.execute(
        f"create function change() returns trigger language plpgsql as $$ begin {body}; return new; end $$;"
        "create trigger zz_last before insert or update on profiles for each row execute function change()"
    )
    act_as(supabase, role)
    supabase.execute("select set_config('request.jwt.claim.sub', %s, false)", [USER])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{role} may not set config_id"):
        supabase.execute(statement.format(config=CONFIG, user=USER, other=OTHER))
    assert assigned(supabase) == {OTHER: CONFIG}


def test_a_user_does_not_take_an_assignment_away_either(supabase):
    supabase.execute("update profiles set config_id = %s", [CONFIG])
    act_as(supabase, "authenticated")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        supabase.execute("update profiles set config_id = null")


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nor_all_of_them_at_once(supabase, role):
    """The right to truncate is among those that Supabase grants by default, and no policy applies to it."""
    supabase.execute("update profiles set config_id = %s", [CONFIG])
    act_as(supabase, role)
    for statement in ("truncate profiles", "truncate profiles cascade"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{role} may not set config_id"):
            supabase.execute(statement)
    assert assigned(supabase) == {USER: CONFIG, OTHER: CONFIG}
    supabase.execute("set role service_role")
    supabase.execute("truncate profiles")
    assert assigned(supabase) == {}


def test_everything_else_of_their_own_profile_is_still_theirs(supabase):
    supabase.execute("update profiles set config_id = %s where id = %s", [CONFIG, USER])
    act_as(supabase, "authenticated")
    supabase.execute("update profiles set username = 'ann', config_id = config_id")
    assert supabase.execute(
        "select username, config_id::text from profiles where id = %s", [USER]
    ).fetchone() == (
        "ann",
        CONFIG,
    )
    supabase.execute("reset role")
    supabase.execute("delete from profiles where id = %s", [USER])
    act_as(supabase, "authenticated")
    supabase.execute("insert into profiles (id, username) values (%s, 'ann')", [USER])
    assert assigned(supabase)[USER] is None


UPSERT = """
insert into profiles (id, username, config_id) values (%s, 'ann', %s)
on conflict (id) do update set username = excluded.username, config_id = excluded.config_id
"""


def test_saving_the_whole_profile_back_is_no_assignment(supabase):
    """As supabase-js's upsert() does with a profile that was read with all of its columns."""
    supabase.execute("update profiles set config_id = %s", [CONFIG])
    supabase.execute('create policy "own delete" on profiles for delete using (auth.uid() = id)')
    other = str(uuid.UUID(int=9))
    supabase.execute("insert into app_configurations (id, name) values (%s, 'other')", [other])
    act_as(supabase, "authenticated")
    assert supabase.execute(UPSERT, [USER, CONFIG]).rowcount == 1
    assert supabase.execute(f"{UPSERT} where false", [USER, CONFIG]).rowcount == 0
    for user, config in ((USER, other), (OTHER, CONFIG), (str(uuid.UUID(int=8)), CONFIG)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            supabase.execute(UPSERT, [user, config])
    with supabase.transaction(force_rollback=True):
        assert supabase.execute("delete from profiles where id = %s", [USER]).rowcount == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege), supabase.transaction():
            supabase.execute(UPSERT, [USER, CONFIG])
    assert assigned(supabase) == {USER: CONFIG, OTHER: CONFIG}
    assert supabase.execute("select username from profiles where id = %s", [USER]).fetchone() == ("ann",)


def test_a_profile_that_is_deleted_meanwhile_keeps_no_configuration(supabase):
    """The row that is there is locked first, so whoever deletes it in another session gains nothing by the race."""
    supabase.execute("update profiles set config_id = %s", [CONFIG])
    supabase.execute('create policy "own delete" on profiles for delete using (auth.uid() = id)')
    waits = "select wait_event_type from pg_stat_activity where pid = %s"
    with (
        connect(supabase.info.dsn) as other,
        connect(supabase.info.dsn) as owner,
        ThreadPoolExecutor(1) as pool,
    ):
        act_as(other, "authenticated")
        act_as(supabase, "authenticated")
        with other.transaction():
            assert other.execute("delete from profiles where id = %s", [USER]).rowcount == 1
            upsert = pool.submit(supabase.execute, UPSERT, [USER, CONFIG])
            eventually(lambda: owner.execute(waits, [supabase.info.backend_pid]).fetchone() == ("Lock",))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not set config_id"):
            upsert.result()
    assert assigned(supabase) == {OTHER: CONFIG}


@pytest.mark.parametrize("role", ["windsock_assigner", "service_role", "none"])
def test_the_assigner_the_service_and_the_owner_assign(supabase, role):
    supabase.execute(f"set role {role}")
    supabase.execute("update profiles set config_id = %s where id = %s", [CONFIG, OTHER])
    assert assigned(supabase) == {USER: None, OTHER: CONFIG}


@pytest.mark.parametrize("role", ["windsock_assigner", "windsock_console"])
def test_a_login_in_the_role_assigns_where_row_level_security_is_on(supabase, role):
    """BYPASSRLS is an attribute, which no login inherits."""
    supabase.execute(f"create role {role}_login login in role {role}")
    try:
        with connect(f"{supabase.info.dsn} user={role}_login") as login:
            assert ("one",) in login.execute("select name from app_configurations").fetchall()
            done = login.execute("update profiles set config_id = %s where id = %s", [CONFIG, OTHER])
            assert done.rowcount == 1
            if role == "windsock_console":
                login.execute("update app_configurations set description = 'edited'")
                assert login.execute("select count(*) from usage_logs").fetchone() == (0,)
    finally:
        supabase.execute(f"drop role {role}_login")
    assert assigned(supabase) == {USER: None, OTHER: CONFIG}


@pytest.mark.parametrize(
    "statement",
    [
        "update profiles set username = 'x'",
        "select username from profiles",
        "insert into profiles (id) values (gen_random_uuid())",
        "delete from profiles",
        "update app_configurations set settings = '{}'",
        "select * from usage_logs",
        "select * from windsock.change_log",
    ],
)
def test_the_assigner_does_nothing_else(supabase, statement):
    supabase.execute("set role windsock_assigner")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        supabase.execute(statement)


def test_a_configuration_that_is_deleted_unassigns_users_who_may_not(supabase):
    """The foreign key's own update runs as the table's owner."""
    supabase.execute("update profiles set config_id = %s", [CONFIG])
    supabase.execute("delete from app_configurations where id = %s", [CONFIG])
    assert set(assigned(supabase).values()) == {None}


def test_where_no_role_may_bypass_row_security_policies_let_the_assigner(postgres_folder):
    with embedded.start(postgres_folder) as server, connect(server.url) as owner:
        owner.execute(SHAPE)
        owner.execute("create role migrator login createrole; alter table profiles owner to migrator")
        owner.execute("grant create on database postgres to migrator; alter schema public owner to migrator")
        with connect(f"{server.url}&user=migrator") as migrator:
            migrate(migrator, read_migrations())
        (bypasses,) = owner.execute(
            "select rolbypassrls from pg_roles where rolname = 'windsock_assigner'"
        ).fetchone()
        assert not bypasses
        owner.execute("insert into app_configurations (id, name) values (%s, 'one')", [CONFIG])
        owner.execute("insert into auth.users (id) values (%s)", [USER])
        owner.execute("set role windsock_assigner")
        assert owner.execute("select name from app_configurations").fetchall() == [
            ("experimental_v1",),
            ("one",),
        ]
        owner.execute("update profiles set config_id = %s where id = %s", [CONFIG, USER])
        assert assigned(owner) == {USER: CONFIG}


def test_an_id_may_be_a_generated_column(make_database, migrated_supabase_template):
    """The condition of a trigger before a change can't name one."""
    with connect(make_database()) as connection:
        connection.execute(
            "create table profiles"
            " (number int, id text primary key generated always as ('u' || number::text) stored)"
        )
        migrate(connection, read_migrations())
        connection.execute("insert into app_configurations (id, name) values (%s, 'one')", [CONFIG])
        connection.execute("insert into profiles (number, config_id) values (1, %s), (2, null)", [CONFIG])
        connection.execute("grant select, update on profiles to authenticated")  # the template's role
        connection.execute("set role authenticated")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="authenticated may not set config_id"):
            connection.execute("update profiles set number = 3 where id = 'u1'")
        connection.execute("update profiles set number = 3 where id = 'u2'")
        assert assigned(connection) == {"u1": CONFIG, "u3": None}
