"""Exposure at use, and the OpenTelemetry events of it."""

import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span
from tests.flagfiles import write_flags
from tests.healing.conftest import anyio_backend, fresh_process, serve
from tests.healing.teachers import CONFIG, TYPO, Provider, Teacher, profiles

import windsock
from windsock.usage import (
    ExposureSink,
    Healed,
    Measured,
    MemorySink,
    OpenTelemetrySink,
    Pending,
    Sinks,
    Use,
)
from windsock.usage.making_rows import clean

__all__ = ["anyio_backend", "fresh_process", "serve"]


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(user="ann", variant="v", healed=(), at=NOON, **values):
    use = Use("teacher", variant, None, "rev", "TARGETING_MATCH", "test", user, values, healed)
    return clean(Pending(uuid4(), at, use, Measured("r", 0.1, 10, 20, Decimal(1))))


def test_a_field_counts_once_for_a_user_a_variant_and_a_window():
    memory = MemorySink()
    sink = ExposureSink(memory, window=60)
    sink.write([row(model="a"), row(model="a"), row(model="a", top_k=3), row("ben", model="a")])
    sink.write([row(variant="w", model="a"), row(model="a")])
    assert [(each.user_id, each.variant, dict(each.values)) for each in memory.rows] == [
        ("ann", "v", {"model": "a"}),
        ("ann", "v", {"top_k": 3}),
        ("ben", "v", {"model": "a"}),
        ("ann", "w", {"model": "a"}),
    ]
    sink.write([row(model="a", at=NOON + timedelta(seconds=59))])
    assert len(memory.rows) == 4
    sink.write([row(model="a", at=NOON + timedelta(seconds=60))])
    assert len(memory.rows) == 5
    assert len({each.id for each in memory.rows}) == 5


def test_an_exposure_is_one_field_and_counts_no_cost():
    memory = MemorySink()
    ExposureSink(memory).write([row(model="a", top_k=3)])
    assert [dict(each.values) for each in memory.rows] == [{"model": "a"}, {"top_k": 3}]
    for each in memory.rows:
        assert (each.user_id, each.request_id) == ("ann", "r")
        assert (each.cost, each.input_tokens, each.output_tokens, each.latency_ms) == (None,) * 4


def test_what_was_healed_is_passed_on_each_time_and_exposes_to_nothing():
    memory = MemorySink()
    sink = ExposureSink(memory)
    failed = [row(healed=[Healed("model", TYPO, "404", "default")], model="d", top_k=3) for _ in range(2)]
    sink.write(failed)
    assert [(dict(each.values), len(each.healed)) for each in memory.rows] == [
        ({"model": "d"}, 1),
        ({"top_k": 3}, 0),
        ({"model": "d"}, 1),
    ]
    assert [memory.rows[0].id, memory.rows[2].id] == [each.id for each in failed]
    sink.write([row(model="a")])
    assert dict(memory.rows[-1].values) == {"model": "a"}


def test_a_clock_that_jumps_back_and_forth_repeats_no_exposure():
    memory = MemorySink()
    sink = ExposureSink(memory, window=3600)
    for hours in (0, 2, 0, -5, 2, 0, -5):
        sink.write([row(model="a", at=NOON + timedelta(hours=hours))])
    assert [each.requested_at - NOON for each in memory.rows] == [timedelta(hours=h) for h in (0, 2, -5)]


PROCESS = """
import sys
import windsock
from tests.flagfiles import write_flags
from tests.healing.teachers import Teacher
from windsock.usage import ExposureSink
from windsock.usage.postgres import PostgresSink
windsock.start(flags=sys.argv[1], usage=ExposureSink(PostgresSink(sys.argv[2]), window=1e10))
print("started", flush=True)
sys.stdin.readline()
for _ in range(3):
    for number in range(20):
        with windsock.request():
            teacher = Teacher.for_user(f"u{number}")
            for field in sys.argv[3:]:
                getattr(teacher, field)
windsock.stop()
"""


@pytest.mark.slow
def test_two_processes_that_do_not_know_of_each_other_leave_one_row(serve, database, tmp_path):
    folder = serve(profiles([f"u{number}" for number in range(20)], reasoning_model="gpt-4o"))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", PROCESS, folder, database, "reasoning_model", *more],
                    cwd=tmp_path,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for more in ((), (), ("temperature",))
        ]
        for process in processes:
            assert process.stdout.readline() == b"started\n"
        for process in processes:  # all at once
            process.stdin.write(b"\n")
            process.stdin.flush()
        assert [process.wait(60) for process in processes] == [0, 0, 0]
    with psycopg.connect(database) as connection:
        exposed = connection.execute(
            'select user_id, config_id::text, "values"::text from usage_logs'
        ).fetchall()
    assert sorted(exposed) == sorted(
        (f"u{number}", CONFIG, values)
        for number in range(20)
        for values in ('{"reasoning_model": "gpt-4o"}', '{"temperature": 0.7}')
    )


def test_what_was_not_stored_is_not_seen():
    class Away:
        rows = None

        def write(self, rows):
            if self.rows is None:
                self.rows = []
                raise ConnectionError
            self.rows.extend(rows)

    away = Away()
    sink = ExposureSink(away)
    rows = [row(model="a")]
    with pytest.raises(ConnectionError):
        sink.write(rows)
    sink.write(rows)
    assert len(away.rows) == 1


def test_evaluating_is_not_an_exposure_and_reading_is(serve):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model="gpt-4o"), usage=ExposureSink(memory))
    for _ in range(3):
        with windsock.request():
            Teacher.for_user("ann")
        with windsock.request():
            assert Teacher.for_user("ann").reasoning_model == "gpt-4o"
    windsock.stop()
    (exposed,) = memory.rows
    assert dict(exposed.values) == {"reasoning_model": "gpt-4o"}
    assert str(exposed.config_id) == CONFIG


def test_events_follow_the_semantic_conventions(serve):
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    memory = MemorySink()
    serve(
        profiles(["ann"], reasoning_model=TYPO),
        usage=Sinks(memory, ExposureSink(OpenTelemetrySink(provider))),
        environment="staging",
    )
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False))
    with use_span(span), windsock.request(request_id="r-1"):
        windsock.heal(Teacher.for_user("ann"), Provider())
    windsock.stop()
    (event,) = [each.log_record for each in exporter.get_finished_logs()]
    assert event.event_name == "feature_flag.evaluation"
    found = dict(event.attributes)
    assert found.pop("windsock.record_id") == str(memory.rows[0].id)
    assert event.trace_id == 0xABC
    assert TYPO in found.pop("windsock.healed")
    assert found.pop("feature_flag.error.message").startswith(f"reasoning_model={TYPO}: ")
    assert found.pop("error.type") == "windsock.healed"
    assert len(found.pop("feature_flag.version")) == 12
    assert found == {
        "feature_flag.key": "teacher",
        "feature_flag.result.variant": CONFIG,
        "feature_flag.result.reason": "targeting_match",
        "feature_flag.result.value": '{"reasoning_model": "gpt-4o-mini"}',
        "feature_flag.context.id": "ann",
        "feature_flag.provider.name": "windsock",
        "deployment.environment.name": "staging",
        "windsock.config_id": CONFIG,
        "windsock.request_id": "r-1",
    }
    provider.shutdown()


nowhere = windsock.feature("trace.nowhere", default=False)
mistyped = windsock.feature("trace.mistyped", default=False)
unbounded = windsock.feature("trace.unbounded", default=False)
sound = windsock.feature("trace.sound", default=False)


class Lonely(windsock.Settings, flag="trace_lonely"):
    size: int = 1


class Twisted(windsock.Settings, flag="trace_twisted"):
    size: int = 1


def test_events_tell_of_every_evaluation_that_went_wrong(tmp_path):
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    switch = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    write_flags(
        tmp_path / "a.flagd.json",
        {
            "trace.mistyped": {"state": "ENABLED", "variants": {"a": "text"}, "defaultVariant": "a"},
            "trace.unbounded": {**switch, "targeting": {"if": [True, "gone"]}},
            "trace.sound": switch,
            "trace_twisted": {"state": "ENABLED", "variants": {"a": {"size": 2}}, "defaultVariant": "a",
                              "targeting": {"if": [True, "gone"]}},
        },
    )  # fmt: skip
    with windsock.start(flags=tmp_path, usage=OpenTelemetrySink(provider)), windsock.request() as request:
        assert [each("ann") for each in (nowhere, mistyped, unbounded, sound)] == [False] * 4
        assert [Lonely.for_user("ann").size, Twisted.for_user("ann").size] == [1, 1]
        request.failed(KeyError())
    logged = [each.log_record.attributes for each in exporter.get_finished_logs()]
    found = {each["feature_flag.key"]: each for each in logged}
    assert {key: each.get("error.type") for key, each in found.items()} == {
        "trace.nowhere": "flag_not_found",
        "trace.mistyped": "type_mismatch",
        "trace.unbounded": "general",
        "trace.sound": None,
        "trace_lonely": "flag_not_found",
        "trace_twisted": "general",
    }
    for key, each in found.items():
        assert bool(each.get("feature_flag.error.message")) == (key != "trace.sound")
        assert each["windsock.request.error"] == "KeyError"
    provider.shutdown()


def test_health_tells_of_the_writer_and_of_withdrawals(serve):
    serve({}, usage=MemorySink())
    health = windsock.health()
    assert health.usage.dropped == 0
    assert health.withdrawn == ()


def test_windsock_can_be_imported_without_flock_and_fork(tmp_path):
    program = """
import os, sys
from pydantic import SecretBytes  # the others have their own ways on such a system
import asyncio, openfeature.api, pydantic_settings
sys.modules["fcntl"] = None
del os.register_at_fork, os.fork
import windsock, windsock.usage
from windsock.usage import Spool
from pathlib import Path
try:
    Spool(Path("spool")).append([])
except OSError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "no flock" in done.stdout, done.stderr


def test_bytes_that_are_not_text_leave_a_row_in_a_request_and_outside(serve):
    class Salt(windsock.Settings):
        salt: bytes = b"\x00\xff"
        n: int = 1

    memory = MemorySink()
    serve({}, usage=memory)
    with windsock.request(user_id="ann"):
        read = Salt.for_user("ann")
        assert (read.salt, read.n) == (b"\x00\xff", 1)
    assert windsock.heal(Salt.for_user("ben"), lambda salt: salt.n) == 1
    windsock.stop()
    assert [(each.user_id, dict(each.values)) for each in memory.rows] == [
        ("ann", {"salt": "b'\\x00\\xff'", "n": 1}),
        ("ben", {"n": 1}),
    ]
