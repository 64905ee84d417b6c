"""Values stay right after a fork, under many threads and under asyncio; each provider alike."""

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openfeature import _event_support, api
from openfeature.event import ProviderEvent
from openfeature.provider import AbstractProvider
from tests.flagfiles import write_flags
from tests.providers.sync_server import SyncServer
from tests.waiting import until

from windsock.evaluator import FlagEvaluator
from windsock.flags.model import FlagSet
from windsock.providers import FilesProvider, forking
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.stream import StreamProvider

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]


def colour(name: str) -> dict[str, object]:
    variants = {"it": name, "half": name}
    rule = {"fractional": [["it", 50], ["half", 50]]}
    return {"colour": {"state": "ENABLED", "variants": variants, "defaultVariant": "it", "targeting": rule}}


class Source:
    """A provider that serves, and a way to change what it serves."""

    def __init__(self, provider: AbstractProvider, change: Callable[[str], None]) -> None:
        self.provider = provider
        self.change = change


@pytest.fixture(params=["files", "stream"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    if request.param == "files":
        path = tmp_path / "a.flagd.json"
        write_flags(path, colour("red"))
        made = Source(FilesProvider(tmp_path, poll=0.2), lambda name: write_flags(path, colour(name)))
        yield from serving(made)
        return
    with SyncServer(colour("red")) as server:
        options = FlagdOptions(port=server.port, deadline=10.0, backoff=0.05, backoff_max=0.2)
        yield from serving(Source(StreamProvider(options, {}, None), lambda name: server.push(colour(name))))


def serving(source: Source) -> Iterator[Source]:
    api.set_provider_and_wait(source.provider)
    yield source
    source.provider.shutdown()
    _event_support.clear()
    api.clear_providers()


def value() -> str:
    return api.get_client().get_string_value("colour", "default")


def forked(child: Callable[[], bool]) -> int:
    """Run in a forked child, as gunicorn's master forks its workers; give the child's id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        ok = child()
    except BaseException as error:  # noqa: BLE001 - the child must end here whatever happens
        sys.stderr.write(f"child: {error!r}\n")
        os._exit(4)
    os._exit(0 if ok else 3)


def ended(pid: int, seconds: float = 90.0) -> int:
    """The child's exit status: 0 well, 3 wrong, negative a signal, None still running (then killed)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return -9


@pytest.mark.slow
def test_workers_forked_after_the_start_follow_by_themselves(source: Source) -> None:
    assert value() == "red"
    workers = [forked(lambda: until(lambda: value() == "blue")) for _ in range(6)]
    source.change("blue")
    assert [ended(pid) for pid in workers] == [0] * 6
    assert until(lambda: value() == "blue"), "the parent goes on following"
    source.change("green")
    assert until(lambda: value() == "green")


def test_a_child_serves_the_inherited_set_at_once_and_ends_cleanly(source: Source) -> None:
    def child() -> bool:
        first = value() == "red"
        source.provider.shutdown()
        return first and not [
            thread for thread in threading.enumerate() if thread.name.startswith("windsock")
        ]

    assert ended(forked(child)) == 0


@pytest.mark.slow
def test_a_child_of_a_child(source: Source) -> None:
    def child() -> bool:
        return ended(forked(lambda: until(lambda: value() == "blue"))) == 0

    pid = forked(child)
    source.change("blue")
    assert ended(pid) == 0


@pytest.mark.slow
def test_fork_again_and_again_while_threads_read_and_sets_change(source: Source) -> None:
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            if value() == "default":
                wrong.append("default")
            time.sleep(0.001)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for number in range(20):
            source.change(f"v{number}")
            assert ended(forked(lambda: value() != "default")) == 0
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert until(lambda: value() == "v19")


def test_events_reach_handlers_in_a_child(source: Source) -> None:
    """OpenFeature's handler threads do not survive a fork; they are made again."""
    parent = threading.Event()
    api.add_handler(ProviderEvent.PROVIDER_READY, lambda _: parent.set())
    assert parent.wait(60), "the parent's handler threads have run before the fork"

    def child() -> bool:
        seen = threading.Event()
        api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda _: seen.set())
        return seen.wait(60)

    pid = forked(child)
    time.sleep(0.3)
    source.change("blue")
    assert ended(pid) == 0


def test_multiprocessing_fork(source: Source) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=lambda: answers.put(until(lambda: value() == "blue")))
    process.start()
    source.change("blue")
    assert answers.get(timeout=90) is True
    process.join(60)
    assert process.exitcode == 0


def spawned(place: str, answers: "multiprocessing.Queue[str]") -> None:
    """Runs in a fresh interpreter, which starts a provider of its own."""
    provider: AbstractProvider
    if place.isdecimal():
        provider = StreamProvider(FlagdOptions(port=int(place), deadline=10.0), {}, None)
    else:
        provider = FilesProvider(place)
    api.set_provider_and_wait(provider)
    answers.put(value())
    provider.shutdown()


def test_multiprocessing_spawn(source: Source) -> None:
    serving_from = source.provider.serving.source
    place = serving_from.rpartition(":")[2] if isinstance(source.provider, StreamProvider) else serving_from
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=spawned, args=(place, answers))
    process.start()
    assert answers.get(timeout=60) == "red"
    process.join(60)
    assert process.exitcode == 0
    assert value() == "red"


def test_sixty_four_threads(source: Source) -> None:
    client = api.get_client()
    known = {"red", *(f"v{number}" for number in range(10))}
    stop, seen = threading.Event(), [set() for _ in range(64)]

    def read(answers: set[str]) -> None:
        while not stop.is_set():
            answers.add(client.get_string_value("colour", "default"))
            time.sleep(0.001)

    readers = [threading.Thread(target=read, args=(answers,)) for answers in seen]
    for reader in readers:
        reader.start()
    try:
        for number in range(10):
            source.change(f"v{number}")
            time.sleep(0.05)
        assert until(lambda: value() == "v9", 60)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert set.union(*seen) <= known
    assert all(answers for answers in seen)


def test_an_event_loop_reads_while_flags_are_changed(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten changes are held half way until 20 tasks have read: a read that waits for one never ends."""
    loading, go_on = threading.Semaphore(0), threading.Semaphore(0)
    load = FlagEvaluator.load

    def held(evaluator: FlagEvaluator, flag_set: FlagSet) -> frozenset[str]:
        loading.release()
        go_on.acquire()
        return load(evaluator, flag_set)

    async def read() -> str:
        return await api.get_client().get_string_value_async("colour", "default")

    async def main() -> None:
        before = "red"
        for number in range(10):
            await asyncio.to_thread(source.change, f"v{number}")
            await asyncio.to_thread(loading.acquire)
            assert set(await asyncio.gather(*(read() for _ in range(20)))) == {before}
            go_on.release()
            before = f"v{number}"
            assert await asyncio.to_thread(until, lambda now=before: value() == now)

    monkeypatch.setattr(FlagEvaluator, "load", held)
    asyncio.run(main())


class _Clock:
    """Counts how often it was paused and started."""

    def __init__(self, *, broken: bool) -> None:
        self.broken = broken
        self.calls: list[str] = []

    def before_fork(self) -> None:
        self._note("before")

    def after_fork(self, *, in_child: bool) -> None:
        self._note("child" if in_child else "parent")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.broken:
            raise RuntimeError("it is stuck")


def test_one_that_fails_around_a_fork_keeps_no_other_from_pausing(caplog: pytest.LogCaptureFixture) -> None:
    clocks = [_Clock(broken=each % 2 == 0) for each in range(6)]
    for each in clocks:
        forking.register(each)
    child = os.fork()
    if child == 0:
        os._exit(0 if all(each.calls == ["before", "child"] for each in clocks) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [each.calls for each in clocks] == [["before", "parent"]] * 6
    assert caplog.text.count("_Clock around a fork") == 6  # three pause, three start again
