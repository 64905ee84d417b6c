"""What our own roles may put into rows: names without control characters, and texts with an end."""

import psycopg
import pytest

from windsock.postgres.migrations import connect, migrate, read_migrations

FAULT = (
    "insert into windsock.faults (id, flag, variant, field, fingerprint, value, error, request_id)"
    " values (gen_random_uuid(), %(flag)s, %(variant)s, %(field)s, %(fingerprint)s, %(value)s, %(text)s, %(request)s)"
)
WITHDRAWAL = (
    "insert into windsock.withdrawals (flag, variant, field, fingerprint, value, reason, expires_at)"
    " values (%(flag)s, %(variant)s, %(field)s, %(fingerprint)s, %(value)s, %(text)s, now() + interval '1 hour')"
)
ROW = {
    "flag": "teacher.profile",
    "variant": "v",
    "field": "model",
    "fingerprint": "f",
    "value": '"x"',
    "text": "failed\nin two lines",
    "request": "r",
}


@pytest.fixture
def writer(database):
    with connect(database) as connection:
        connection.execute("set role windsock_writer")
        yield connection


@pytest.mark.parametrize("statement", [FAULT, WITHDRAWAL])
def test_an_ordinary_row_is_taken(writer, statement):
    assert writer.execute(statement, ROW).rowcount == 1
    long = {"value": "x" * 250_000, "text": "x" * 2000, "field": "a.b.c" * 50, "flag": "ünï.profile"}
    assert writer.execute(statement, ROW | long).rowcount == 1


@pytest.mark.parametrize("statement", [FAULT, WITHDRAWAL])
@pytest.mark.parametrize(
    "hostile",
    [
        *({name: f"a\n+++ b/{name}"} for name in ("flag", "variant", "field", "fingerprint")),
        *({name: "a\x1b[2J"} for name in ("flag", "variant", "field", "fingerprint")),
        *({name: "x" * 1000} for name in ("flag", "variant", "field", "fingerprint")),
        {"value": "x" * 1_000_000},
        {"text": "x" * 100_000},
    ],
    ids=lambda hostile: "-".join(hostile) + str(len(next(iter(hostile.values())))),
)
def test_a_hostile_row_is_refused(writer, statement, hostile):
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(statement, ROW | hostile)


@pytest.mark.parametrize("end", ["'infinity'", "now() + interval '2 days'"])
def test_a_withdrawal_ends_within_a_day(writer, end):
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(WITHDRAWAL.replace("now() + interval '1 hour'", end), ROW)
    writer.execute(WITHDRAWAL, ROW)
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(f"update windsock.withdrawals set expires_at = {end}")


UNBOUNDED = """
select c.oid::regclass::text, attname::text, format_type(atttypid, null)
from pg_catalog.pg_class c
join pg_catalog.pg_attribute a on attrelid = c.oid
where relkind in ('r', 'p') and relnamespace in ('public'::regnamespace, 'windsock'::regnamespace)
    and attnum > 0 and not attisdropped and atttypid in ('text'::regtype, 'jsonb'::regtype, 'bytea'::regtype, 'text[]'::regtype)
    and exists (
        select from pg_catalog.pg_roles r
        where starts_with(rolname, 'windsock_') and rolname <> 'windsock_definer' and (
            has_column_privilege(r.oid, c.oid, attnum, 'insert')
            or has_column_privilege(r.oid, c.oid, attnum, 'update')))
order by 1, 2
"""
NEEDED = """
select attname::text, format_type(atttypid, null)
from pg_catalog.pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped and attidentity = '' and (attnotnull or attname = 'revision')
"""
ORDINARY = {
    "text": "'x'",
    "character varying": "'x'",
    "text[]": "'{}'",
    "jsonb": "'{}'",
    "bytea": "sha256('x')",
    "uuid": "gen_random_uuid()",
    "integer": "1",
    "bigint": "1",
    "real": "0.5",
    "double precision": "0.5",
    "timestamp with time zone": "now()",
    "timestamp without time zone": "now()",
    "boolean": "true",
    "xid8": "'1'",
}
CHOSEN = {"role": "'reader'", "action": "'edit'"}
HUGE = {
    "text": "repeat('x', 20000000)",
    "text[]": "array[repeat('x', 20000000)]",
    "jsonb": "jsonb_build_object('x', repeat('x', 20000000))",
    "bytea": "convert_to(repeat('x', 20000000), 'utf8')",
}
APPLICATIONS = ("app_configurations",)  # what an application writes isn't ours to refuse


@pytest.mark.slow
def test_no_column_that_a_role_of_ours_may_write_takes_twenty_megabytes(database):
    """Compressed by another table first, so that it arrives small."""
    with connect(database) as owner:
        columns = [row for row in owner.execute(UNBOUNDED) if row[0] not in APPLICATIONS]
        assert len(columns) > 60
        taken = [f"{table}.{name}" for table, name, kind in columns if takes(owner, table, name, kind)]
    assert taken == []


def takes(owner, table, huge, kind):
    needed = dict(owner.execute(NEEDED, [table]).fetchall())
    row = {name: CHOSEN.get(name, ORDINARY[each]) for name, each in needed.items()}
    with owner.transaction(force_rollback=True):
        owner.execute(insertion(table, row))
    with owner.transaction(force_rollback=True):
        owner.execute(f"create temporary table huge as select {HUGE[kind]} as it")
        try:
            with owner.transaction():
                owner.execute(insertion(table, row | {huge: "(select it from huge)"}))
        except (psycopg.errors.CheckViolation, psycopg.errors.ProgramLimitExceeded):
            return False
    return True


def insertion(table, row):
    names = ", ".join(f'"{name}"' for name in row)
    return f"insert into {table} ({names}) values ({', '.join(row.values())})"


UNREADABLE = {
    "timestamp with time zone": ("'infinity'", "'-infinity'", "'294000-01-01'", "'4000-01-01 BC'"),
    "double precision": ("'NaN'", "'infinity'", "'-infinity'"),
    "numeric": ("'NaN'", "'infinity'", "'-infinity'", "1e9999"),
    "real": ("'NaN'", "'infinity'"),
}
WRITABLE = """
select c.oid::regclass::text, attname::text, format_type(atttypid, null)
from pg_catalog.pg_class c
join pg_catalog.pg_attribute a on attrelid = c.oid
where relkind in ('r', 'p') and relnamespace in ('public'::regnamespace, 'windsock'::regnamespace)
    and attnum > 0 and not attisdropped
    and (has_column_privilege('windsock_writer', c.oid, attnum, 'insert')
        or has_column_privilege('windsock_writer', c.oid, attnum, 'update'))
order by 1, 2
"""


def test_no_service_writes_a_moment_or_number_that_no_reader_can_read(database):
    with connect(database) as owner:
        asked, taken = 0, []
        for table, column, kind in owner.execute(WRITABLE).fetchall():
            needed = dict(owner.execute(NEEDED, [table]).fetchall())
            row = {name: CHOSEN.get(name, ORDINARY[each]) for name, each in needed.items()}
            for value in UNREADABLE.get(kind, ()):
                asked += 1
                try:
                    with owner.transaction(force_rollback=True):
                        owner.execute(insertion(table, row | {column: value}))
                    taken.append(f"{table}.{column} {value}")
                except psycopg.errors.CheckViolation:
                    pass
    assert taken == []
    assert asked >= 40


def test_what_an_older_database_has_of_them_is_gone(empty_database):
    """Faults that never get old, withdrawals that can't be lifted, and what every reader failed on."""
    migrations = read_migrations()
    before = [each.name for each in migrations].index("windsock_readable_rows")
    with connect(empty_database) as owner:
        migrate(owner, migrations[:before])
        writable = owner.execute(WRITABLE).fetchall()
        written = 0
        for table, column, kind in writable:
            needed = dict(owner.execute(NEEDED, [table]).fetchall())
            row = {name: CHOSEN.get(name, ORDINARY[each]) for name, each in needed.items()}
            for value in ("null", *UNREADABLE.get(kind, ())):
                own = {
                    name: f"'{column} {value.strip(chr(39))}'" for name in ("unit", "variant") if name in row
                }
                if value != "null" or column not in needed:
                    written += takes_it(owner, insertion(table, row | own | {column: value}))
        migrate(owner, migrations)
        left = [
            (table, column, value)
            for table, column, kind in writable
            for value in UNREADABLE.get(kind, ())
            if owner.execute(f'select 1 from {table} where "{column}" = {value} limit 1').fetchone()
        ]
        [requests] = owner.execute("select count(*) from usage_logs where latency_ms is null").fetchone()
    assert left == []
    assert written >= 40
    assert requests >= 10, "of a request with such a number, the rest stays"


def takes_it(owner, statement):
    try:
        with owner.transaction():
            owner.execute(statement)
    except psycopg.errors.CheckViolation:
        return False
    return True


DEEP, LONG = "[" * 4000 + "]" * 4000, "9" * 5000
UNREADABLE_CHANGES = (
    *("[]", "1", "null", '{"/a": 1}', '{"/a": [1]}', '{"/a": [1, 2, 3]}'),
    *('{"/a": {"b": 1, "c": 2}}', '{"a": [1, 2]}'),
    f'{{"/a": [{DEEP}, 1]}}',
    f'{{"/a": [1, {LONG}]}}',
    f'{{"": [-{LONG}, null]}}',
)
UNREADABLE_PROFILES = (
    *("[]", "1", "null", '{"settings": 1}', '{"settings": []}', '{"settings": [{}]}'),
    *(f'{{"settings": {{"a": {each}}}}}' for each in (DEEP, LONG, f"-{LONG}")),
    f'{{"{"0" * 36}": {DEEP}}}',
)
NOTE = "insert into windsock.profile_changes (action, profile, before, after, actor) values ('edit', 'warm', %s, %s, 'x')"
AUDIT = (
    "insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed)"
    " values ('x', 'teacher', 'f', 'a', 'b', '{}', %s)"
)


def test_no_assigner_writes_a_change_that_no_reader_can_read(database):
    """The console's page and `windsock profile history` read the newest rows, whoever wrote them."""
    with connect(database) as connection:
        connection.execute("set role windsock_assigner")
        for document in UNREADABLE_PROFILES:
            for both in ((document, "{}"), ("{}", document)):
                with pytest.raises(psycopg.errors.CheckViolation):
                    connection.execute(NOTE, both)
        for moment in UNREADABLE["timestamp with time zone"]:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(
                    "insert into windsock.profile_changes (action, before, after, changed_at)"
                    f" values ('assign', '{{}}', '{{}}', {moment})"
                )
        for share in UNREADABLE["real"]:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(
                    "insert into windsock.experiment_assignments"
                    " (experiment, version, unit, arm, flag, fields, allocation, profile_id, config_id)"
                    f" values ('e', 1, 'u', 'a', 'f', '{{}}', {share}, gen_random_uuid(), gen_random_uuid())"
                )
        nested = '{"settings": {"a": ' + "[" * 250 + "1" * 300 + "]" * 250 + "}}"
        for ordinary in (
            "{}",
            '{"settings": null}',
            nested,
            '{"00000000-0000-0000-0000-000000000002": null}',
        ):
            assert connection.execute(NOTE, [ordinary, ordinary]).rowcount == 1


def test_no_api_writes_a_change_that_no_reader_can_read(database):
    with connect(database) as connection:
        connection.execute(
            "insert into windsock.api_tokens (name, role, token_sha256) values ('ci', 'admin', sha256('t'))"
        )
        connection.execute("set role windsock_api")
        begin = "select windsock.begin_configuration_write(sha256('t'), 'teacher', 'f', 'a', 'b', '{}', %s)"
        for document in UNREADABLE_CHANGES:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(begin, [document])
        for ordinary in ('{"/a/b": [null, 1], "/c": [[1], [2]]}', '{"": [null, {"state": "ENABLED"}]}', "{}"):
            assert connection.execute(begin, [ordinary]).fetchone() != (None,)


def test_of_what_an_older_database_has_of_them_stays_who_and_when(empty_database):
    migrations = read_migrations()
    before = [each.name for each in migrations].index("windsock_readable_history")
    counts = "select count(*), count(*) filter (where {} = '{{}}') from windsock.{}"
    with connect(empty_database) as owner:
        migrate(owner, migrations[:before])
        good = ('{"settings": {}}', '{"/a": [1, 2]}')
        for document in (*UNREADABLE_PROFILES, good[0]):
            owner.execute(NOTE, [good[0], document])
        for document in (*UNREADABLE_CHANGES, good[1]):
            owner.execute(AUDIT, [document])
        owner.execute(
            "update windsock.profile_changes set undone_by = (select max(id) from windsock.profile_changes)"
        )
        owner.execute("update windsock.profile_changes set changed_at = 'infinity' where id = 1")
        owner.execute("update windsock.configuration_audit set requested_at = '-infinity' where id = 1")
        migrate(owner, migrations)
        profiles, audits = len(UNREADABLE_PROFILES), len(UNREADABLE_CHANGES)
        assert owner.execute(counts.format("after", "profile_changes")).fetchone() == (profiles + 1, profiles)
        audited = owner.execute(counts.format("changed", "configuration_audit")).fetchone()
        assert audited == (audits + 1, audits)
        for table in ("profile_changes", "configuration_audit"):
            assert len(owner.execute(f"select * from windsock.{table}").fetchall()) > 10


OVERSIZED = {  # what to add to an ordinary row, so that a limit on size and one on what can be read refuse it
    "public.usage_logs": (
        {"user_id": "repeat('x', 60000)", "latency_ms": "'NaN'"},
        {"values": HUGE["jsonb"], "cost": "'NaN'"},
        {"healed": HUGE["jsonb"], "recorded_at": "'infinity'"},
    ),
    "windsock.metric_events": ({"attributes": HUGE["jsonb"], "value": "'infinity'"},),
    "windsock.withdrawals": ({"variant": "e'a\\nb'", "expires_at": "'infinity'"},),
    "windsock.configuration_audit": (
        {"actor": "repeat('ü', 300)", "flag": "repeat('ü', 300)", "changed": "'[]'"},
        {"request": HUGE["jsonb"], "revision_before": "repeat('x', 300)", "changed": "'1'"},
        {"file": "repeat('ü', 5000)", "revision_after": "repeat('x', 300)", "requested_at": "'infinity'"},
    ),
    "windsock.profile_changes": (
        {"actor": "repeat('ü', 60000)", "profile": "repeat('x', 60000)", "before": "'[]'"},
        {"after": HUGE["jsonb"], "changed_at": "'infinity'"},
    ),
    "windsock.experiment_assignments": (
        {"unit": "'infinite'", "allocation": "'NaN'"},
        {"fields": HUGE["text[]"], "allocation": "'infinity'"},
    ),
}


@pytest.mark.parametrize("limits", ["windsock_bounded_rows", "windsock_least_rights"])
def test_rows_beyond_two_limits_keep_no_older_database_from_being_migrated(empty_database, limits):
    """An UPDATE that mends one of them is refused by the limit that the row was there before."""
    migrations = read_migrations()
    older = [each for each in migrations if each.name != "windsock_oversized_rows"]
    older = older[: [each.name for each in older].index(limits)]
    with connect(empty_database) as owner:
        migrate(owner, older)
        planted = 0
        for table, rows in OVERSIZED.items():
            if not owner.execute("select to_regclass(%s)", [table]).fetchone()[0]:
                continue
            needed = dict(owner.execute(NEEDED, [table]).fetchall())
            ordinary = {name: CHOSEN.get(name, ORDINARY[each]) for name, each in needed.items()}
            planted += sum(takes_it(owner, insertion(table, ordinary | row)) for row in rows)
        assert planted >= 7
        migrate(owner, migrations)
        for table in OVERSIZED:
            owner.execute(f"select * from {table}").fetchall()
