"""Exposure at use, and the OpenTelemetry events of it."""

import subprocess
import sys
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from tests.healing.conftest import anyio_backend, fresh_process, serve
from tests.healing.teachers import CONFIG, TYPO, Provider, Teacher, profiles

import windsock
from windsock.usage import ExposureSink, Measured, MemorySink, OpenTelemetrySink, Pending, Sinks, Use, clean

__all__ = ["anyio_backend", "fresh_process", "serve"]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def row(user="ann", variant="v", healed=(), **values):
    use = Use("teacher", variant, None, "rev", "TARGETING_MATCH", "test", user, values, healed)
    return clean(Pending(uuid4(), datetime.now(UTC), use, Measured()))


def test_a_field_counts_once_for_a_user_a_variant_and_a_window():
    memory, clock = MemorySink(), Clock()
    sink = ExposureSink(memory, window=60, clock=clock)
    sink.write([row(model="a"), row(model="a"), row(model="a", top_k=3), row("ben", model="a")])
    sink.write([row(variant="w", model="a"), row(model="a")])
    assert [(each.user_id, each.variant, dict(each.values)) for each in memory.rows] == [
        ("ann", "v", {"model": "a"}),
        ("ann", "v", {"top_k": 3}),
        ("ben", "v", {"model": "a"}),
        ("ann", "w", {"model": "a"}),
    ]
    clock.now = 61
    sink.write([row(model="a")])
    assert len(memory.rows) == 5


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


def test_evaluating_is_no_exposure_and_reading_is(serve):
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
    with windsock.request(request_id="r-1"):
        windsock.heal(Teacher.for_user("ann"), Provider())
    windsock.stop()
    (event,) = [each.log_record for each in exporter.get_finished_logs()]
    assert event.event_name == "feature_flag.evaluation"
    found = dict(event.attributes)
    assert found.pop("windsock.record_id") == str(memory.rows[0].id)
    assert TYPO in found.pop("windsock.healed")
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


def test_health_tells_of_the_writer_and_of_withdrawals(serve):
    serve({}, usage=MemorySink())
    health = windsock.health()
    assert health.usage.dropped == 0
    assert health.withdrawn == ()


def test_windsock_can_be_imported_where_there_is_no_flock_and_no_fork(tmp_path):
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
