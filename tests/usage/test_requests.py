"""Requests: which views belong to them, what a row says, and that recording never costs an answer."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from decimal import Decimal

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails
from opentelemetry import trace as otel
from werkzeug.local import LocalProxy

from windsock.providers.files import FilesProvider
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider
from windsock.usage import MemorySink, Spool, UsageOptions, UsageRecord, UsageWriter
from windsock.usage.request import Healed, Use, current_request, install, installed, record, request

USE = Use("teacher", "none", None, "0123456789ab", "DEFAULT", "test", "u1", {"retrieval_top_k": 10})


class View:
    """A settings view as the seam sees it."""

    def __init__(self, use: Use = USE) -> None:
        self._use = use

    def use(self) -> Use:
        return self._use


@pytest.fixture
def rows(tmp_path):
    """The rows written so far, after a flush."""
    sink = MemorySink()
    writer = UsageWriter(sink, Spool(tmp_path / "spool"), UsageOptions(flush_interval=20))
    before = install(writer)

    def flushed():
        assert writer.flush()
        return sink.rows

    flushed.sink = sink
    yield flushed
    install(before)
    writer.stop()


def test_a_request_leaves_one_row_with_what_it_measured(rows):
    with request(request_id="r-1") as this:
        assert current_request() is this
        this.record(View())
        this.tokens(input=100, output=20, cost=0.1)
        this.tokens(input=1, cost=Decimal("0.2"))
    assert current_request() is None
    (row,) = rows()
    assert (row.flag, row.user_id, row.request_id) == ("teacher", "u1", "r-1")
    assert (row.input_tokens, row.output_tokens, row.cost) == (101, 20, Decimal("0.3"))
    assert row.values == {"retrieval_top_k": 10}
    assert 0 <= row.latency_ms < 60_000


def test_a_row_says_how_the_request_ended_and_who_answered(rows):
    with request() as this:
        this.record(View())
        this.tokens(input=1, model="gpt-4o-2024-11-20")
        this.tokens(input=1)
    with contextlib.suppress(TimeoutError), request() as this:
        this.record(View())
        raise TimeoutError
    with request() as this:
        this.record(View())
        this.failed("HTTP 503")
    ended = [(row.status, row.error_class, row.answered_model) for row in rows()]
    assert ended == [
        ("ok", None, "gpt-4o-2024-11-20"),
        ("error", "TimeoutError", None),
        ("error", "HTTP 503", None),
    ]


def test_the_first_item_of_a_stream_is_timed_once(rows):
    with request() as this:
        this.record(View())
        this.first_item()
        time.sleep(0.02)
        this.first_item()
    with request() as this:
        this.record(View())
    streamed, plain = rows()
    assert 0 <= streamed.first_item_ms < streamed.latency_ms - 15
    assert plain.first_item_ms is None


def test_events_and_scores_belong_to_their_request_and_its_user(rows):
    with request(request_id="r-1") as this:
        this.track("bought", 12.5, currency="CHF")
        this.record(View())
        this.score("judge", 1.0, label="pass")
    with request(user_id="u2") as this:
        this.track("opened")
    rows()
    bought, judged, opened = rows.sink.events
    assert (bought.name, bought.value, bought.user_id, bought.request_id) == ("bought", 12.5, "u1", "r-1")
    assert bought.attributes_json == '{"currency":"CHF"}'
    assert json.loads(judged.attributes_json) == {"label": "pass", "gen_ai.evaluation": True}
    assert (opened.value, opened.user_id) == (None, "u2")
    assert len({each.id for each in rows.sink.events}) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "five", 10**400])
def test_a_value_that_is_not_a_number_is_left_out(rows, value):
    with request() as this:
        this.track("bought", value)
    rows()
    assert [each.value for each in rows.sink.events] == [None]


@pytest.mark.parametrize("make", [FilesProvider, RemoteProvider, StreamProvider])
def test_the_standard_call_reaches_the_writer_through_each_provider(rows, make, tmp_path):
    provider = FilesProvider(tmp_path) if make is FilesProvider else make()
    client = api.get_client("tracking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(client), "provider", provider)
        context = EvaluationContext("u1", {"unit": "s-1", "email": "a@b.ch"})
        client.track("bought", context, TrackingEventDetails(12.5, {"currency": "CHF"}))
        client.track("opened")
    rows()
    bought, opened = rows.sink.events
    assert (bought.name, bought.value, bought.user_id, bought.unit) == ("bought", 12.5, "u1", "s-1")
    assert (bought.environment, bought.attributes_json) == ("production", '{"currency":"CHF"}')
    assert (opened.user_id, opened.value) == (None, None)


def test_a_sink_that_takes_usage_alone_gets_usage_alone(tmp_path):
    class Plain:
        def __init__(self):
            self.rows = []

        def write(self, rows):
            self.rows.extend(rows)

    sink = Plain()
    writer = UsageWriter(sink, Spool(tmp_path / "spool"), UsageOptions(flush_interval=20))
    before = install(writer)
    with request() as this:
        this.record(View())
        this.track("bought")
    install(before)
    writer.stop()
    assert [type(row) for row in sink.rows] == [UsageRecord]


def test_views_of_one_flag_join_and_flags_stay_apart(rows):
    with request() as this:
        this.record(View())
        this.record(View(USE._replace(values={"temperature": 0.2}, healed=[Healed("m", "x", "404", "base")])))
        this.record(View(USE._replace(flag="tutor", values={"tone": "kind"})))
    teacher, tutor = rows()
    assert teacher.values == {"retrieval_top_k": 10, "temperature": 0.2}
    assert [each["field"] for each in teacher.healed] == ["m"]
    assert tutor.flag == "tutor"
    assert teacher.request_id == tutor.request_id


def test_a_variant_that_changed_in_mid_request_has_its_own_row(rows):
    with request() as this:
        this.record(View())
        this.record(View(USE._replace(variant="other", revision="ba9876543210")))
    assert [row.variant for row in rows()] == ["none", "other"]


def test_a_view_of_which_nothing_was_read_leaves_no_row(rows):
    with request() as this:
        this.record(View(USE._replace(values={})))
    assert rows() == []


def test_the_requests_user_replaces_a_missing_one(rows):
    with request(user_id="u9") as this:
        this.record(View(USE._replace(user_id=None)))
        this.record(View(USE._replace(flag="tutor")))
    assert {row.flag: row.user_id for row in rows()} == {"teacher": "u9", "tutor": "u1"}


def test_requests_nest(rows):
    with request() as outer:
        with request() as inner:
            assert current_request() is inner
        assert current_request() is outer


def test_the_callers_exception_comes_through_and_the_row_is_written(rows):
    def answer():
        with request() as this:
            this.record(View())
            raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        answer()
    assert len(rows()) == 1


def test_a_view_that_raises_costs_its_own_row_only(rows, caplog):
    class Broken(View):
        def use(self) -> Use:
            raise RuntimeError("no account")

    with request() as this:
        this.record(Broken())
        this.record(View())
    assert len(rows()) == 1
    assert "gave no account of its use" in caplog.text


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), Decimal("sNaN"), "1,5", "free"])
def test_a_cost_that_is_not_a_number_is_left_out_with_a_warning(rows, caplog, cost):
    with request() as this:
        this.record(View())
        this.tokens(input=1, cost=cost)
    (row,) = rows()
    assert (row.input_tokens, row.cost) == (1, None)
    assert "is not a number" in caplog.text


def test_tasks_and_threads_of_a_request_belong_to_it_and_others_do_not(rows):
    async def ask(user, request_id):
        async with request(user_id=user, request_id=request_id):
            await asyncio.sleep(0)
            await asyncio.gather(register("teacher"), asyncio.to_thread(register_now, "tutor"))

    async def register(flag):
        register_now(flag)

    def register_now(flag):
        current_request().record(View(USE._replace(flag=flag, user_id=None)))

    async def ask_all():
        await asyncio.gather(*(ask(f"u{n}", f"r{n}") for n in range(20)))

    asyncio.run(ask_all())
    written = {(row.request_id, row.user_id, row.flag) for row in rows()}
    assert written == {(f"r{n}", f"u{n}", flag) for n in range(20) for flag in ("teacher", "tutor")}


def test_what_outlives_its_request_no_longer_belongs_to_it():
    async def late(ended):
        assert current_request() is not None
        await ended.wait()
        return current_request()

    async def outlive():
        ended = asyncio.Event()
        async with request():
            task = asyncio.create_task(late(ended))
            await asyncio.sleep(0)
        ended.set()
        return await task

    assert asyncio.run(outlive()) is None


def test_a_lazy_user_is_read_when_it_is_given(rows):
    """Flask's says that it is text, and can't be read in another thread."""
    user = ["u1"]
    with request(user_id=LocalProxy(user.pop)) as this:
        this.record(View(USE._replace(user_id=None)))
    assert [row.user_id for row in rows()] == ["u1"]


def test_an_active_span_gives_the_trace_id(rows):
    span = otel.NonRecordingSpan(otel.SpanContext(0xABC, 0x1, is_remote=False))
    with otel.use_span(span), request() as this:
        this.record(View())
        record(USE)
    with request() as this:
        this.record(View())
    assert sorted(str(row.trace_id) for row in rows()) == [f"{0xABC:032x}"] * 2 + ["None"]


def test_opentelemetry_and_psycopg_are_never_imported_for_recording():
    program = (
        "import sys; from windsock.usage.request import request\n"
        "with request(): pass\n"
        "assert not {'opentelemetry', 'psycopg'} & set(sys.modules)"
    )
    # a pydantic plugin that is installed here, logfire say, imports what it likes
    alone = {**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=alone)


def test_a_use_outside_any_request_is_a_row_without_one(rows):
    record(USE)
    (row,) = rows()
    assert (row.request_id, row.latency_ms) == (None, None)


def test_without_a_writer_nothing_happens():
    before = install(None)
    with request() as this:
        this.record(View())
        record(USE)
    assert installed() is None
    install(before)
