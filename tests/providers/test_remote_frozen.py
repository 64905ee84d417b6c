"""A flagd that answers nothing: few calls wait for it, it comes back by itself, and one slow flag is no outage."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.provider import ProviderStatus
from openfeature.schemas.protobuf.flagd.evaluation.v2 import evaluation_pb2, evaluation_pb2_grpc
from tests.flagd_server import FlagdServer
from tests.providers.test_remote import FLAGS, asking, status, value
from tests.waiting import until

LATE, AT_ONCE = "DEADLINE_EXCEEDED", "gives no answer within"
THREADS = 8


def all_at_once(call: Callable[[], None], threads: int) -> None:
    """Run it in each of so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        for each in [pool.submit(call) for _ in range(threads)]:
            each.result()


@pytest.mark.flagd
def test_a_frozen_server_costs_each_thread_a_few_deadlines_and_no_more(tmp_path: Path) -> None:
    messages: list[list[str]] = []

    def read() -> None:
        client, mine = api.get_client(), []
        for number in range(300):  # users of whom nothing was asked before
            details = client.get_string_details("where", "default", EvaluationContext(f"{number}"))
            assert details.value == "default"
            mine.append(str(details.error_message))
        messages.append(mine)

    events: list[ProviderEvent] = []
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd, asking(flagd.rpc, deadline=0.5):
        for event in (ProviderEvent.PROVIDER_STALE, ProviderEvent.PROVIDER_READY):
            api.add_handler(event, lambda _, event=event: events.append(event))
        assert value() == "red"
        flagd.freeze()
        all_at_once(read, THREADS)
        assert status() is ProviderStatus.STALE
        flagd.thaw()
        assert until(lambda: value() == "red" and status() is ProviderStatus.READY)
        ready, stale = ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_STALE
        assert until(lambda: events == [ready, stale, ready])
    assert len(messages) == THREADS
    for mine in messages:
        late = [message for message in mine if LATE in message]
        assert len(late) < 10, "two, unless the machine is busy"
        assert all(AT_ONCE in message for message in mine if message not in late)


@pytest.mark.flagd
def test_a_server_that_stays_frozen_is_an_error_after_the_grace_period(tmp_path: Path) -> None:
    with (
        FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd,
        asking(flagd.rpc, deadline=0.2, grace_period=0.5) as provider,
    ):
        flagd.freeze()
        assert value() == "default"
        assert until(lambda: status() is ProviderStatus.ERROR)
        assert f"localhost:{flagd.rpc} gives no answer within 0.2 s" in provider.serving.stale
        flagd.thaw()
        assert until(lambda: value() == "red" and status() is ProviderStatus.READY)


class SlowFlag(evaluation_pb2_grpc.ServiceServicer):
    """A flagd with one flag that takes for ever."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.asked = 0

    def EventStream(self, request, context):  # noqa: N802 - the protocol's name
        yield evaluation_pb2.EventStreamResponse(type="provider_ready")
        context.add_callback(self.ended.set)
        self.ended.wait()

    def ResolveBoolean(self, request, context):  # noqa: N802 - the protocol's name
        self.asked += 1
        return evaluation_pb2.ResolveBooleanResponse(value=True, reason="STATIC", variant="it")

    def ResolveString(self, request, context):  # noqa: N802 - the protocol's name
        if request.flag_key == "slow":
            self.ended.wait()
        return evaluation_pb2.ResolveStringResponse(value="red", reason="STATIC", variant="it")


@contextmanager
def listening(service: SlowFlag) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(16))
    evaluation_pb2_grpc.add_ServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        service.ended.set()
        server.stop(None).wait()


@pytest.mark.slow
def test_a_slow_flag_is_a_doubt_and_no_outage() -> None:
    service = SlowFlag()
    with listening(service) as port, asking(port, deadline=1.0) as provider:
        assert provider.ready()
        for round_ in range(2):
            asked = service.asked
            assert api.get_client().get_string_value("slow", "default") == "default"
            assert until(lambda asked=asked: service.asked > asked), "the sentinel was asked"
            assert (value(), status()) == ("red", ProviderStatus.READY), round_
