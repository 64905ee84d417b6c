"""Attacks on the functions of a database: code that a role plants, in the hope that another role runs it.

A bait is a set of statements that a role may run, and each thing that it plants calls `pg_temp.canary()`, which says as
which role it runs. Everybody may use what is planted: the other role need not be a superuser. A move is a statement that has one of our functions run. An attack is a bait followed by a move, and
it succeeds when the canary sings as somebody else.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

PREPARE = """
create function pg_temp.canary() returns boolean language plpgsql as
$$ begin raise notice 'canary: %', current_user; return true; end $$;
create function pg_temp.canary_trigger() returns trigger language plpgsql as
$$ begin perform pg_temp.canary(); return new; end $$;
create function pg_temp.plant(statements text[]) returns void language plpgsql as $$
declare statement text;
begin
    foreach statement in array statements loop
        begin
            execute statement;
        exception when others then
            null; -- the role may not
        end;
    end loop;
end $$;
"""

# The types that a body could name without a schema.
TYPES = (
    "bool",
    "bytea",
    "float8",
    "int4",
    "int8",
    "interval",
    "jsonb",
    "name",
    "numeric",
    "oid",
    "regclass",
    "text",
    "timestamptz",
    "trigger",
    "uuid",
    "varchar",
    "void",
)

# The columns of all our tables together, so that one temporary table can pass for each of them.
COLUMNS = {
    "id": "uuid",
    "config_id": "uuid",
    "user_id": "text",
    "name": "text",
    "settings": "jsonb",
    "is_active": "bool",
    "changed_table": "text",
    "row_id": "text",
    "flag": "text",
    "variant": "text",
    "field": "text",
    "lifted_at": "timestamptz",
    "role": "text",
    "token_sha256": "bytea",
    "revoked_at": "timestamptz",
    "written_at": "timestamptz",
    "key": "text",
    "value": "jsonb",
    "job_type": "text",
    "payload": "jsonb",
    "raw_data": "jsonb",
    "ad_id": "text",
    "ctr": "float8",
    "impressions": "int8",
    "created_at": "timestamptz",
    "model": "text",
    "dimension": "int4",
    "embedding": "float8[]",
}
TRANSITIONS = ("old_rows", "new_rows")

OPERATORS = tuple(
    (operator, left, right)
    for operator, (left, right) in itertools.product(
        ("=", "<>", "<", "<=", ">", ">=", "||", "->", "->>", "+", "-", "*", "/", "~~", "~"),
        (
            ("uuid", "uuid"),
            ("text", "text"),
            ("bytea", "bytea"),
            ("int4", "int8"),
            ("int8", "int8"),
            ("float8", "float8"),
            ("xid8", "xid8"),
            ("timestamptz", "timestamptz"),
            ("timestamptz", "interval"),
            ("jsonb", "text"),
            ("oid", "oid"),
        ),
    )
)
FUNCTIONS = (
    "now()",
    "floor(float8)",
    "length(text)",
    "left(text, int4)",
    "jsonb_typeof(jsonb)",
    "pg_notify(text, text)",
    "sha256(bytea)",
    "gen_random_uuid()",
    "uuid_send(uuid)",
    "cardinality(float8[])",
    "sqrt(float8)",
)


@dataclass(frozen=True, slots=True)
class Bait:
    """What a role plants. A statement that the role may not run is left out, and the others are planted all the same."""

    name: str
    statements: tuple[str, ...]
    moves: tuple[str, ...] = ()


@dataclass(slots=True)
class Outcome:
    """How the attacks went: how many had a statement run or refused, and which ones were successful."""

    attacks: int = 0
    successes: list[str] = field(default_factory=list)


def types() -> Bait:
    """Domains in the temporary schema that are named like PostgreSQL's own types."""
    statements = [
        f'create domain pg_temp."{name}" as pg_catalog."{name}" check (pg_temp.canary())' for name in TYPES
    ]
    return Bait("types", tuple(statements))


def relations(names: Iterable[str], schema: str) -> Iterator[Bait]:
    """Tables and views named like ours and like the transition tables, with code wherever a table can have some."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    defaults = ", ".join(
        f'"{name}" {kind} default case when pg_temp.canary() then null end' for name, kind in COLUMNS.items()
    )
    values = ", ".join(
        f'case when pg_temp.canary() then null::pg_catalog.{kind} end as "{name}"'
        for name, kind in COLUMNS.items()
    )
    tables = tuple(names)
    kinds = {
        "defaults": ["create table {} (" + defaults + ")"],
        "checks": ["create table {} (" + columns + ", check (pg_temp.canary()))"],
        "rules": [
            "create table {} (" + columns + ")",
            *(
                f"create rule bait_{event} as on {event} to {{}} do also select pg_temp.canary()"
                for event in ("insert", "update", "delete")
            ),
        ],
        "triggers": [
            "create table {} (" + columns + ")",
            (
                "create trigger bait before insert or update or delete on {} for each row"
                " execute function pg_temp.canary_trigger()"
            ),
        ],
        "views": ["create view {} as select " + values],
    }
    for kind, templates in kinds.items():
        templates.append("grant all on {} to public")
        statements = [each.format(f'{schema}."{table}"') for table in tables for each in templates]
        yield Bait(f"relations in {schema}: {kind}", (*path(schema), *statements))


def operators(schema: str) -> Iterator[Bait]:
    """Functions and operators like PostgreSQL's own, and each operator alone.

    Before PostgreSQL 18 a function in SQL is parsed whole before its first statement runs, and some of the operators
    together are an error there: a row comparison needs one that an index could use.
    """
    planted: dict[str, list[str]] = {}
    for operator, left, right in OPERATORS:
        function = f'{schema}."op {operator}"(pg_catalog.{left}, pg_catalog.{right})'
        planted.setdefault(operator, []).extend(
            (
                f"create function {function} returns boolean language sql as 'select pg_temp.canary()'",
                (
                    f'create operator {schema}.{operator} (function = {schema}."op {operator}",'
                    f" leftarg = pg_catalog.{left}, rightarg = pg_catalog.{right})"
                ),
            )
        )
    functions = [
        f"create function {schema}.{signature} returns boolean language sql as 'select pg_temp.canary()'"
        for signature in FUNCTIONS
    ]
    all_of_them = (*itertools.chain(*planted.values()), *functions)
    yield Bait(f"operators and functions in {schema}", (*path(schema), *all_of_them))
    if schema == "pg_temp":  # PostgreSQL never looks for an operator there
        return
    for operator, statements in planted.items():
        yield Bait(f"the operator {operator} in {schema}", (*path(schema), *statements))


def path(schema: str) -> list[str]:
    return [f"set local search_path = {schema}, pg_temp, pg_catalog"]


def attached(functions: Iterable[str], schema: str) -> Iterator[Bait]:
    """Our trigger functions on a table of the role's own, with and without transition tables, and with odd types."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    odd = ", ".join(f'"{name}" pg_temp.odd' for name in COLUMNS)
    values = ", ".join(
        f'case when pg_temp.canary() then null::pg_catalog.{kind} end as "{name}"'
        for name, kind in COLUMNS.items()
    )
    views = [f"create view pg_temp.{name} as select {values}" for name in TRANSITIONS]
    views += [f"grant all on pg_temp.{name} to public" for name in TRANSITIONS]
    casts = [
        "create type pg_temp.odd as (value text)",
        *(
            part
            for kind in ("text", "uuid", "jsonb", "bool", "float8", "int8", "timestamptz")
            for part in (
                (
                    f"create function pg_temp.to_{kind}(pg_temp.odd) returns pg_catalog.{kind} language sql as"
                    f" 'select case when pg_temp.canary() then null::pg_catalog.{kind} end'"
                ),
                f"create cast (pg_temp.odd as pg_catalog.{kind}) with function pg_temp.to_{kind} as implicit",
            )
        ),
    ]
    bait = f"{schema}.profiles"
    moves = (
        f"insert into {bait} (id) values (null)",
        f"update {bait} set id = null",
        f"delete from {bait}",
        f"truncate {bait}",
    )
    shapes = {
        "temporary views as transition tables": (
            f"create table {bait} ({columns})",
            *(trigger(bait, event, "") for event in TRANSITIONS_OF),
            *views,
        ),
        "types with casts of the role's own": (
            *casts,
            f"create table {bait} ({odd})",
            *(trigger(bait, event, transition) for event, transition in TRANSITIONS_OF.items()),
        ),
    }
    for function, (shape, statements) in itertools.product(functions, shapes.items()):
        planted = [each.replace("FUNCTION", function) for each in statements]
        planted.insert(-1, f"insert into {bait} (id) values (null)")
        yield Bait(f"{function} attached in {schema}, {shape}", tuple(planted), moves)


TRANSITIONS_OF = {
    "insert": "referencing new table as new_rows",
    "update": "referencing old table as old_rows new table as new_rows",
    "delete": "referencing old table as old_rows",
    "truncate": "",
}


def trigger(table: str, event: str, transition: str) -> str:
    return (
        f"create trigger bait_{event} after {event} on {table} {transition}"
        " for each statement execute function FUNCTION()"
    )


def run(connection: psycopg.Connection, role: str, baits: Iterable[Bait], moves: Iterable[str]) -> Outcome:
    """Run each bait with each move as a role, undoing everything after each.

    Args:
        connection: A superuser's, in autocommit mode.
        role: Who attacks.
        baits: What is planted.
        moves: What is run after each bait that has no moves of its own.
    """
    outcome = Outcome()
    heard: list[str] = []
    connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    shared = tuple(moves)
    for bait in baits:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("set local session authorization {}").format(sql.Identifier(role)))
            connection.execute(PREPARE)
            connection.execute("select pg_temp.plant(%s)", [list(bait.statements)])
            for move in bait.moves or shared:
                heard.clear()
                connection.execute("savepoint move")
                with contextlib.suppress(psycopg.Error):
                    connection.execute(move)
                connection.execute("rollback to savepoint move")
                outcome.attacks += 1
                others = {line for line in heard if line.startswith("canary: ")} - {f"canary: {role}"}
                if others:
                    outcome.successes.append(f"{role}: {bait.name}: {move}: {', '.join(sorted(others))}")
    return outcome
