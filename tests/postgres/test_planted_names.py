"""What somebody puts into `public` is never taken for PostgreSQL's own.

Up to PostgreSQL 14, and in a database that was upgraded from it, every role may create in `public`. A function that is
called without its schema, or an operator between two types, is the one that fits its arguments best, in whatever schema
of the path it is: a stranger's code would run as whoever asks.
"""

import re
from pathlib import Path

import pglast
import psycopg
import pytest
from pglast.visitors import Visitor
from psycopg import sql

import windsock
from windsock.postgres.migrations import connect, inspect, migrate, read_migrations
from windsock.postgres.queries import load_queries
from windsock.postgres.roles import missing_roles

PACKAGE = Path(windsock.__file__).parent
QUERIES = {
    f"{path.relative_to(PACKAGE)}: {name}": query.decode()
    for path in sorted(PACKAGE.rglob("*.sql"))
    for name, query in load_queries(
        ".".join(("windsock", *path.relative_to(PACKAGE).parent.parts)), path.name
    ).items()
}
FILLED = {
    "{attributes}": "jsonb_build_object()",
    "{id_type}": "uuid",
    "{key}": "id",
    "{part}": "u.flag",
    "{shards}": "100::bigint",
    "{type}": "uuid",
}
TYPES = (
    *("text", "varchar", "name", "uuid", "jsonb", "int2", "int4", "int8", "numeric", "float8", "timestamptz"),
    *("interval", "bytea", "bool", "oid", "regclass", "regnamespace", "text[]"),
)
OPERATORS = (
    *("=", "<>", "<", ">", "<=", ">=", "||", "+", "-", "*", "/", "%", "->", "->>", "@>", "~", "~~", "!~~"),
    *("?", "?|", "?&", "<<", "|"),
)
PLANT = """
do $$
declare
    l text; r text; o text;
begin
    foreach l in array {types}::text[] loop
        foreach r in array {types}::text[] loop
            execute format(
                'create function public.planted(%s, %s) returns boolean language plpgsql as'
                ' ''begin raise notice ''''canary: %%'''', current_user; return false; end''', l, r
            );
            foreach o in array {operators}::text[] loop
                if not exists (select from pg_operator where oprname = o and oprleft = l::regtype
                                   and oprright = r::regtype and oprnamespace = 'pg_catalog'::regnamespace) then
                    execute format(
                        'create operator public.%s (function = public.planted, leftarg = %s, rightarg = %s)', o, l, r
                    );
                end if;
            end loop;
        end loop;
    end loop;
end
$$
"""
FUNCTIONS = """
create function public.hashtextextended(text, integer) returns bigint language plpgsql as
$$ begin raise notice 'canary: %', current_user; return 1; end $$;
create function public.format_type(oid, text) returns text language plpgsql as
$$ begin raise notice 'canary: %', current_user; return ''; end $$;
"""


# Operators that PostgreSQL has too: they come first only where the path names public before pg_catalog.
IN_FRONT = """
create function public.joined(text, text) returns text language plpgsql as
$$ begin raise notice 'canary: %', current_user; return 'joined'; end $$;
create operator public.|| (function = public.joined, leftarg = text, rightarg = text);
do $$
declare
    t text; o text;
begin
    foreach t in array array['text', 'name', 'oid', 'bool', 'int4', 'int8', '"char"'] loop
        execute format(
            'create function public.in_front(%s, %s) returns boolean language plpgsql as'
            ' ''begin raise notice ''''canary: %%'''', current_user; return false; end''', t, t
        );
        foreach o in array array['=', '<>', '<', '>'] loop
            execute format(
                'create operator public.%s (function = public.in_front, leftarg = %s, rightarg = %s)', o, t, t
            );
        end loop;
    end loop;
end
$$
"""


def plant(connection):
    connection.execute(
        sql.SQL(PLANT).format(types=sql.Literal(list(TYPES)), operators=sql.Literal(list(OPERATORS)))
    )


class _Calls(Visitor):
    def __init__(self) -> None:
        self.bare: list[str] = []

    def visit_FuncCall(self, _parents, node) -> None:  # noqa: N802 - pglast's name
        several = (
            node.funcname[-1].sval == "unnest" and len(node.args) > 1
        )  # PostgreSQL's grammar, not a name
        if len(node.funcname) == 1 and not several:
            self.bare.append(node.funcname[0].sval)


def numbered(query):
    """A query with numbers in place of named parameters, and with each part that Python fills in."""
    names = list(dict.fromkeys(re.findall(r"%\(\w+\)s", query)))
    for number, name in enumerate(names, 1):
        query = query.replace(name, f"${number}")
    count = iter(range(len(names) + 1, 100))
    query = re.sub(r"%s(?!\w)", lambda _: f"${next(count)}", query)
    table = (
        "public.profiles" if "as unit" in query else f"public.learning_config{'_units' * ('unit' in query)}"
    )
    for name, text in {**FILLED, "{table}": table}.items():
        query = query.replace(name, text)
    return query.replace("%%", "%")


@pytest.mark.parametrize("name", QUERIES)
def test_each_function_is_called_with_its_schema(name):
    calls = _Calls()
    calls(pglast.parse_sql(numbered(QUERIES[name]).replace("jsonb_build_object()", "1")))
    assert calls.bare == []


@pytest.mark.slow
def test_no_operator_is_a_planted_one(make_database, migrated_template):
    """The planner is asked as a role that may run none of the planted functions."""
    with connect(make_database(migrated_template)) as connection:
        if connection.info.server_version < 160000:
            pytest.skip("this PostgreSQL can't plan a query without its parameters")
        plant(connection)
        stages = [query for name, query in QUERIES.items() if "usage/" in name and ": stage" in name]
        asked, refused = 0, []
        connection.execute("create role asking bypassrls")
        try:
            connection.execute(
                "grant usage on schema public, windsock, supabase_migrations to asking;"
                "grant all on all tables in schema public, windsock, supabase_migrations to asking;"
                "grant execute on all functions in schema windsock to asking;"
                "revoke execute on all functions in schema public from public; set role asking"
            )
            for stage in stages:
                connection.execute(stage.replace("ON COMMIT DROP", "").encode())
            for name, query in QUERIES.items():
                text = re.sub(r"^(--.*\n)+", "", numbered(query))
                text = re.sub(r"^copy \((.*)\) to stdout;$", r"\1", text, flags=re.DOTALL)
                if not re.match(r"(?i)(with|select|insert|update|delete)\b", text):
                    continue
                try:
                    connection.execute(b"explain (generic_plan) " + text.encode())
                except psycopg.Error as error:
                    refused.append(f"{name}: {error}")
                asked += 1
        finally:
            connection.execute("reset role; drop owned by asking; drop role asking")
    assert not refused, "\n".join(refused)
    assert asked >= 100


@pytest.mark.slow
@pytest.mark.parametrize("path", ['"$user", public', "public, pg_catalog"], ids=["default", "public first"])
def test_who_migrates_runs_no_code_of_a_role_that_may_create_in_public(empty_database, path):
    heard = []
    with connect(empty_database) as connection:
        connection.execute("create role planter; grant create on schema public to planter; set role planter")
        plant(connection)
        connection.execute(FUNCTIONS)
        connection.execute(IN_FRONT)
        connection.execute("reset role")
        change = sql.SQL("alter database {} set search_path = {}")
        connection.execute(change.format(sql.Identifier(connection.info.dbname), sql.SQL(path)))
    with connect(empty_database) as connection:
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
        try:
            migrations = read_migrations()
            assert migrate(connection, migrations)
            assert not migrate(connection, migrations)
            inspect(connection, migrations)
            missing_roles(connection)
        finally:
            connection.execute("reset role; drop owned by planter cascade; drop role planter")
    assert [each for each in heard if each.startswith("canary")] == []


def test_an_applications_migration_runs_with_the_path_of_its_database(empty_database, tmp_path):
    asked = "as select current_setting('search_path')"
    (tmp_path / "1_windsock_ours.sql").write_text(f"create table public.ours {asked}")
    (tmp_path / "2_theirs.sql").write_text(f"create table theirs {asked}")
    with connect(empty_database) as connection:
        change = sql.SQL("create schema app; alter database {} set search_path = app, public")
        connection.execute(change.format(sql.Identifier(connection.info.dbname)))
    with connect(empty_database) as connection:
        migrate(connection, read_migrations(tmp_path))
        assert connection.execute("table public.ours").fetchone() == ("pg_catalog, pg_temp",)
        assert connection.execute("table app.theirs").fetchone() == ("app, public",)
