"""Every role that isn't the owner, against every function that exists: nobody's code runs as anybody else."""

import itertools
import uuid
from pathlib import Path

import pytest
from psycopg import sql
from tests.migrations import attacks
from tests.migrations.conftest import SHAPE

from windsock.errors import MigrationError
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations

OWN = read_migrations()
AD_LEARNING = read_migrations(Path(__file__).parents[2] / "examples/ad_learning/migrations")
# As far as functions could be turned against their owner.
SUPERSEDED = [
    *(each for each in OWN if each.version < "20260222000022"),
    *(each for each in AD_LEARNING if each.version < "20260301000007"),
]
CONFIG = str(uuid.UUID(int=1))

APPLICATIONS = {
    "attack_column": ["grant select, update (config_id) on profiles to attack_column"],
    "attack_tables": ["grant all on profiles, app_configurations to attack_tables"],
    "attack_nobody": [],
}
ROLES = (
    *(
        "windsock_writer",
        "windsock_mirror",
        "windsock_api",
        "windsock_analyst",
        "windsock_assigner",
        "windsock_console",
        "windsock_pruner",
        "anon",
        "authenticated",
    ),
    *(f"ad_learning_{part}" for part in ("api", "learner", "indexer", "executor", "celery")),
    *APPLICATIONS,
)

FUNCTIONS = """
select p.oid::regprocedure::text, p.oid::regproc::text, prorettype = 'trigger'::regtype
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = pronamespace
where nspname in ('windsock', 'public')
    and proname not in ('handle_new_user')
    and not exists (select from pg_catalog.pg_depend where objid = p.oid and deptype = 'e')
order by 1
"""
TABLES = """
select distinct relname from pg_catalog.pg_class
where relkind in ('r', 'v') and relnamespace in ('public'::regnamespace, 'windsock'::regnamespace) order by 1
"""
TRIGGERS = """
select distinct tgrelid::regclass::text
from pg_catalog.pg_trigger where not tgisinternal and tgrelid <> 'auth.users'::regclass
"""

MOVES = {
    "profiles": (
        "insert into public.profiles (id, config_id) values ('00000000-0000-0000-0000-000000000002', null)",
        f"update public.profiles set config_id = '{CONFIG}'",
        "update public.profiles set config_id = null",
        "delete from public.profiles",
        "truncate public.profiles cascade",
    ),
    "app_configurations": (
        "insert into public.app_configurations (name) values ('another')",
        "update public.app_configurations set settings = '{\"temperature\": 1}'",
        "delete from public.app_configurations",
        "truncate public.app_configurations cascade",
    ),
    "windsock.withdrawals": (
        (
            "insert into windsock.withdrawals (flag, variant, field, fingerprint, reason, expires_at)"
            f" values ('teacher.profile', '{CONFIG}', 'temperature', 'f', '', now() + interval '1 hour')"
        ),
        "update windsock.withdrawals set lifted_at = null",
    ),
    "ads": (
        (
            "insert into public.ads (ad_id, campaign_id, ctr, impressions, raw_data, created_at)"
            """ values ('ad', 'c', 0.5, 5000, '{"roas": 9}', '2000-01-01')"""
        ),
        "update public.ads set impressions = 9000",
    ),
}
CALLS = {
    "windsock.api_token(bytea)": "select * from windsock.api_token('\\x00')",
    "windsock.end_configuration_write(bigint)": "select windsock.end_configuration_write(1)",
    "windsock.hashed_user_id(text,bytea)": "select windsock.hashed_user_id('ada', 'key')",
    "windsock.configuration_changes(bytea,text,bigint,integer)": (
        "select windsock.configuration_changes('\\x00', 'f', null, 1)"
    ),
    "windsock.begin_configuration_write(bytea,text,text,text,text,jsonb,jsonb)": (
        "select windsock.begin_configuration_write('\\x00', 'f', 'f', '', '', '{}', '{}')"
    ),
    "windsock.wake_mirror()": "select windsock.wake_mirror()",
    "windsock.cut_log(interval,bigint)": "select windsock.cut_log('0', 10)",
    "json_to_double(jsonb)": "select public.json_to_double('1')",
    "learning_value(text,text)": "select public.learning_value('winner_detection', 'c')",
    "get_winner_threshold(text,text)": "select public.get_winner_threshold('ctr_threshold')",
    "is_feature_enabled(text,text)": "select public.is_feature_enabled('rag_auto_indexing')",
    "is_winner(double precision,double precision,integer,bigint,text)": (
        "select public.is_winner(1, 1, 100, 9000, 'c')"
    ),
    "likeness(extensions.vector,double precision[])": "select public.likeness(embedding, '{1}') from public.winner_index",
    "nearest_winners(double precision[],text,integer)": "select * from public.nearest_winners('{1}', 'm', 1)",
}
SCHEMAS = ("pg_temp", "lair")


@pytest.fixture
def attacked(empty_database):
    """Prepare a database shaped like Supabase's: with one user, one configuration and the attackers' roles."""
    with connect(empty_database) as connection:
        connection.execute(SHAPE)
        connection.execute("create schema lair; grant all on schema lair to public")
        yield connection
        connection.execute("reset session authorization")
        for role in APPLICATIONS:
            connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(role)))


def prepare(connection, migrations):
    migrate(connection, migrations)
    populate(connection)


def populate(connection):
    user = str(uuid.UUID(int=3))
    connection.execute("insert into auth.users (id) values (%s)", [user])
    connection.execute("insert into app_configurations (id, name) values (%s, 'one')", [CONFIG])
    connection.execute("update profiles set config_id = %s", [CONFIG])
    connection.execute(MOVES["windsock.withdrawals"][0])
    connection.execute(MOVES["ads"][0])
    connection.execute("insert into winner_index values ('ad', 'm', 1, '{1}'::float8[])")
    connection.execute("delete from pending_jobs")
    connection.execute(
        'drop policy "own profile" on profiles; create policy everybody on profiles using (true)'
    )
    for role, grants in APPLICATIONS.items():
        connection.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
        connection.execute("".join(f"{grant};" for grant in grants))


def attack(connection, role):
    functions = connection.execute(FUNCTIONS).fetchall()
    triggers = [name for _, name, is_trigger in functions if is_trigger]
    tables = [name for (name,) in connection.execute(TABLES)]
    baits = [attacks.types()]
    for schema in SCHEMAS:
        baits += attacks.relations([*tables, *attacks.TRANSITIONS], schema)
        baits += attacks.operators(schema)
        baits += attacks.attached(triggers, schema)
    return attacks.run(connection, role, baits, [*itertools.chain(*MOVES.values()), *CALLS.values()])


def test_every_function_is_attacked(attacked):
    """A new function or trigger must get its move, or the attacks would leave it out."""
    prepare(attacked, [*OWN, *AD_LEARNING])
    functions = attacked.execute(FUNCTIONS).fetchall()
    assert {signature for signature, _, is_trigger in functions if not is_trigger} == CALLS.keys()
    assert {table for (table,) in attacked.execute(TRIGGERS)} == MOVES.keys()
    assert len(functions) >= 10


@pytest.mark.parametrize("role", ROLES)
def test_no_role_runs_code_as_another(attacked, role, record_property):
    prepare(attacked, [*OWN, *AD_LEARNING])
    outcome = attack(attacked, role)
    record_property("attacks", outcome.attacks)
    assert outcome.successes == []
    assert outcome.attacks >= 250


def test_a_function_that_lost_its_search_path_is_found(attacked):
    """The attacks find what they are for: `cut_log` compares with operators that it doesn't qualify."""
    prepare(attacked, [*OWN, *AD_LEARNING])
    attacked.execute("alter function windsock.cut_log(interval, bigint) reset search_path")
    assert any("cut_log" in each for each in attack(attacked, "windsock_mirror").successes)


@pytest.mark.parametrize("role", ["windsock_writer", "attack_tables"])
def test_a_granted_right_to_execute_is_not_enough(attacked, role):
    """Supabase's pages tell how to grant all routines of a schema; a function refuses every table but its own."""
    prepare(attacked, [*OWN, *AD_LEARNING])
    name = sql.Identifier(role)
    attacked.execute(sql.SQL("grant usage on schema windsock to {}").format(name))
    attacked.execute(sql.SQL("grant execute on all functions in schema windsock to {}").format(name))
    assert attack(attacked, role).successes == []


@pytest.mark.parametrize(
    ("role", "way"),
    [
        ("windsock_writer", "temporary views as transition tables"),
        ("windsock_writer", "types with casts"),
        ("windsock_api", "types: select * from windsock.api_token"),
        ("attack_column", "types: update public.profiles set config_id"),
        ("authenticated", "types: update public.profiles set config_id"),
        ("ad_learning_learner", "types: update public.ads"),
    ],
)
def test_the_attacks_succeed_on_the_superseded_functions(attacked, role, way):
    prepare(attacked, SUPERSEDED)
    owner = attacked.info.user
    successes = attack(attacked, role).successes
    assert any(way in each and each.endswith(f"canary: {owner}") for each in successes), successes


OWNED = """
select coalesce(string_agg(pg_describe_object(classid, objid, objsubid), ', '), '')
from pg_shdepend
where refobjid = 'windsock_definer'::regrole and deptype = 'o'
    and (classid <> 'pg_proc'::regclass
        or objid not in (select oid from pg_proc where pronamespace = 'windsock'::regnamespace))
    and dbid = (select oid from pg_database where datname = current_database())
"""
EXECUTABLE_BY_PUBLIC = """
select oid::regprocedure::text from pg_proc
where pronamespace in ('windsock'::regnamespace, 'public'::regnamespace) and proname <> 'handle_new_user'
    and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')
    and (proacl is null or exists (select from aclexplode(proacl) where grantee in (0, 'anon'::regrole, 'authenticated'::regrole)))
"""
LOOSE = """
select oid::regprocedure::text from pg_proc
where pronamespace = 'windsock'::regnamespace
    and (proowner <> 'windsock_definer'::regrole
        or not coalesce('search_path=pg_catalog, pg_temp' = any(proconfig), false))
"""


def test_functions_belong_to_a_role_that_owns_nothing_else_and_public_executes_none(attacked):
    prepare(attacked, [*OWN, *AD_LEARNING])
    assert attacked.execute(LOOSE).fetchall() == []
    assert attacked.execute(EXECUTABLE_BY_PUBLIC).fetchall() == []
    assert attacked.execute(OWNED).fetchone() == ("",)
    role = attacked.execute(
        "select rolsuper, rolcanlogin, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
        " from pg_roles where rolname = 'windsock_definer'"
    )
    assert role.fetchone() == (False,) * 6
    assert attacked.execute(
        "select count(*) from pg_auth_members where 'windsock_definer'::regrole in (roleid, member)"
    ).fetchone() == (0,)
    assert attacked.execute(
        "select has_schema_privilege('windsock_definer', 'windsock', 'create')"
    ).fetchone() == (False,)


@pytest.mark.parametrize(
    ("preparation", "problem"),
    [
        ("alter role windsock_definer login", "has rights that it must not have"),
        ("alter role windsock_definer createrole", "has rights that it must not have"),
        ("grant attack_column to windsock_definer", "has rights that it must not have"),
        ("grant windsock_definer to attack_column", "other roles can act as windsock_definer: attack_column"),
    ],
)
def test_a_role_prepared_by_someone_else_is_refused(attacked, preparation, problem):
    attacked.execute("do $$ begin create role windsock_definer; exception when duplicate_object then end $$")
    prepare(attacked, SUPERSEDED)
    attacked.execute(preparation)
    try:
        with pytest.raises(MigrationError, match=problem):
            migrate(attacked, [*OWN, *AD_LEARNING])
    finally:
        attacked.execute("alter role windsock_definer nologin nocreaterole")
        attacked.execute(
            "revoke attack_column from windsock_definer; revoke windsock_definer from attack_column"
        )


CANARY = """
create function public.canary() returns trigger language plpgsql as
$$ begin raise notice 'canary: %', current_user; return new; end $$;
create trigger canary before insert on {0} for each row execute function public.canary();
"""
CONFIGURATIONS = """
create table public.app_configurations (
    id uuid primary key, name text unique, description text, settings jsonb, is_active boolean, created_at timestamptz,
    updated_at timestamptz)
"""
USAGE = """
create table public.usage_logs (
    id uuid primary key, requested_at timestamptz, user_id text, request_id text, environment text, flag text,
    variant text, config_id uuid, revision text, reason text, "values" jsonb, healed jsonb, latency_ms float8,
    input_tokens bigint, output_tokens bigint, cost numeric, trace_id text)
"""
LEDGER = """
create schema supabase_migrations;
create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)
"""

PROFILES = """
create type public.odd as (value text);
create function public.canary(public.odd) returns text language plpgsql as
$$ begin raise notice 'canary: %', current_user; return 'x'; end $$;
create cast (public.odd as text) with function public.canary as implicit;
create table public.profiles (id public.odd primary key, config_id uuid)
"""


@pytest.mark.parametrize(
    ("made", "table"),
    [
        (CONFIGURATIONS, "public.app_configurations"),
        (USAGE, "public.usage_logs"),
        ("create table public.learning_config (key text primary key, value jsonb)", "public.learning_config"),
        (LEDGER, "supabase_migrations.schema_migrations"),
        ("create schema windsock", None),
        (PROFILES, None),
    ],
    ids=["configurations", "usage", "base values", "ledger", "schema", "profiles"],
)
def test_what_someone_else_planted_under_a_name_of_ours_is_refused(empty_database, made, table):
    """Whoever owns a table has their code run as everybody who writes to it, here as who migrates."""
    heard = []
    with connect(empty_database) as connection:
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
        connection.execute("create role planter")
        try:
            database = sql.Identifier(connection.info.dbname)
            connection.execute(sql.SQL("grant create on database {} to planter").format(database))
            connection.execute("grant create, usage on schema public to planter")
            connection.execute("set role planter")
            connection.execute(made)
            if table is not None:
                connection.execute(CANARY.format(table))
            connection.execute("reset role")
            with pytest.raises(MigrationError, match=r"belongs to planter.*Nothing was changed"):
                migrate(connection, OWN)
            assert connection.execute("select to_regclass('windsock.change_log')").fetchone() == (None,)
            assert [each for each in heard if each.startswith("canary")] == []
        finally:
            connection.execute("reset role")
            connection.execute("drop owned by planter cascade; drop role planter")


def test_a_database_that_was_migrated_earlier_is_mended(attacked):
    prepare(attacked, SUPERSEDED)
    assert attack(attacked, "attack_column").successes
    migrate(attacked, [*OWN, *AD_LEARNING])
    assert attack(attacked, "attack_column").successes == []


def test_a_migrating_role_without_superuser_gives_the_functions_away_too(postgres_folder):
    """As on Supabase, where `postgres` may create roles and is no superuser. Roles belong to a whole server."""
    with embedded.start(postgres_folder) as server, connect(server.url) as owner:
        owner.execute(SHAPE)
        owner.execute("create schema lair; grant all on schema lair to public")
        owner.execute("create role migrator login createrole bypassrls")
        if owner.info.server_version < 160000:  # only a superuser makes a role with BYPASSRLS
            owner.execute("create role windsock_mirror bypassrls")
        owner.execute("alter table profiles owner to migrator")
        owner.execute("grant create on database postgres to migrator; alter schema public owner to migrator")
        with connect(f"{server.url}&user=migrator") as migrator:
            migrate(migrator, [*OWN, *AD_LEARNING])
        populate(owner)
        assert owner.execute(LOOSE).fetchall() == []
        for role in ("attack_column", "windsock_writer"):
            assert attack(owner, role).successes == []
        with connect(f"{server.url}&user=migrator") as migrator:  # a later migration replaces a function
            (text,) = migrator.execute(
                "select pg_get_functiondef('windsock.log_truncate()'::regprocedure)"
            ).fetchone()
            migrator.execute(text)
        assert owner.execute(LOOSE).fetchall() == []
        assert owner.execute(EXECUTABLE_BY_PUBLIC).fetchall() == []


def test_a_migrating_role_that_may_not_create_roles_keeps_functions_that_hold_all_the_same(postgres_folder):
    with embedded.start(postgres_folder) as server, connect(server.url) as owner:
        owner.execute(SHAPE)
        owner.execute("create schema lair; grant all on schema lair to public")
        owner.execute("create role migrator login; alter table profiles owner to migrator")
        owner.execute("grant create on database postgres to migrator; alter schema public owner to migrator")
        warnings = []
        with connect(f"{server.url}&user=migrator") as migrator:
            migrator.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
            migrate(migrator, [*OWN, *AD_LEARNING])
        assert any("the role windsock_definer was not created" in each for each in warnings)
        populate(owner)
        assert owner.execute(EXECUTABLE_BY_PUBLIC).fetchall() == []
        assert attack(owner, "attack_column").successes == []
