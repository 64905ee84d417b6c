"""Whatever goes wrong around a call: its answer, or its own exception, comes through."""

import asyncio
import logging
import threading
import time

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr
from tests.flagfiles import object_flag
from tests.healing.teachers import TYPO, Provider, StatusError, Teacher, not_found, profiles

import windsock
from windsock.healing import Blame, Verdict
from windsock.healing.quarantine import quarantine
from windsock.usage import MemorySink, Spool, UsageOptions, UsageWriter

ENDLESS = 60
"""Seconds that hanging things would hang, far beyond what a test waits."""


class UnprintableError(Exception):
    """Raises something whenever it is looked at."""

    def __init__(self, raised):
        self.raised = raised

    def __str__(self):
        raise self.raised

    __repr__ = __str__

    def __getattribute__(self, name):
        if name == "raised" or name.startswith("__"):
            return super().__getattribute__(name)
        raise self.raised

    def __setattr__(self, name, value):
        if name != "raised":
            raise self.raised
        super().__setattr__(name, value)


def once(error):
    """Fails with the tuned model, and answers with another."""

    def call(settings):
        if settings.reasoning_model == TYPO:
            raise error
        return "answered"

    return call


def always(error):
    def call(settings):
        assert settings.reasoning_model
        raise error

    return call


RAISED = [ValueError("no"), SystemExit(3), asyncio.CancelledError(), GeneratorExit()]
"""What a careless classifier or a hostile error may raise."""


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_an_error_that_raises_when_it_is_looked_at(serve, raised):
    serve(profiles(["ann"], reasoning_model=TYPO))
    error = UnprintableError(raised)
    assert kind_of(once(error)) == "answered"
    assert kind_of(always(error)) is UnprintableError


def kind_of(call):
    """What comes of a healed call: pytest itself could not print this error."""
    try:
        return windsock.heal(Teacher.for_user("ann"), call)
    except BaseException as error:  # noqa: BLE001
        return type(error)


def test_a_message_of_fifty_megabytes(serve, caplog):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)
    error = StatusError(404, "x" * 50_000_000)
    with windsock.request():
        assert windsock.heal(Teacher.for_user("ann"), once(error)) == "answered"
    windsock.stop()
    assert max(len(record.getMessage()) for record in caplog.records) < 2_000
    assert len(memory.rows[0].to_line()) < 4_000


@pytest.mark.slow
def test_a_huge_value_is_neither_logged_nor_sent_whole(serve, caplog):
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model="m" * 5_000_000), usage=memory)
    for _ in range(5):
        with windsock.request():
            windsock.heal(Teacher.for_user("ann"), Provider())
    (withdrawal,) = quarantine.in_force()
    windsock.stop()
    assert (withdrawal.value, len(withdrawal.reason) < 600) == (None, True)
    assert max(len(record.getMessage()) for record in caplog.records) < 2_000
    assert len(memory.rows[0].to_line()) < 4_000


@pytest.mark.parametrize("raised", RAISED, ids=repr)
@pytest.mark.parametrize("deadline", [None, 20])
def test_a_classifier_that_raises(serve, raised, deadline, caplog):
    serve(profiles(["ann"], reasoning_model=TYPO))

    def classifier(error, values):
        raise raised

    teacher = Teacher.for_user("ann")
    assert windsock.heal(teacher, Provider(), classify=classifier, deadline=deadline) == "gpt-4o-mini"
    assert "the classifier passed to heal failed" in caplog.text
    with pytest.raises(StatusError, match="overloaded"):
        windsock.heal(
            Teacher.for_user("ann"),
            always(StatusError(503, "overloaded")),
            classify=classifier,
            deadline=deadline,
        )


@pytest.mark.anyio
@pytest.mark.parametrize("raised", RAISED, ids=repr)
async def test_a_classifier_that_raises_in_an_event_loop(serve, raised):
    serve(profiles(["ann"], reasoning_model=TYPO))

    def classifier(error, values):
        raise raised

    async def call(settings):
        return Provider()(settings)

    assert await windsock.aheal(Teacher.for_user("ann"), call, classify=classifier) == "gpt-4o-mini"


def test_ctrl_c_is_the_user_s_wherever_it_arrives(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))

    def classifier(error, values):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        windsock.heal(Teacher.for_user("ann"), Provider(), classify=classifier)
    assert isinstance(caught.value.__context__, StatusError)


@pytest.fixture
def hanging():
    """A classifier that hangs until the test is over: what waits for it never ends."""
    release = threading.Event()

    def classifier(error, values):
        release.wait()

    yield classifier
    release.set()


def test_a_classifier_that_hangs_ends_with_the_deadline(serve, hanging, caplog):
    serve(profiles(["ann"], reasoning_model=TYPO))
    with pytest.raises(StatusError, match=TYPO):
        windsock.heal(Teacher.for_user("ann"), Provider(), classify=hanging, deadline=0.3)
    assert "the classifier passed to heal failed" in caplog.text


@pytest.mark.anyio
async def test_a_classifier_that_hangs_ends_with_the_deadline_in_an_event_loop(serve, hanging):
    serve(profiles(["ann"], reasoning_model=TYPO))

    async def call(settings):
        return Provider()(settings)

    with pytest.raises(StatusError, match=TYPO):
        await windsock.aheal(Teacher.for_user("ann"), call, classify=hanging, deadline=0.3)


def test_a_process_without_a_thread_to_spare_gives_the_call_s_own_error(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    before = threading.stack_size(2**46)  # more than any machine has: no thread can be started
    try:
        with pytest.raises(StatusError, match=TYPO):
            windsock.heal(Teacher.for_user("ann"), Provider(), deadline=20)
    finally:
        threading.stack_size(before)


def test_a_classifier_that_heals(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    teacher = Teacher.for_user("ann")

    def classifier(error, values):
        assert windsock.heal(Teacher.for_user("ann"), Provider()) == "gpt-4o-mini"
        return Verdict(Blame.VALUE)

    assert windsock.heal(teacher, Provider(), classify=classifier) == "gpt-4o-mini"


@pytest.mark.anyio
async def test_a_cancelled_task_leaves_its_thread_to_end_and_nothing_behind(serve):
    """As a web framework does it with a plain function, when the client hangs up."""
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)
    falling, release, ended = threading.Event(), threading.Event(), threading.Event()

    def call(settings):
        if settings.reasoning_model == TYPO:
            raise not_found(TYPO)
        falling.set()
        release.wait(ENDLESS)
        return "answered"

    def answer():
        try:
            return windsock.heal(Teacher.for_user("ann"), call)
        finally:
            ended.set()

    async def serve_one():
        async with windsock.request():
            await asyncio.to_thread(answer)

    task = asyncio.create_task(serve_one())
    await asyncio.to_thread(falling.wait, ENDLESS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert await asyncio.to_thread(ended.wait, ENDLESS)
    with windsock.request():
        assert windsock.heal(Teacher.for_user("ann"), Provider()) == "gpt-4o-mini"
    windsock.stop()
    assert [row.values for row in memory.rows] == [{"reasoning_model": "gpt-4o-mini"}] * 2


@pytest.mark.anyio
async def test_a_cancellation_is_not_a_deadline(serve):
    serve(profiles(["ann"], reasoning_model=TYPO))
    running = asyncio.Event()

    async def call(settings):
        assert settings.reasoning_model == TYPO
        running.set()
        await asyncio.sleep(ENDLESS)

    task = asyncio.create_task(windsock.aheal(Teacher.for_user("ann"), call, deadline=ENDLESS))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.anyio
async def test_a_cancellation_in_a_stream_closes_it_and_is_not_its_failure(serve, caplog):
    serve(profiles(["ann"], reasoning_model="gpt-4o"))
    began, closed = asyncio.Event(), asyncio.Event()

    async def stream(settings):
        try:
            yield settings.reasoning_model
            began.set()
            await asyncio.sleep(ENDLESS)
        finally:
            closed.set()

    async def read():
        return [part async for part in await windsock.aheal(Teacher.for_user("ann"), stream)]

    task = asyncio.create_task(read())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    assert "not healed" not in caplog.text


@pytest.mark.slow
def test_a_sink_that_blocks_holds_up_no_request(serve, tmp_path):
    class Blocked(MemorySink):
        open = threading.Event()

        def write(self, rows):
            self.open.wait()  # what waits for it never ends
            super().write(rows)

    sink, spool = Blocked(), Spool(tmp_path / "spool")
    serve(
        profiles(["ann"], reasoning_model=TYPO),
        usage=UsageWriter(sink, spool, UsageOptions(flush_interval=0.1)),
    )
    for _ in range(200):
        with windsock.request():
            assert windsock.heal(Teacher.for_user("ann"), Provider()) == "gpt-4o-mini"
    windsock.stop()  # with the sink still in its first batch
    assert sink.rows == []
    sink.open.set()
    later = MemorySink()
    with spool.claim() as rows:  # what the next process will replay
        later.write(rows or [])
    assert len({row.id for row in later.rows}) == 200


def test_a_clock_that_jumps_changes_nothing(serve, monkeypatch):
    jumps = iter(range(10**9, -(10**9), -10_000_000))  # seconds, further back at each look
    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    provider = Provider()
    for _ in range(8):
        with windsock.request():
            assert windsock.heal(Teacher.for_user("ann"), provider, deadline=20) == "gpt-4o-mini"
    monkeypatch.undo()
    assert provider.asked.count(TYPO) == 5
    (withdrawal,) = quarantine.in_force()
    assert 3500 < withdrawal.left <= 3600
    windsock.stop()
    assert len(memory.rows) == 8
    assert all(0 <= row.latency_ms < 60_000 for row in memory.rows)


class Account(BaseModel):
    keys: list[SecretStr] = []
    token: SecretBytes = SecretBytes(b"t0ken-default")


class Client(windsock.Settings, flag="client"):
    pem: SecretStr = SecretStr("default")
    account: Account = Account()


PEM = "-----BEGIN KEY-----\nMIIE  vQIBADANBg\n-----END KEY-----"


@pytest.mark.parametrize(
    "quoted",
    [
        PEM,
        repr(PEM),
        "qzxted-secret",
        "t0ken-nested",
        "x" * 480 + "qzxted-secret",
        "x" * 495 + "qzxted-secret",
    ],
    ids=["several lines", "as Python writes it", "in a list", "bytes", "at the cut", "at the cut's edge"],
)
def test_a_secret_that_an_error_quotes_is_masked_wherever_it_is_kept(serve, caplog, quoted):
    memory = MemorySink()
    values = {"pem": PEM, "account": {"keys": ["qzxted-secret"], "token": "t0ken-nested"}}
    serve({"client": object_flag({"base": values}, "base")}, usage=memory)

    def call(settings):
        if settings.pem.get_secret_value() == PEM and settings.account.keys:
            raise StatusError(400, f"refused: {quoted}")
        return "answered"

    caplog.set_level(logging.DEBUG)
    for _ in range(5):
        with windsock.request():
            assert windsock.heal(Client.live(), call) == "answered"
    withdrawals = quarantine.in_force()
    windsock.stop()
    assert "refused: " in withdrawals[0].reason
    kept = caplog.text + repr(withdrawals) + memory.rows[0].to_line()
    for part in ("MIIE", "vQIB", "qzxted-s", "qzx", "t0ken"):
        assert part not in kept
