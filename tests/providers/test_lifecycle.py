"""Starting twice, stopping while a start is under way, and stopping what never started: no thread is left."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.provider import AbstractProvider
from tests.flagfiles import write_flags
from tests.waiting import until

from windsock.providers import FilesProvider
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider

FLAGS: dict[str, object] = {"colour": {"state": "ENABLED", "variants": {"it": "red"}, "defaultVariant": "it"}}


@pytest.fixture(params=["files", "stream", "remote"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], AbstractProvider]]:
    """Makes a provider; a server takes its connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = FlagdOptions(port=silent.getsockname()[1], deadline=0.5)
        if request.param == "files":
            write_flags(tmp_path / "a.flagd.json", FLAGS)
        yield {
            "files": lambda: FilesProvider(tmp_path),
            "stream": lambda: StreamProvider(options, {}, None),
            "remote": lambda: RemoteProvider(options),
        }[request.param]


def start(provider: AbstractProvider) -> None:
    with suppress(OpenFeatureError):
        provider.initialize(EvaluationContext())


def ours() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return sorted(name for name in names if name.startswith(("windsock", "FlagdGrpc")))


def test_a_second_start_replaces_the_first(provider: Callable[[], AbstractProvider]) -> None:
    made = provider()
    start(made)
    once = ours()
    start(made)
    assert ours() == once
    made.shutdown()
    assert ours() == []


def test_a_stop_of_what_never_started(provider: Callable[[], AbstractProvider]) -> None:
    made = provider()
    made.shutdown()
    made.shutdown()
    assert ours() == []


class SlowFiles(FilesProvider):
    """Files whose reading takes until the test says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reading, self.go_on = threading.Event(), threading.Event()

    def refresh(self) -> None:
        self.reading.set()
        assert self.go_on.wait(60)
        super().refresh()


def test_a_stop_while_files_are_read_for_the_start(tmp_path: Path) -> None:
    provider = SlowFiles(tmp_path)
    starting = threading.Thread(target=start, args=(provider,))
    starting.start()
    assert provider.reading.wait(60)
    provider.shutdown()
    provider.go_on.set()
    starting.join()
    assert ours() == []


# a thread of gRPC's own that finds its channel closed before it has looked at it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("resolver", [StreamProvider, RemoteProvider])
def test_a_stop_while_a_start_waits_for_the_server(resolver: type[AbstractProvider]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        provider = resolver(FlagdOptions(port=silent.getsockname()[1], deadline=2.0))
        starting = threading.Thread(target=start, args=(provider,))
        starting.start()
        assert until(lambda: any(name.startswith("windsock") for name in ours()))
        provider.shutdown()
        starting.join()
        assert ours() == []
