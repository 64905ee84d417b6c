"""`windsock prune` and `windsock forget` as programs, on a real database, as the role that may."""

import contextlib
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.flagfiles import write_flags
from tests.waiting import eventually

from windsock.errors import DatabaseUnfitError
from windsock.healing.postgres_board import PostgresBoard
from windsock.healing.quarantine import Fault, Outbox
from windsock.postgres.migrations import migrate, read_migrations
from windsock.postgres.queries import load_queries
from windsock.postgres.retention import FORGOTTEN, PRUNED, forget, prune
from windsock.usage import hashed_user_id
from windsock.usage.data import Arm, Event, Measured, Pending, Use, stored_user_id, stored_user_ids
from windsock.usage.making_rows import clean, clean_event, clean_exposure
from windsock.usage.postgres import PostgresSink

WINDSOCK = Path(sys.executable).parent / "windsock"
OLD = datetime.now(UTC) - timedelta(days=100)
NEW = datetime.now(UTC) - timedelta(days=10)
ANN, BOB = (str(uuid.UUID(int=number)) for number in (1, 2))
KEY = "secret"


@pytest.fixture
def pruner(postgres):
    name = f"retention_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create role {name} login in role windsock_pruner")
    return name


@pytest.fixture
def run(database, pruner, tmp_path):
    def call(*arguments, user=pruner, expect=0, **variables):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WINDSOCK")}
        environment = clean | {"DATABASE_URL": make_conninfo(database, user=user)} | variables
        done = subprocess.run(
            [WINDSOCK, *arguments], capture_output=True, text=True, env=environment, check=False, cwd=tmp_path
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


@pytest.fixture
def tables(database):
    with psycopg.connect(database, autocommit=True) as connection:
        for table in ("profiles", "usage_logs"):  # as on Supabase
            connection.execute(f"alter table {table} enable row level security")
        yield connection


def rows(connection, table, column):
    return sorted(str(value) for (value,) in connection.execute(f"select {column} from {table}"))


def request(connection, user, when, request_id=None):
    connection.execute(
        "insert into usage_logs (id, requested_at, user_id, request_id, environment, flag)"
        " values (gen_random_uuid(), %s, %s, %s, 'test', 'teacher')",
        [when, user, request_id or f"{user} {when:%m-%d}"],
    )


def event(connection, user, when, unit=None, request_id=None):
    connection.execute(
        "insert into windsock.metric_events (id, name, user_id, occurred_at, environment, unit, request_id)"
        " values (gen_random_uuid(), 'liked', %s, %s, 'test', %s, %s)",
        [user, when, unit, request_id],
    )


def exposure(connection, experiment, unit, when):
    connection.execute(
        "insert into windsock.exposures (experiment, version, environment, unit, arm, first_exposed_at)"
        " values (%s, 1, 'test', %s, 'a', %s)",
        [experiment, unit, when],
    )


def history(connection, user, when, config=None):
    connection.execute(
        "insert into windsock.assignment_history (user_id, config_id, changed_at) values (%s, %s, %s)",
        [user, config, when],
    )


def test_what_is_old_goes_and_what_is_new_stays(run, tables, tmp_path):
    for user, when in (("ann", OLD), ("bob", NEW)):
        request(tables, user, when)
        event(tables, user, when)
        exposure(tables, f"of {user}", user, when)
        tables.execute(
            "insert into windsock.faults (id, flag, variant, field, fingerprint, error, request_id, reported_at)"
            " values (gen_random_uuid(), 'f', 'v', 'x', 'p', 'e', %s, %s)",
            [user, when],
        )
    for when in (OLD - timedelta(days=2), OLD, NEW):
        history(tables, "ann", when)
    write_flags(tmp_path / "flagd" / "teacher.flagd.json", {})
    foretold = run("prune", "--older-than", "90d", "--dry-run")
    assert sorted(rows(tables, "usage_logs", "user_id")) == ["ann", "bob"]
    said = run("prune", "--older-than", "90d")
    assert foretold.replace("would be deleted", "deleted") == said
    assert rows(tables, "usage_logs", "user_id") == ["bob"]
    assert rows(tables, "windsock.metric_events", "user_id") == ["bob"]
    assert rows(tables, "windsock.exposures", "unit") == ["bob"]
    assert rows(tables, "windsock.faults", "request_id") == ["bob"]
    kept = tables.execute("select changed_at from windsock.assignment_history order by 1").fetchall()
    assert kept == [(OLD,), (NEW,)], "the newest row before says what was the case then"
    assert "public.usage_logs                        1 deleted" in said
    assert {line.split()[0] for line in said.splitlines()} == set(PRUNED.values())


@pytest.mark.parametrize("why", ["somebody was exposed since", "a flag runs it", "a flag of that name"])
def test_of_an_open_experiment_nothing_goes(run, tables, tmp_path, why):
    exposure(tables, "teacher.experiment" if why == "a flag of that name" else "open", "ann", OLD)
    exposure(tables, "over", "bob", OLD)
    if why != "somebody was exposed since":
        flag = {"state": "ENABLED", "variants": {"a": {}}, "defaultVariant": "a"}
        if why == "a flag runs it":
            flag["metadata"] = {"experiment": "open"}
        write_flags(tmp_path / "flagd" / "teacher.flagd.json", {"teacher.experiment": flag})
    else:
        exposure(tables, "open", "eve", NEW)
    for user in ("ann", "bob"):
        request(tables, user, OLD)
        event(tables, user, OLD)
    run("prune", "--older-than", "90d")
    assert "bob" not in rows(tables, "windsock.exposures", "unit")
    assert "ann" in rows(tables, "windsock.exposures", "unit")
    assert rows(tables, "usage_logs", "user_id") == ["ann"]
    assert rows(tables, "windsock.metric_events", "user_id") == ["ann"]


@pytest.mark.parametrize("name", ["nul\0inside", "long " * 400], ids=["nul", "long"])
def test_an_open_experiment_is_known_by_the_name_that_its_rows_keep(run, tables, tmp_path, name):
    arm = Arm(name, "a", "teacher.experiment", "SPLIT")
    use = Use("teacher", "a", None, None, "SPLIT", "test", "ann", {}, exposed_to=arm)
    stored = clean_exposure(Pending(uuid.uuid4(), OLD, use, Measured()))
    exposure(tables, stored.experiment, "ann", OLD)
    flag = {
        "state": "ENABLED",
        "variants": {"a": {}},
        "defaultVariant": "a",
        "metadata": {"experiment": name},
    }
    write_flags(tmp_path / "flagd" / "teacher.flagd.json", {"teacher.experiment": flag})
    run("prune", "--older-than", "90d")
    assert rows(tables, "windsock.exposures", "unit") == ["ann"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["prune", "--older-than", "90d"],
        ["prune", "--older-than", "90d", "--dry-run"],
        ["forget", "ann"],
        ["usage"],
    ],
    ids=" ".join,
)
def test_a_database_that_fails_is_one_line(run, database, tables, arguments):
    """A server that stops a statement, and a standby, which only reads."""
    stopping, reading = (
        make_conninfo(database, options=f"-c {option}")
        for option in ("statement_timeout=100", "default_transaction_read_only=on")
    )
    with tables.transaction():
        tables.execute("lock table usage_logs in access exclusive mode")
        said = [run(*arguments, expect=4, DATABASE_URL=stopping)]
    if arguments != ["usage"]:
        said.append(run(*arguments, expect=4, DATABASE_URL=reading))
    for each in said:
        assert "Traceback" not in each
        (line,) = [line for line in each.splitlines() if line.startswith("windsock: ")]
        assert "the database failed: " in line


def test_a_flag_that_cannot_be_read_might_run_an_experiment(run, tables, tmp_path):
    exposure(tables, "open", "ann", OLD)
    flag = {
        "state": "ENABLED",
        "variants": {"a": {}},
        "defaultVariant": "b",
        "metadata": {"experiment": "open"},
    }
    write_flags(tmp_path / "flagd" / "teacher.flagd.json", {"teacher.experiment": flag})
    said = run("prune", "--older-than", "90d", expect=1)
    assert "flag 'teacher.experiment'" in said
    assert "nothing was deleted" in said
    assert rows(tables, "windsock.exposures", "unit") == ["ann"]


def test_of_an_open_experiment_by_request_the_events_stay_that_name_only_the_request(run, tables):
    for unit, experiment in (("r-1", "open"), ("r-2", "over")):
        exposure(tables, experiment, unit, OLD)
        request(tables, None, OLD, unit)
        event(tables, None, OLD, request_id=unit)
    exposure(tables, "open", "r-3", NEW)
    run("prune", "--older-than", "90d")
    assert rows(tables, "usage_logs", "request_id") == ["r-1"]
    assert rows(tables, "windsock.metric_events", "request_id") == ["r-1"]


def test_a_folder_of_flags_that_is_not_there_closes_no_experiment(run, tables, tmp_path):
    exposure(tables, "open", "ann", OLD)
    (tmp_path / "a file").touch()
    (tmp_path / "not mounted").mkdir()
    for mistyped in ("flagdd", "a file", "not mounted"):
        said = run("prune", "--older-than", "90d", "--flags", mistyped, expect=4)
        assert f"{mistyped}: there is no flag file" in said
        assert "nothing was deleted" in said
    assert rows(tables, "windsock.exposures", "unit") == ["ann"]
    said = run("prune", "--older-than", "90d")
    assert "there is no flag file in flagd: an experiment is open only if" in said


def test_a_person_is_erased_everywhere_and_the_others_stay(run, tables):
    tables.execute("insert into profiles (id) values (%s), (%s)", [ANN, BOB])
    tables.execute("update profiles set config_id = (select id from app_configurations)")
    hashed = hashed_user_id(ANN, KEY.encode())
    for name in (ANN, hashed, BOB):
        request(tables, name, NEW, f"request of {name}")
        event(tables, name, NEW)
        exposure(tables, "open", name, NEW)
        exposure(tables, "by request", f"request of {name}", NEW)
        tables.execute(
            "insert into windsock.faults (id, flag, variant, field, fingerprint, error, request_id)"
            " values (gen_random_uuid(), 'f', 'v', 'x', 'p', 'e', %s)",
            [f"request of {name}"],
        )
        tables.execute(
            "insert into windsock.experiment_assignments (experiment, version, unit, arm, flag, fields, allocation,"
            " profile_id, config_id) values ('open', 1, %s, 'a', 'f', '{}', 1, %s, gen_random_uuid())",
            [name, BOB if name == BOB else ANN],
        )
    tables.execute(
        "insert into windsock.profile_changes (action, before, after) values ('assign', %s, '{}')",
        [psycopg.types.json.Jsonb({ANN: None, BOB: None})],
    )
    for unit in (ANN, hashed, "another's unit"):  # whoever calls chooses the request's id
        event(tables, None, NEW, unit=unit, request_id=f"request of {ANN}")
    said = run("forget", ANN, WINDSOCK_USER_ID_KEY=KEY)
    assert rows(tables, "windsock.metric_events", "unit") == ["None", "another's unit"]
    tables.execute("delete from windsock.metric_events where user_id is null")
    left = tables.execute(
        "select user_id from usage_logs union select user_id from windsock.metric_events"
        " union select user_id from windsock.assignment_history union select unit from windsock.experiment_assignments"
        " union select jsonb_object_keys(before) from windsock.profile_changes"
    ).fetchall()
    assert left == [(BOB,)]
    assert rows(tables, "windsock.exposures", "unit") == sorted([BOB, f"request of {BOB}"])
    assert rows(tables, "windsock.faults", "request_id") == [f"request of {BOB}"]
    assert dict(tables.execute("select id::text, config_id is null from profiles")) == {ANN: True, BOB: False}
    counted = dict(line.rsplit(maxsplit=1) for line in said.splitlines())
    assert counted.keys() == set(FORGOTTEN.values())
    assert {each: counted[each] for each in ("public.usage_logs", "windsock.faults")} == {
        "public.usage_logs": "2",
        "windsock.faults": "2",
    }
    assert "no rows of" in run("forget", ANN, WINDSOCK_USER_ID_KEY=KEY)
    assert mentioning(tables, ANN) == {"public.profiles", "windsock.change_log"}
    assert mentioning(tables, hashed) == set()


MENTIONING = """
select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace
where nspname in ('public', 'windsock') and relkind in ('r', 'p', 'm')
"""


def mentioning(connection, text):
    """Every table, of those that exist, with a row in which a text is somewhere."""
    tables = [table for (table,) in connection.execute(MENTIONING)]
    asked = "select exists (select from {} t where position(%s in t::text) > 0)"
    return {
        table for table in tables if connection.execute(asked.format(table), [text]).fetchone() == (True,)
    }


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("user", [ANN, "ann|" + "漢" * 1_000], ids=["uuid", "longer than a column keeps"])
def test_what_a_service_writes_of_a_person_is_found_in_no_table_afterwards(run, tables, database, user, key):
    """The rows are made and stored as in a service; an event may name only the request."""
    secret = None if key is None else key.encode()
    arm = Arm("tone", "warm", "tone", "SPLIT")
    by_request = arm._replace(experiment="by request", unit="request")
    sink, board = PostgresSink(database), PostgresBoard(database)
    with contextlib.closing(sink), contextlib.closing(board):
        for who, request_id in ((user, "r-1"), ("somebody else", "r-2")):
            use = Use("teacher", "base", None, None, "STATIC", "test", who, {}, exposed_to=arm)
            pending = Pending(uuid.uuid4(), NEW, use, Measured(request_id))
            shown = pending._replace(use=use._replace(exposed_to=by_request))
            live = pending._replace(id=uuid.uuid4(), use=use._replace(user_id=None, exposed_to=None))
            sink.write([clean(each, secret) for each in (pending, live)])
            sink.write_exposures([clean_exposure(each, secret) for each in (pending, shown)])
            events = [Event(uuid.uuid4(), "liked", 1.0, NEW, "test", who),
                      Event(uuid.uuid4(), "rated", 1.0, NEW, "test", request_id=request_id),
                      Event(uuid.uuid4(), "paid", 1.0, NEW, "test", unit=who)]  # fmt: skip
            sink.write_events([clean_event(each, secret) for each in events])
            fault = Fault("teacher", "base", "tone", "f", None, "unknown tone", request_id)
            board.exchange(Outbox(faults=(fault,)))
    one, units = rows(tables, "usage_logs", "user_id"), rows(tables, "windsock.exposures", "unit")
    assert one.count("None") == 2, "of each request, what it read for nobody"
    assert len(set(one) & set(units)) == 2, "a user has one id everywhere, so that rows join"
    run("forget", user, **({} if key is None else {"WINDSOCK_USER_ID_KEY": key}))
    left = {stored for stored in one if mentioning(tables, stored)}
    assert left == {stored_user_id("somebody else", secret)}
    assert mentioning(tables, "r-1") == set()
    stays = {"public.usage_logs", "windsock.exposures", "windsock.metric_events", "windsock.faults"}
    assert mentioning(tables, "r-2") == stays


@pytest.mark.parametrize("given", [str, str.upper], ids=["as profiles spells it", "in capitals"])
@pytest.mark.parametrize("key", [None, KEY])
def test_a_uuid_is_found_in_whatever_spelling_it_was_stored_or_is_given(run, tables, key, given):
    ann = "6b3fabcd-0000-4000-8000-00000000000e"
    braced = f"{{{ann}}}"  # as .NET and Windows write it
    spellings = (ann, ann.upper(), ann.replace("-", ""), ann.replace("-", "").upper(), braced, braced.upper())
    spellings += (f"urn:uuid:{ann}", f"urn:uuid:{ann.upper()}")
    stored = [stored_user_id(each, None if key is None else key.encode()) for each in spellings]
    tables.execute("insert into profiles (id, config_id) select %s, id from app_configurations", [ann])
    for name in (*stored, BOB):
        request(tables, name, NEW)
        exposure(tables, "open", name, NEW)
    variables = {} if key is None else {"WINDSOCK_USER_ID_KEY": key}
    said = run("usage", "--user", given(ann), user=tables.info.user, **variables)
    assert said.count("teacher") == len(stored)
    run("forget", given(ann), **variables)
    assert rows(tables, "usage_logs", "user_id") == rows(tables, "windsock.exposures", "unit") == [BOB]
    assert rows(tables, "profiles", "config_id is null") == ["True"]
    assert rows(tables, "windsock.assignment_history", "user_id") == []


def test_a_request_that_has_another_users_id_takes_nothing_of_theirs_with_it(run, tables):
    """Whoever calls chooses the request's id."""
    for user, request_id in (("mallory", "bob"), ("mallory", "m-1"), ("bob", "b-1")):
        request(tables, user, NEW, request_id)
    for unit in ("bob", "mallory", "m-1", "b-1"):
        exposure(tables, "open", unit, NEW)
    for request_id in ("m-1", "b-1"):
        request(tables, None, OLD, request_id)
    run("forget", "mallory")
    assert rows(tables, "windsock.exposures", "unit") == ["b-1", "bob"]
    assert rows(tables, "usage_logs", "request_id") == ["b-1", "b-1", "m-1"]


@pytest.fixture
def locked(tables, database):
    """Lock a table in another session for the duration of a block."""

    @contextlib.contextmanager
    def lock(table):
        with psycopg.connect(database) as other:
            other.execute(f"lock table {table} in access exclusive mode")
            yield
            other.rollback()

    return lock


@pytest.mark.parametrize(
    "table", sorted({each.split()[0] for each in (*PRUNED.values(), *FORGOTTEN.values())})
)
def test_a_table_that_another_session_has_locked_is_not_waited_for_without_end(
    tables, locked, table, monkeypatch
):
    monkeypatch.setattr("windsock.postgres.retention._PATIENCE", "20ms")
    tables.execute("set statement_timeout = '60s'")  # a wait without end ends as another error
    request(tables, "ann", OLD)
    with locked(table):
        if table in PRUNED.values():
            with pytest.raises(DatabaseUnfitError, match="another session has a table or rows locked"):
                prune(tables, timedelta(days=90))
        if table in {each.split()[0] for each in FORGOTTEN.values()}:
            with pytest.raises(DatabaseUnfitError, match="another session has a table or rows locked"):
                forget(tables, ["ann"])
    request(tables, "ann", OLD)
    assert forget(tables, ["ann"])["public.usage_logs"] >= 1
    prune(tables, timedelta(days=90))
    assert tables.execute("show lock_timeout").fetchone() == ("0",), "nothing is set for the session"


@pytest.mark.parametrize("id_type", ["uuid", "bigint", "text"])
def test_who_is_forgotten_is_found_by_the_primary_key(tables, id_type):
    ann = {"uuid": ANN, "bigint": "17", "text": "ann"}[id_type]
    tables.execute("drop table profiles cascade")
    tables.execute(f"create table profiles (id {id_type} primary key, config_id uuid)")
    tables.execute("insert into profiles select %s, id from app_configurations", [ann])
    tables.execute("set enable_seqscan = off")
    scans = "select seq_scan, idx_scan from pg_stat_xact_user_tables where relid = 'profiles'::regclass"
    with tables.transaction():
        ((whole, by_key),) = tables.execute(scans).fetchall()  # what earlier statements have not reported yet
        assert forget(tables, [ann, "9" * 64, "a hash"])["public.profiles (unassigned)"] == 1
        ((whole_after, by_key_after),) = tables.execute(scans).fetchall()
    assert whole_after == whole
    assert by_key_after > by_key


@pytest.mark.slow
def test_a_name_that_the_encoding_of_the_database_lacks_hides_no_hash_of_it(database_encoded_in):
    url = database_encoded_in("LATIN1")
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
        migrate(connection, read_migrations())
        (hashed,) = stored_user_ids("用户", KEY.encode())
        for user in (hashed, "ann"):
            request(connection, user, OLD)
        assert forget(connection, {"用户", hashed})["public.usage_logs"] == 1
        assert rows(connection, "usage_logs", "user_id") == ["ann"]
        assert prune(connection, timedelta(days=90), ["实验"])["public.usage_logs"] == 1


def test_a_service_s_role_cannot_delete_usage(run, tables, postgres):
    name = f"service_{uuid.uuid4().hex}"
    tables.execute(f"create role {name} login in role windsock_writer")
    request(tables, "ann", OLD)
    for command in (["prune", "--older-than", "90d"], ["forget", "ann"]):
        assert "in the role windsock_pruner" in run(*command, user=name, expect=1)
    assert rows(tables, "usage_logs", "user_id") == ["ann"]


QUESTIONS = {
    "usage --user": "select * from usage_logs where user_id = any('{a,A}') order by requested_at desc limit 20",
    "usage --config": (
        f"select * from usage_logs where config_id = '{ANN}' order by requested_at desc limit 20"
    ),
    "usage --healed": "select * from usage_logs where healed <> '[]' order by requested_at desc limit 20",
    "usage": "select * from usage_logs order by requested_at desc limit 20",
    "prune": f"select id from usage_logs where requested_at < '{OLD}' limit 10",
    "prune, events": f"select id from windsock.metric_events where occurred_at < '{OLD}'",
    "explain --at": (
        f"select * from windsock.assignment_history where user_id = 'a' and changed_at <= '{OLD}'"
        " order by changed_at desc limit 1"
    ),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_what_the_commands_ask_has_an_index(tables, question):
    tables.execute("set enable_seqscan = off")
    plan = "\n".join(line for (line,) in tables.execute(f"explain {question}"))
    assert "Index" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("name", sorted(FORGOTTEN.keys() - {"profile_changes"}))  # people's changes are few
def test_each_table_is_asked_for_a_person_by_an_index(tables, name):
    query = load_queries("windsock.postgres", "retention.sql")[f"forget_{name}"].replace(b"{type}", b"uuid")
    tables.execute("set enable_seqscan = off")
    given = {"names": [ANN, "hash"], "ids": [ANN], "uuids": [ANN]}
    plan = "\n".join(line for (line,) in tables.execute(b"explain " + query, given))
    assert "Seq Scan" not in plan


@contextlib.contextmanager
def mirror(database, user, tmp_path, *arguments):
    """A mirror that prunes; its log. At the end it must stop on SIGTERM, with status 0."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WINDSOCK")}
    command = [WINDSOCK, "mirror", "run", "--flag", "teacher", "--prune-older-than", "90d", *arguments]
    environment = clean | {"DATABASE_URL": make_conninfo(database, user=user)}
    log = tmp_path / "log"
    with log.open("w") as file:
        done = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=file)
    try:
        yield log
        done.terminate()
        assert done.wait(60) == 0, log.read_text()
    finally:
        done.kill()
        done.wait()


@pytest.mark.parametrize("may", [True, False])
def test_the_mirror_prunes_if_its_login_may_and_mirrors_all_the_same(
    database, postgres, tmp_path, tables, may
):
    request(tables, ANN, OLD)
    request(tables, ANN, NEW)
    name = f"mirror_{uuid.uuid4().hex}"
    roles = "windsock_mirror, windsock_pruner" if may else "windsock_mirror"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create role {name} login bypassrls in role {roles}")
    with mirror(database, name, tmp_path) as log:
        told = "1 old rows deleted" if may else "connect as a login in the role windsock_pruner"
        eventually(lambda: told in log.read_text())
        eventually((tmp_path / "flagd" / "mirror" / "profiles.flagd.json").exists)
    assert len(rows(tables, "usage_logs", "id")) == (1 if may else 2)
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("named", [True, False])
def test_a_mirror_that_does_not_find_the_flags_says_so(*, database, postgres, tmp_path, tables, named):
    request(tables, ANN, OLD)
    name = f"mirror_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create role {name} login bypassrls in role windsock_mirror, windsock_pruner")
    arguments = ["--git-folder", "mistyped"] if named else []
    told = (
        "old rows are not deleted: mistyped: there is no flag file"
        if named
        else "there is no flag file in flagd: an experiment is open only if"
    )
    with mirror(database, name, tmp_path, *arguments) as log:
        eventually(lambda: told in log.read_text())
        if not named:
            eventually(lambda: "1 old rows deleted" in log.read_text())
    assert len(rows(tables, "usage_logs", "id")) == named
