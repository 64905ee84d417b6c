"""The PostgreSQL sink and the writer on a real server: exact rows, replays, restarts, kills and forks."""

import contextlib
import json
import os
import random
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import conninfo, sql
from tests.usage.emptying import BEGUN, ENDED, kept
from tests.waiting import eventually

from windsock.errors import ConfigurationError
from windsock.postgres import embedded
from windsock.postgres.migrations import migrate, read_migrations
from windsock.private_folder import MADE_HERE
from windsock.usage import (
    COLUMNS,
    Healed,
    Measured,
    RowsRefusedError,
    Spool,
    UsageOptions,
    UsageRecord,
    UsageWriter,
    postgres,
)
from windsock.usage.data import Arm, Event, hashed_user_id, key_fingerprint
from windsock.usage.making_rows import clean, clean_event, clean_exposure
from windsock.usage.postgres import PostgresSink

QUICK = UsageOptions(flush_interval=0.2)
PATIENT = UsageOptions(flush_interval=20)


@pytest.fixture
def sink(database):
    sink = PostgresSink(database)
    yield sink
    sink.close()


@pytest.fixture
def ask(database):
    """Ask the test's database something."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


def test_a_row_holds_what_was_recorded(sink, ask, make_pending):
    config = uuid4()
    pending = make_pending(
        Measured(
            "r-1", 0.25, 100, 20, Decimal("0.0015"), "ab" * 16, "error", "TimeoutError", "gpt-4o-2024", 0.05
        ),
        variant=str(config),
        config_id=config,
        reason="TARGETING_MATCH",
        values={"model": "gpt-4o", "quote": 'a\tb\\N"\n', "nested": {"é": [1, None]}},
        healed=[Healed("model", "gpt-5-typo", "404 model_not_found", "base")],
        experiment="models-2026",
        arm="big",
    )
    sink.write([clean(pending)])
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    (row,) = ask(f"select {columns} from public.usage_logs")
    healed = {
        "field": "model",
        "failed_value": "gpt-5-typo",
        "error": "404 model_not_found",
        "fell_to": "base",
    }
    assert dict(zip(COLUMNS, row, strict=True)) == {
        "id": pending.id,
        "requested_at": pending.requested_at,
        "user_id": "u1",
        "request_id": "r-1",
        "environment": "test",
        "flag": "teacher",
        "variant": str(config),
        "config_id": config,
        "revision": "0123456789ab",
        "reason": "TARGETING_MATCH",
        "values": pending.use.values,
        "healed": [healed],
        "latency_ms": 250,
        "input_tokens": 100,
        "output_tokens": 20,
        "cost": Decimal("0.0015"),
        "trace_id": "ab" * 16,
        "experiment": "models-2026",
        "arm": "big",
        "status": "error",
        "error_class": "TimeoutError",
        "answered_model": "gpt-4o-2024",
        "first_item_ms": 50,
    }


def test_a_table_from_before_gets_the_columns_and_what_waited_for_them(
    empty_database, make_pending, tmp_path, caplog
):
    every = read_migrations()
    (adding,) = [each for each in every if each.name == "windsock_usage_experiment"]
    before = [each for each in every if each.version < adding.version]
    old, fresh = make_pending(), make_pending(experiment="models-2026", arm="big")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        migrate(connection, before)
        connection.execute(
            "insert into usage_logs (id, requested_at, environment, flag) values (%s, now(), 'test', 'teacher')",
            [old.id],
        )
        writer = UsageWriter(PostgresSink(empty_database), Spool(tmp_path / "spool"), QUICK)
        writer.put(fresh)
        assert writer.flush()
        assert writer.health().spooled == 1
        eventually(lambda: "run `windsock migrate`" in caplog.text)
        for _ in range(2):
            migrate(connection, every)
        connection.execute(adding.path.read_text())  # by hand, on a table that has the columns
        eventually(lambda: writer.health().replayed == 1, seconds=90)  # the sink is left alone for up to 30
        writer.stop()
        found = connection.execute("select id, experiment, arm from usage_logs").fetchall()
    assert set(found) == {(old.id, None, None), (fresh.id, "models-2026", "big")}


def test_a_batch_written_twice_is_stored_once(sink, ask, make_pending):
    rows = [clean(make_pending()) for _ in range(5)]
    sink.write(rows[:3])
    sink.write(rows)
    assert ask("select count(*) from public.usage_logs") == [(5,)]


INDEX_OF_VALUES = 'create index on public.usage_logs (("values"::text))'
REFUSALS = {
    "a constraint": "alter table public.usage_logs add check (user_id <> 'banned')",
    "a trigger": """
        create function refuse() returns trigger language plpgsql as $$
        begin if new.user_id = 'banned' then raise 'no % here', new.user_id; end if; return new; end $$;
        create trigger refuse before insert on public.usage_logs for each row execute function refuse()
    """,
    "an index": INDEX_OF_VALUES,
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_row_that_the_table_refuses_is_put_away_and_the_others_are_stored(
    *, database, ask, make_pending, spool, caplog, refusal
):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(refusal)
    # characters at random, as the server compresses others before it indexes them
    noise = {"f": "".join(map(chr, random.Random(7).sample(range(0x4E00, 0x9FA0), 4_000)))}
    bad = clean(make_pending(user_id="banned", values=noise))
    spool.append([clean(make_pending()) for _ in range(5)] + [bad])
    spool.append([clean(make_pending()) for _ in range(3)])
    spool.release()
    writer = UsageWriter(PostgresSink(database), spool, QUICK)
    writer.put(make_pending())
    eventually(lambda: ask("select count(*) from public.usage_logs") == [(9,)])
    eventually(lambda: writer.health().refused == 1)
    eventually(lambda: not spool.waiting())
    writer.stop()
    assert writer.health().last_error is None
    assert not spool.waiting()
    (kept,) = (spool.folder / "refused.jsonl").read_text().splitlines()
    assert UsageRecord.from_line(json.loads(kept)["line"]) == bad
    assert (spool.folder / "refused.jsonl").stat().st_mode & 0o777 == 0o600
    assert f"refused and is kept in {spool.folder / 'refused.jsonl'}: row {bad.id}: " in caplog.text
    assert noise["f"][:50] not in caplog.text


RAISES = """
create function refuse() returns trigger language plpgsql as $$
begin if new.user_id like 'banned%' then raise 'no' using errcode = '{}'; end if; return new; end $$;
create trigger refuse before insert on public.usage_logs for each row execute function refuse()
"""


@pytest.mark.parametrize("code", ["08006", "53300", "57014", "57P03", "40001", "42501"])
def test_a_trigger_that_blames_the_server_for_one_row_does_not_hold_up_the_others(
    *, database, ask, make_pending, code
):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(RAISES.format(code))
    bad = clean(make_pending(user_id="banned"))
    rows = [clean(make_pending()) for _ in range(5)]
    with contextlib.closing(PostgresSink(database)) as sink:
        with pytest.raises(RowsRefusedError) as told:
            sink.write([*rows[:2], bad, *rows[2:]])
        assert [row for row, _ in told.value.refused] == [bad]
        assert ask("select count(*) from public.usage_logs") == [(5,)]
        with pytest.raises(psycopg.Error, match="no"):  # of every row: they wait
            sink.write([bad, clean(make_pending(user_id="banned too"))])


OF_ITS_OWN = {
    "a policy": """
        alter table public.usage_logs enable row level security;
        create policy all_rows on public.usage_logs using (true) with check (true);
        create policy tenant on public.usage_logs as restrictive for insert with check (user_id not like 'banned%')
    """,
    "a right that a trigger lacks": """
        create table public.audit (user_id text);
        create function audit() returns trigger language plpgsql as $$ begin
        if new.user_id like 'banned%' then insert into public.audit values (new.user_id); end if; return new; end $$;
        create trigger audit before insert on public.usage_logs for each row execute function audit()
    """,
    "a function that a trigger misses": """
        create function audit() returns trigger language plpgsql as $$ begin
        if new.user_id like 'banned%' then perform no_function(new.user_id); end if; return new; end $$;
        create trigger audit before insert on public.usage_logs for each row execute function audit()
    """,
}


@pytest.mark.parametrize("refusal", OF_ITS_OWN.values(), ids=OF_ITS_OWN)
def test_what_a_policy_or_a_trigger_of_yours_refuses_does_not_hold_up_the_others(
    *, database, ask, make_pending, spool, refusal
):
    """However many follow each other in the files that are replayed."""
    writer_role = f"writer_{uuid4().hex}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"create role {writer_role} login in role windsock_writer")
        connection.execute(refusal)
    with contextlib.closing(PostgresSink(conninfo.make_conninfo(database, user=writer_role))) as sink:
        spool.append([clean(make_pending(user_id=f"banned {n}")) for n in range(25)])
        spool.append([clean(make_pending()) for n in range(25)])
        spool.release()
        writer = UsageWriter(sink, spool, UsageOptions(flush_interval=0.2, batch_size=10))
        writer.put(make_pending())
        eventually(lambda: ask("select count(*) from public.usage_logs") == [(26,)])
        eventually(lambda: writer.health().refused == 25)
        eventually(lambda: not spool.waiting())
        writer.stop()
        with pytest.raises(psycopg.Error):  # of every row: they wait
            sink.write([clean(make_pending(user_id="banned"))])


def test_an_id_of_any_letters_is_stored(sink, ask, make_pending):
    """A thousand random characters of three bytes, which the server can't compress, exceed an index entry."""
    pick = random.Random(1)
    for _ in range(20):
        letters = pick.sample(range(0x4E00, 0x9FA0), 1_000)
        text = "".join(map(chr, letters))
        use = {"user_id": text, "variant": text, "reason": text, "experiment": text, "arm": text}
        sink.write([clean(make_pending(Measured(request_id=text, trace_id=text), **use))])
    assert ask("select count(*) from public.usage_logs") == [(20,)]


def test_a_database_of_another_encoding_refuses_what_it_cannot_hold_and_takes_the_rest(
    database_encoded_in, make_pending
):
    url = database_encoded_in("LATIN1")
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
        migrate(connection, read_migrations())
        rows = [clean(make_pending(user_id=user)) for user in ("ann", "Zoë", "用户")]
        sink = PostgresSink(url)
        with pytest.raises(RowsRefusedError) as caught:
            sink.write(rows)
        sink.close()
        assert [row for row, _ in caught.value.refused] == [rows[2]]
        stored = connection.execute("select user_id from usage_logs order by 1").fetchall()
    assert stored == [("Zoë",), ("ann",)]


FOREIGN = {
    "create table usage_logs (id bigserial primary key, message text)": "id is bigint, not uuid; no column requ",
    "create table usage_logs (like windsock_usage_logs)": "id is not its primary key",
    "create table usage_logs (like windsock_usage_logs including all, tenant text not null)": "tenant needs a v",
    "create view usage_logs as select 1 as id": "id is integer, not uuid; no column requested_at",
}


@pytest.mark.parametrize("create", FOREIGN)
def test_a_foreign_table_of_this_name_is_an_error_that_says_what_differs(database, make_pending, create):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter table usage_logs rename to windsock_usage_logs")
        connection.execute(create)
    sink = PostgresSink(database)
    with pytest.raises(ConfigurationError, match=FOREIGN[create]):
        sink.write([clean(make_pending()) for _ in range(3)])
    sink.close()


@pytest.mark.slow
def test_files_that_thousands_of_processes_left_are_replayed_many_at_a_time(
    database, ask, make_pending, spool
):
    sizes = []

    class Counted(PostgresSink):
        def write(self, rows):
            sizes.append(len(rows))
            super().write(rows)

    spool.folder.mkdir()
    template = clean(make_pending())
    for number in range(20_000):
        line = f"{replace(template, id=uuid4()).to_line()}\n"
        path = spool.folder / f"usage-{number}-left.jsonl"
        path.write_text(line)
        path.chmod(MADE_HERE)
    writer = UsageWriter(Counted(database), spool, QUICK)
    writer.put(make_pending())
    eventually(lambda: ask("select count(*) from public.usage_logs")[0][0] >= 20_000, seconds=240)
    eventually(lambda: not list(spool.folder.glob("*-left.jsonl")), seconds=30)
    writer.stop()
    assert len(sizes) < 1_000, "a transaction for each file would make it 3 a second"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=15,
)
texts = st.text(st.characters())


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    values=st.dictionaries(texts, anything),
    text=texts,
    numbers=st.tuples(st.floats(), st.integers(), st.decimals()),
)
def test_any_record_can_be_stored(sink, make_pending, values, text, numbers):
    latency, tokens, cost = numbers
    pending = make_pending(
        Measured(text, latency, tokens, tokens, cost, text),
        values=values,
        user_id=text,
        variant=text,
        config_id=text,
        healed=[Healed(text, values, text, text)],
        exposed_to=Arm(text, text, text, text, segments=tuple(values)),
        attributes=values,
    )
    event = Event(uuid4(), text, latency, pending.requested_at, text, text, text, text, values)
    # below the level that would only log a refused row
    sink._write([clean(pending)], postgres._USAGE)
    sink._write([clean_event(event)], postgres._EVENTS)
    if (exposure := clean_exposure(pending)) is not None:
        sink._write([exposure], postgres._EXPOSURES)


def test_without_the_table_records_wait_and_the_message_names_it(empty_database, make_pending, spool, caplog):
    writer = UsageWriter(PostgresSink(empty_database), spool, QUICK)
    writer.put(make_pending())
    assert writer.flush()
    assert writer.health().spooled == 1
    eventually(lambda: 'relation "public.usage_logs" does not exist' in caplog.text)
    writer.stop()


@pytest.mark.slow
def test_a_database_that_restarts_loses_nothing_and_doubles_nothing(make_pending, tmp_path, spool):
    folder = tmp_path / "postgres"
    server = embedded.start(folder)
    url = server.url
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection, read_migrations())
    writer = UsageWriter(PostgresSink(url), spool, QUICK)
    sent = []

    def send(count):
        for _ in range(count):
            pending = make_pending()
            writer.put(pending)
            sent.append(pending.id)
            time.sleep(0.002)

    send(100)
    assert writer.flush()
    server.stop()
    send(200)
    assert writer.flush()
    assert writer.health().spooled > 0
    with embedded.start(folder) as server:
        send(100)
        eventually(lambda: not spool.waiting())
        writer.stop()
        with psycopg.connect(server.url) as connection:
            stored = {row[0] for row in connection.execute("select id from usage_logs")}
    # A busy machine may be too slow to store the last batch before the writer ends: then it is on disk.
    waiting = {
        UsageRecord.from_line(line).id for path in spool.folder.glob("*.jsonl") for line in path.open()
    }
    assert stored | waiting == set(sent)
    assert len(stored) >= 300
    assert writer.health().dropped == 0


PROGRAM = textwrap.dedent("""
    import os, sys, time, uuid, datetime, pathlib
    from tests.usage.emptying import SayingWriter
    from windsock.usage import Measured, Pending, Spool, UsageOptions, Use
    from windsock.usage.postgres import PostgresSink
    url, folder, interval = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
    writer = SayingWriter(PostgresSink(url), Spool(folder), UsageOptions(flush_interval=interval))
    use = Use("teacher", None, None, None, None, "test", "u1", {"n": 1})
    while True:
        pending = Pending(uuid.uuid4(), datetime.datetime.now(datetime.UTC), use, Measured())
        writer.put(pending)
        os.write(1, f"{pending.id}\\n".encode())
        time.sleep(0.002)
""")


@pytest.mark.slow
@pytest.mark.parametrize("alive", [True, False], ids=["database up", "database down"])
def test_a_killed_process_loses_at_most_the_flush_interval(database, spool, ask, alive):
    """Nothing that was recorded before its queue was last emptied, which it is twice in each interval."""
    interval = 1.0
    url = database if alive else "host=/nonexistent dbname=none"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, str(spool.folder), str(interval)],
        env={**os.environ, "PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        lines: list[str] = []
        while len(lines) < 1500 or lines.count(f"{ENDED}\n") < 3:
            lines.append(process.stdout.readline())
        process.kill()
        lines += process.stdout.readlines()
    sent = {line.strip() for line in lines if line.endswith("\n")} - {BEGUN, ENDED}
    sure = {line.strip() for line in kept(lines)}
    sink = PostgresSink(database)
    for _ in range(2):  # a replay that is repeated changes nothing
        with contextlib.suppress(ConnectionError), spool.claim() as rows:
            sink.write(rows or [])
            raise ConnectionError
    sink.close()
    stored = {str(row[0]) for row in ask("select id from public.usage_logs")}
    assert stored - sent == set() or len(stored - sent) == 1, "one may have been recorded and not yet said"
    assert sure
    assert sure <= stored


def test_a_forked_child_leaves_its_parents_connection_alone(database, ask, make_pending, spool):
    writer = UsageWriter(PostgresSink(database), spool, PATIENT)
    first, second, third = make_pending(), make_pending(), make_pending()
    writer.put(first)
    assert writer.flush()
    (parent,) = ask("select pid from pg_stat_activity where application_name = 'windsock-usage'")
    child = os.fork()
    if child == 0:
        writer.put(second)
        writer.stop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.put(third)
    assert writer.flush()
    assert parent in ask("select pid from pg_stat_activity where application_name = 'windsock-usage'")
    writer.stop()
    assert writer.health().last_error is None
    assert {row[0] for row in ask("select id from public.usage_logs")} == {first.id, second.id, third.id}


def test_a_writer_role_can_store_and_not_change(database, ask, make_pending):
    role = f"writer_{uuid4().hex[:8]}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"create role {role} login in role windsock_writer")
    sink = PostgresSink(f"{database}&user={role}" if "?" in database else f"{database} user={role}")
    try:
        sink.write([clean(make_pending())])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sink._connection.opened().execute("delete from public.usage_logs")
    finally:
        sink.close()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"drop role {role}")
    assert ask("select count(*) from public.usage_logs") == [(1,)]


def test_two_processes_replay_a_file_once(database, ask, make_pending, spool):
    sent = [clean(make_pending()) for _ in range(50)]
    spool.append(sent)
    spool.release()
    writers = [UsageWriter(PostgresSink(database), Spool(spool.folder), QUICK) for _ in range(2)]
    for writer in writers:
        writer.put(make_pending())
    stored = "select count(*) from public.usage_logs"
    eventually(lambda: ask(stored) == [(52,)] and not spool.waiting())
    for writer in writers:
        writer.stop()
    assert ask(stored) == [(52,)]
    health = [writer.health() for writer in writers]
    assert sum(each.written + each.replayed for each in health) == 52
    # where the machine is busy, a writer's own row may have waited on disk too
    fewer, more = sorted(each.replayed for each in health)
    assert fewer < 2, "one of them replayed the file, and the other none of it"
    assert more >= 50


def test_what_waits_for_one_database_is_not_sent_to_another(make_pending, tmp_path, monkeypatch, database):
    monkeypatch.chdir(tmp_path)
    away = UsageWriter(PostgresSink("host=/nonexistent dbname=one"), options=QUICK)
    away.put(make_pending())
    away.stop()
    assert away.health().spooled == 1
    here = UsageWriter(PostgresSink(database), options=PATIENT)
    here.put(make_pending())
    assert here.flush()
    here.stop()
    assert here.health().replayed == 0
    assert len(list(tmp_path.glob(".windsock/spool/postgres-*/usage-*.jsonl"))) == 1


def test_a_destination_is_the_database_and_not_who_asks():
    first, same, other = (
        PostgresSink(f"postgresql://{who}@db.example:5432/{name}").destination
        for who, name in [("ann:secret", "app"), ("bob:other", "app"), ("ann:secret", "test")]
    )
    assert first == same != other
    assert "secret" not in first


def test_an_invalid_database_url_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="URL can't be read"):
        PostgresSink("postgres//typo")


ARM = Arm("cheaper", "control", "teacher.experiment", "SPLIT", 2, 0.5, segments=("country",))


def exposed(ask):
    return ask("select unit, arm, first_exposed_at, excluded from windsock.exposures order by unit")


def test_an_exposure_is_one_row_over_processes_and_the_earliest_counts(database, ask, make_pending, tmp_path):
    """Two processes meet the same unit, and the spool of a third brings an earlier time days late."""
    late, early = make_pending(exposed_to=ARM), make_pending(exposed_to=ARM)
    early = early._replace(requested_at=late.requested_at - timedelta(days=3))
    waiting = Spool(tmp_path / "spool")
    waiting.append([clean(early), clean_exposure(early)])
    waiting.release()
    others = UsageWriter(PostgresSink(database), Spool(tmp_path / "other"), PATIENT)
    for pending in (late, late, make_pending(exposed_to=ARM._replace(excluded="profile"))):
        others.put(pending)
    assert others.flush()
    others.stop()
    assert exposed(ask) == [("u1", "control", late.requested_at, None)]
    writer = UsageWriter(PostgresSink(database), waiting, QUICK)
    writer.put(make_pending(user_id="u2"))
    eventually(lambda: writer.health().replayed >= 2)
    writer.stop()
    assert exposed(ask) == [("u1", "control", early.requested_at, None)]


def test_an_exposure_holds_all_that_an_analysis_asks_for(database, ask, make_pending, tmp_path):
    options = UsageOptions(flush_interval=0.2, user_id_key=b"secret")
    writer = UsageWriter(PostgresSink(database), Spool(tmp_path / "spool"), options)
    pending = make_pending(exposed_to=ARM, attributes={"country": "CH", "email": "a@b.ch"})
    writer.put(pending)
    writer.stop()
    (row,) = ask("select to_jsonb(e) - 'first_exposed_at' from windsock.exposures e")
    assert row == (
        {
            "experiment": "cheaper",
            "version": 2,
            "environment": "test",
            "unit": hashed_user_id("u1", b"secret"),
            "arm": "control",
            "allocation": 0.5,
            "flag": "teacher.experiment",
            "revision": "0123456789ab",
            "reason": "SPLIT",
            "key_fingerprint": key_fingerprint(b"secret"),
            "attributes": {"country": "CH"},
            "excluded": None,
        },
    )


def test_the_writers_role_stores_usage_exposures_and_events(database, ask, make_pending, tmp_path):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter role windsock_writer login")
        name = connection.info.dbname
        connection.execute(
            sql.SQL("grant temporary on database {} to windsock_writer").format(sql.Identifier(name))
        )
    try:
        url = conninfo.make_conninfo(database, user="windsock_writer")
        writer = UsageWriter(PostgresSink(url), Spool(tmp_path / "spool"), PATIENT)
        pending = make_pending(exposed_to=ARM)
        event = Event(uuid4(), "bought", 12.5, pending.requested_at, "test", "u1")
        for each in (
            pending,
            event,
            event,
            pending._replace(requested_at=pending.requested_at - timedelta(1)),
        ):
            writer.put(each)
        assert writer.flush()
        writer.stop()
        assert writer.health().last_error is None
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("alter role windsock_writer nologin")
    assert ask("select count(*) from usage_logs") == [(1,)]
    assert len(exposed(ask)) == 1
    assert ask("select name, user_id, value from windsock.metric_events") == [("bought", "u1", 12.5)]
