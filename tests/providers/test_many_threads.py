"""64 threads and an event loop on a real flagd: each its own right values, and nothing is left of them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openfeature import _event_support, api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import AbstractProvider, ProviderStatus
from tests.flagd_server import FlagdServer
from tests.flagfiles import object_flag
from tests.waiting import until

from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider

pytestmark = pytest.mark.flagd

THREADS = 64
RESOLVERS = ["stream", "remote"]


def flags(generation: int) -> dict[str, object]:
    """Every user's own answer, in one generation: a mix of two would be seen."""
    variants = {f"user-{number}": {"user": number, "generation": generation} for number in range(THREADS)}
    return {"whose": object_flag({"none": {}, **variants}, "none", {"var": "targetingKey"})}


@contextmanager
def serving(resolver: str, flagd: FlagdServer) -> Iterator[AbstractProvider]:
    provider: AbstractProvider = (
        StreamProvider(FlagdOptions(port=flagd.sync, deadline=10.0), {}, None)
        if resolver == "stream"
        else RemoteProvider(FlagdOptions(port=flagd.rpc, deadline=10.0))
    )
    api.set_provider_and_wait(provider)
    try:
        yield provider
    finally:
        provider.shutdown()
        _event_support.clear()
        api.clear_providers()


def ours() -> set[str]:
    """Threads that a provider, or the stock client below it, started."""
    names = ("windsock", "Flagd")
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(names)}


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_each_of_64_threads_sees_its_own_values_while_they_change(resolver: str, tmp_path: Path) -> None:
    wrong: list[object] = []
    last: list[int] = [0] * THREADS
    stop = threading.Event()

    def read(number: int) -> None:
        client, context = api.get_client(), EvaluationContext(f"user-{number}")
        while not stop.wait(0.01):
            details = client.get_object_details("whose", {}, context)
            given = details.value
            if details.error_code or not isinstance(given, dict) or given["user"] != number:
                wrong.append(details)
            else:
                last[number] = int(str(given["generation"]))

    before = ours()
    with FlagdServer.serving(tmp_path, {"flags": flags(1)}) as flagd, serving(resolver, flagd):
        readers = [threading.Thread(target=read, args=(number,)) for number in range(THREADS)]
        for reader in readers:
            reader.start()
        for generation in (1, 2, 3):
            flagd.write(flags(generation))
            assert until(lambda generation=generation: set(last) == {generation}, 60), (generation, last)
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert ours() <= before


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_a_shutdown_under_64_threads_ends_and_leaves_nothing(resolver: str, tmp_path: Path) -> None:
    """Calls under way end with the value or the caller's default, never with an exception."""
    raised: list[BaseException] = []
    stop, reading = threading.Event(), threading.Semaphore(0)

    def read(number: int) -> None:
        client, context = api.get_client(), EvaluationContext(f"user-{number}")
        try:
            while not stop.is_set():
                assert client.get_object_value("whose", {}, context) in (
                    {},
                    {"user": number, "generation": 1},
                )
                reading.release()
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            raised.append(error)
            reading.release()

    before = ours()
    with FlagdServer.serving(tmp_path, {"flags": flags(1)}) as flagd:
        for _ in range(2):
            with serving(resolver, flagd) as provider:
                stop.clear()
                readers = [threading.Thread(target=read, args=(number,)) for number in range(THREADS)]
                for reader in readers:
                    reader.start()
                for _ in range(2 * THREADS):
                    assert reading.acquire(timeout=60)
                provider.shutdown()
                stop.set()
                for reader in readers:
                    reader.join()
            assert raised == []
            assert ours() <= before


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_the_event_loop_runs_between_asynchronous_evaluations(resolver: str, tmp_path: Path) -> None:
    """What the loop does besides goes on while 200 answers are awaited."""
    order: list[str] = []

    async def evaluate(number: int) -> object:
        context = EvaluationContext(f"user-{number % THREADS}")
        given = await api.get_client().get_object_value_async("whose", {}, context)
        order.append("answer")
        return given

    async def main() -> list[object]:
        answers = asyncio.gather(*(evaluate(number) for number in range(200)))
        while not answers.done():
            order.append("tick")
            await asyncio.sleep(0.001)
        return await answers

    with FlagdServer.serving(tmp_path, {"flags": flags(1)}) as flagd, serving(resolver, flagd):
        answers = asyncio.run(main())
        assert api.get_client().get_provider_status() is ProviderStatus.READY
    assert answers == [{"user": number % THREADS, "generation": 1} for number in range(200)]
    if resolver == "remote":  # a compiled flag is answered before the loop could run
        first, last = order.index("answer"), len(order) - order[::-1].index("answer")
        assert "tick" in order[first:last]
