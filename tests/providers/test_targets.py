"""Every way to name a flagd server: host and port, a gRPC target, a proxy, a Unix socket; stream and remote alike."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ProviderNotReadyError
from tests.flagd_server import FlagdServer
from tests.flagfiles import write_flags

from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider

pytestmark = pytest.mark.flagd

FLAGS: dict[str, object] = {"colour": {"state": "ENABLED", "variants": {"it": "red"}, "defaultVariant": "it"}}


@pytest.fixture(params=["stream", "remote"])
def resolver(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a Unix socket's has room for about a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="s") as name:
        yield Path(name)


def value(resolver: str, **options: Any) -> str:
    """The flag as a provider with these options gives it."""
    chosen = FlagdOptions(**{"deadline": 20.0, **options})
    provider = StreamProvider(chosen, {}, None) if resolver == "stream" else RemoteProvider(chosen)
    try:
        provider.initialize(EvaluationContext())
        return provider.resolve_string_details("colour", "default").value
    finally:
        provider.shutdown()


@pytest.mark.parametrize(
    "options",
    [
        lambda port: {"host": "127.0.0.1", "port": port},
        lambda port: {"target_uri": f"dns:///localhost:{port}"},
        lambda port: {"target_uri": f"envoy://localhost:{port}/flagd.service"},
        lambda port: {"target_uri": f"localhost:{port}", "authority": "flagd.service"},
    ],
    ids=["host", "dns", "envoy", "authority"],
)
def test_a_server_is_found(tmp_path: Path, resolver: str, options: Callable[[int], dict[str, Any]]) -> None:
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd:
        port = flagd.sync if resolver == "stream" else flagd.rpc
        assert value(resolver, **options(port)) == "red"


def test_a_server_behind_a_unix_socket_is_found(folder: Path, resolver: str) -> None:
    write_flags(folder / "served.flagd.json", FLAGS)
    with FlagdServer(folder / "served.flagd.json", sockets=folder):
        assert value(resolver, socket_path=str(folder / ("sync" if resolver == "stream" else "rpc"))) == "red"


def test_a_missing_certificate_file_is_named(tmp_path: Path, resolver: str) -> None:
    with pytest.raises(ProviderNotReadyError, match=r"no\.pem: cannot be read: No such file"):
        value(resolver, tls=True, certificate=str(tmp_path / "no.pem"), deadline=0.3)
