"""A connection that ended leaves no socket and no thread, however it ended, and a fork waits for gRPC's threads."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import psutil
import pytest
from openfeature import _event_support, api
from openfeature.contrib.provider.flagd.resolvers.grpc import GrpcResolver
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, ProviderNotReadyError
from tests.flagd_server import FlagdServer
from tests.providers.sync_server import SyncServer
from tests.waiting import until

from windsock.providers import stock as stock_client
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider
from windsock.providers.sync_connection import LostError, SyncConnection

FLAGS = {"colour": {"state": "ENABLED", "variants": {"it": "red"}, "defaultVariant": "it"}}
TIMES = 20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's threads")


def sockets(port: int) -> int:
    """The process's connections to a port."""
    connections = psutil.Process().net_connections("all")
    return sum(bool(each.raddr) and each.raddr[-1] == port for each in connections)


@contextmanager
def following(port: int, **options: float) -> Iterator[StreamProvider]:
    options = {"deadline": 5.0, "backoff": 0.01, "backoff_max": 0.01, **options}
    provider = StreamProvider(FlagdOptions(port=port, **options), {}, None)
    with suppress(ProviderNotReadyError):
        api.set_provider_and_wait(provider)
    try:
        yield provider
    finally:
        provider.shutdown()
        _event_support.clear()
        api.clear_providers()


def nothing_is_left(port: int) -> bool:
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("windsock")]
    return not ours and until(lambda: sockets(port) == 0)


@pytest.fixture
def server() -> Iterator[SyncServer]:
    with SyncServer(FLAGS) as server:
        yield server


def test_a_stream_that_is_stopped(server: SyncServer) -> None:
    for _ in range(3):
        with following(server.port):
            assert sockets(server.port) == 1
        assert nothing_is_left(server.port)


def test_a_stream_that_connects_again_and_again(server: SyncServer) -> None:
    with following(server.port):
        for number in range(TIMES):
            server.end_streams()
            assert until(lambda number=number: len(server.requests()) >= number + 2)
        assert until(lambda: sockets(server.port) == 1)
    assert nothing_is_left(server.port)


def test_streams_that_live_their_life(server: SyncServer) -> None:
    with following(server.port, stream_deadline=0.05):
        assert until(lambda: len(server.requests()) > TIMES, 60)
        assert until(lambda: sockets(server.port) <= 1)
    assert nothing_is_left(server.port)


def test_a_set_that_cannot_be_taken_for_a_reason_of_our_own(server: SyncServer) -> None:
    """The thread leaves the stream in the middle; its end is read all the same."""
    for _ in range(3):
        pushes = SyncConnection(FlagdOptions(port=server.port)).pushes()
        next(pushes)
        assert sockets(server.port) == 1
        pushes.close()
        del pushes
        assert nothing_is_left(server.port)


def test_a_server_that_is_frozen(server: SyncServer) -> None:
    with following(server.port):
        server.freeze()
    assert nothing_is_left(server.port)


@pytest.mark.slow
def test_a_server_that_accepts_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with following(port, deadline=0.1):
            assert until(lambda: sockets(port) >= 1)
        assert nothing_is_left(port), "gRPC gives up on it by itself, after a connection's longest time"


def test_a_connection_that_was_closed_before_it_was_read(server: SyncServer) -> None:
    connection = SyncConnection(FlagdOptions(port=server.port))
    connection.close()
    with pytest.raises(LostError):
        next(connection.pushes())
    assert server.requests() == []
    assert nothing_is_left(server.port)


@pytest.mark.flagd
def test_a_remote_that_is_stopped(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd:
        provider = RemoteProvider(FlagdOptions(port=flagd.rpc, deadline=10.0))
        for _ in range(3):
            provider.initialize(EvaluationContext())
            assert sockets(flagd.rpc) >= 1
            provider.shutdown()
            assert nothing_is_left(flagd.rpc)


def native_threads() -> list[str]:
    """Names of the threads that gRPC starts and Python does not know of."""
    known = {thread.native_id for thread in threading.enumerate()}
    names = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            names += [(task / "comm").read_text().strip()] if int(task.name) not in known else []
    return [name for name in names if name.startswith(("event_engine", "grpc_", "lifeguard"))]


FORKS = """
import json, os

seen = []
# the first that is registered is the last to run
os.register_at_fork(before=lambda: seen.append(native_threads()))

from tests.providers.test_connections import native_threads

from openfeature.evaluation_context import EvaluationContext
from windsock.providers.flagd_options import FlagdOptions
{imports}

provider = {provider}
provider.initialize(EvaluationContext())
for _ in range(10):
    pid = os.fork()
    if not pid:
        provider.shutdown()
        os._exit(0)
    os.waitpid(pid, 0)
provider.shutdown()
if not (pid := os.fork()):  # as soon as it is stopped
    os._exit(0)
os.waitpid(pid, 0)
print(json.dumps(seen))
"""


def threads_at_forks(provider: str, imports: str) -> list[list[str]]:
    """gRPC's threads at eleven forks of a process, ten of them while the provider serves."""
    script = FORKS.replace("{provider}", provider).replace("{imports}", imports)
    command = [sys.executable, "-W", "ignore", "-c", script]
    return json.loads(subprocess.run(command, capture_output=True, timeout=120, check=True).stdout)


def test_no_grpc_thread_runs_when_a_process_with_a_stream_forks(server: SyncServer) -> None:
    """A child that is forked while gRPC shuts down inherits its lock, and hangs at its first channel."""
    provider = f"StreamProvider(FlagdOptions(port={server.port}, deadline=10.0), {{}}, None)"
    imports = "from windsock.providers.stream import StreamProvider"
    assert threads_at_forks(provider, imports) == [[]] * 11


@pytest.mark.flagd
def test_no_grpc_thread_runs_when_a_process_with_a_remote_forks(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd:
        provider = f"RemoteProvider(FlagdOptions(port={flagd.rpc}, deadline=10.0))"
        imports = "from windsock.providers.remote import RemoteProvider"
        assert threads_at_forks(provider, imports) == [[]] * 11


def test_a_channel_that_closes_between_two_questions_is_no_error_of_their_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = FlagdOptions(port=1)
    stock = stock_client.make(options)

    def answer(*_: object) -> None:
        cast("GrpcResolver", stock.resolver).channel.close()
        raise FlagNotFoundError

    monkeypatch.setattr(stock, "resolve_boolean_details", answer)
    assert stock_client.ask(stock, options, had_flags=False) == "is no longer asked"
