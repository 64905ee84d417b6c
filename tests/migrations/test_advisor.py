"""Supabase's database advisor has nothing to say of what the migrations and the examples make."""

import re
from pathlib import Path

import psycopg
import pytest
from tests.migrations.conftest import template

from windsock.postgres.migrations import connect, find_folder, migrate, read_migrations

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
RULES = dict(
    re.findall(r"^-- name: (\w+)\n(.*?;)\n", (HERE / "advisor.sql").read_text(), re.MULTILINE | re.DOTALL)
)


@pytest.fixture
def supabase(make_database, supabase_template):
    with connect(make_database(supabase_template)) as connection:
        yield connection


def advise(connection):
    return {
        f"{rule}: {each}"
        for rule, query in RULES.items()
        for (each,) in connection.execute(query.encode()).fetchall()
    }


@pytest.fixture(scope="module")
def complete_template(windsock_databases, migrated_supabase_template):
    """A database with everything that windsock and the examples make."""

    def fill(connection):
        ours, examples = find_folder(), EXAMPLES / "ad_learning/migrations"
        migrate(connection, [*read_migrations(ours), *read_migrations(examples)])
        for name in ("wallets", "role"):
            connection.execute((EXAMPLES / f"ai_teacher/db/{name}.sql").read_bytes())

    with template(windsock_databases, migrated_supabase_template, fill) as name:
        yield name


@pytest.fixture
def complete(make_database, complete_template):
    with connect(make_database(complete_template)) as connection:
        yield connection


def test_the_advisor_finds_nothing_that_was_not_there_before(supabase, complete):
    assert advise(complete) - advise(supabase) == set()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        "update wallets set balance = 1000000",
        """insert into pending_jobs (job_type, payload) values ('budget_change', '{"change_pct": 900}')""",
        "update learning_config set value = '{}'",
        "select * from ads",
        "select nearest_winners('{1}', 'm', 1)",
        "select is_winner(1, 1, 1, 1)",
    ],
)
def test_the_public_of_supabase_may_not(complete, role, statement):
    complete.execute(f"set role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        complete.execute(statement)


RIGHTS = """
select c.oid::regclass::text
from pg_class c
join pg_namespace n on n.oid = relnamespace
where (nspname = 'windsock' or (nspname = 'public' and relname <> 'profiles'))
    and case relkind
        when 'S' then has_sequence_privilege(%(role)s, c.oid, 'usage, select, update')
        else has_table_privilege(%(role)s, c.oid, 'select, insert, update, delete, truncate, references, trigger')
            or has_any_column_privilege(%(role)s, c.oid, 'select, insert, update, references')
    end
    and relkind in ('r', 'p', 'v', 'm', 'S')
union all
select oid::regprocedure::text from pg_proc
where pronamespace = 'windsock'::regnamespace and has_function_privilege(%(role)s, oid, 'execute')
union all
select 'schema windsock' where has_schema_privilege(%(role)s, 'windsock', 'usage, create')
order by 1
"""


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_the_public_of_supabase_has_no_right_on_anything_of_ours(complete, role):
    """No relation, column, sequence or function, also those that nobody thought of when this was written."""
    assert complete.execute(RIGHTS, {"role": role}).fetchall() == []
    complete.execute(f"grant select (unit) on windsock.exposures to {role}")
    assert complete.execute(RIGHTS, {"role": role}).fetchall() == [("windsock.exposures",)]


PLANTED = {
    "0002_auth_users_exposed": "create view v as select id from auth.users",
    "0003_auth_rls_initplan": "create policy p on profiles for delete using (auth.uid() = id)",
    "0006_multiple_permissive_policies": "create policy p on profiles for select using (id is not null)",
    "0007_policy_exists_rls_disabled": "create table t (); create policy p on t for select using (true)",
    "0009_duplicate_index": "create index on profiles (username); create index on profiles (username)",
    "0010_security_definer_view": "create view v as select 1",
    "0011_function_search_path_mutable": "create function f() returns int language sql as 'select 1'",
    "0013_rls_disabled_in_public": "create table t ()",
    "0014_extension_in_public": "create extension vector",
    "0015_rls_references_user_metadata": (
        "create policy p on profiles for delete"
        " using (current_setting('request.jwt.claims')::json ->> 'user_metadata' = '')"
    ),
    "0016_and_0017_relations_without_row_security_in_api": "create materialized view m as select 1",
    "0018_unsupported_reg_types": "create table t (f regproc)",
    "0021_fkey_to_auth_unique": (
        "alter table auth.users add unique (email); create table t (e text references auth.users (email))"
    ),
    "0023_sensitive_columns_exposed": "create table t (password text)",
    "0024_rls_policy_always_true": "create policy p on profiles for delete using (true)",
    "0026_and_0027_table_exposed": "create table t (id int)",
    "0028_and_0029_security_definer_function_executable": (
        "create function f() returns int language sql security definer as 'select 1'"
    ),
}


@pytest.mark.parametrize("rule", sorted(RULES.keys() - {"0022_extension_versions_outdated"}))
def test_each_rule_finds_what_it_is_for(supabase, rule):
    before = advise(supabase)
    supabase.execute(PLANTED[rule])
    assert any(each.startswith(rule) for each in advise(supabase) - before)
