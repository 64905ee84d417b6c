"""Which provider the environment chooses, and what it says when a variable cannot be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from openfeature.provider.in_memory_provider import InMemoryProvider
from tests.providers.sync_server import SyncServer
from tests.waiting import until

import windsock
from windsock.errors import ConfigurationError
from windsock.providers import FilesProvider
from windsock.providers.choice import choose
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("FLAGD_", "WINDSOCK_")) and name != "FLAGD_BIN":
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, FilesProvider),
        ({"FLAGD_RESOLVER": "file"}, FilesProvider),
        ({"FLAGD_RESOLVER": "file", "FLAGD_HOST": "flagd"}, FilesProvider),
        ({"FLAGD_RESOLVER": "in-process"}, StreamProvider),
        ({"FLAGD_RESOLVER": "IN-PROCESS", "FLAGD_TARGET_URI": "dns:///flagd:8015"}, StreamProvider),
        ({"FLAGD_RESOLVER": "rpc"}, RemoteProvider),
        ({"FLAGD_HOST": "flagd"}, RemoteProvider),
        ({"FLAGD_HOST": ""}, FilesProvider),
        ({"FLAGD_OFFLINE_FLAG_SOURCE_PATH": ".", "FLAGD_RESOLVER": "in-process"}, FilesProvider),
    ],
)
def test_the_environment_chooses(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], kind: type
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert type(choose(None, {})) is kind


@pytest.mark.parametrize("resolver", ["rpc", "in-process"])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FLAGD_PORT", "tcp://10.0.0.1:8013", "Kubernetes sets it so for a service named flagd"),
        ("FLAGD_PORT", "eight", "port number from 1 to 65535"),
        ("FLAGD_PORT", "70000", "port number from 1 to 65535"),
        ("FLAGD_TLS", "yes", "give true or false"),
        ("FLAGD_DEADLINE_MS", "0.5s", "a whole number of milliseconds"),
        ("FLAGD_RETRY_GRACE_PERIOD", "-1", "a whole number of seconds"),
        ("FLAGD_MAX_MESSAGE_BYTES", "64MiB", "a number of bytes, such as 67108864"),
        ("FLAGD_MAX_MESSAGE_BYTES", "0", "a number of bytes from 1"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, resolver: str, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv("FLAGD_RESOLVER", resolver)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        windsock.start()
    assert str(raised.value).startswith(f"{name}={value!r}: ")
    assert says in str(raised.value)


def test_an_unknown_resolver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAGD_RESOLVER", "inprocess")
    with pytest.raises(ConfigurationError, match="'inprocess': use file, rpc or in-process"):
        choose(None, {})


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "FLAGD_HOST": "flagd.internal",
        "FLAGD_PORT": "1",
        "FLAGD_SYNC_PORT": "2",
        "FLAGD_TLS": "TRUE",
        "FLAGD_SERVER_CERT_PATH": "/ca.pem",
        "FLAGD_DEFAULT_AUTHORITY": "a",
        "FLAGD_SOURCE_SELECTOR": "flagSetId=x",
        "FLAGD_PROVIDER_ID": "me",
        "FLAGD_DEADLINE_MS": "250",
        "FLAGD_STREAM_DEADLINE_MS": "60000",
        "FLAGD_RETRY_BACKOFF_MS": "100",
        "FLAGD_RETRY_BACKOFF_MAX_MS": "900",
        "FLAGD_RETRY_GRACE_PERIOD": "7",
        "FLAGD_KEEP_ALIVE_TIME_MS": "30000",
        "FLAGD_FATAL_STATUS_CODES": "unauthenticated, PERMISSION_DENIED,",
        "FLAGD_MAX_MESSAGE_BYTES": "1000",
    }.items():
        monkeypatch.setenv(name, value)
    expected = FlagdOptions(
        host="flagd.internal",
        port=2,
        tls=True,
        certificate="/ca.pem",
        authority="a",
        selector="flagSetId=x",
        provider_id="me",
        deadline=0.25,
        stream_deadline=60.0,
        backoff=0.1,
        backoff_max=0.9,
        grace_period=7.0,
        keep_alive=30.0,
        fatal_codes=frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"}),
        max_message_bytes=1000,
    )
    assert FlagdOptions.from_environment("in-process") == expected
    assert FlagdOptions.from_environment("rpc").port == 1
    assert expected.target == "flagd.internal:2"


@pytest.mark.parametrize(("protocol", "port"), [("rpc", 8013), ("in-process", 8015)])
def test_the_default_ports_are_flagd_s(protocol: str, port: int) -> None:
    assert FlagdOptions.from_environment(protocol).port == port  # type: ignore[arg-type]


def test_settings_follow_a_stream_and_start_from_its_copy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Streamed(windsock.Settings, flag="streamed"):
        top_k: int = 10

    def served(top_k: int) -> dict[str, object]:
        flag = {"state": "ENABLED", "variants": {"it": {"top_k": top_k}}, "defaultVariant": "it"}
        return {"streamed": flag}

    monkeypatch.setenv("FLAGD_RESOLVER", "in-process")
    monkeypatch.setenv("FLAGD_HOST", "127.0.0.1")
    monkeypatch.setenv("FLAGD_DEADLINE_MS", "5000")
    with SyncServer(served(25)) as server:
        monkeypatch.setenv("FLAGD_SYNC_PORT", str(server.port))
        windsock.start()
        try:
            assert Streamed.for_user("ann").top_k == 25
            assert windsock.health().ready
            assert windsock.health().source == f"127.0.0.1:{server.port}"
        finally:
            windsock.stop()
    assert list((tmp_path / ".windsock/stream").glob("*.json"))
    monkeypatch.setenv("FLAGD_DEADLINE_MS", "300")
    windsock.start()
    try:
        assert Streamed.for_user("ann").top_k == 25
        assert "UNAVAILABLE" in windsock.health().stale
    finally:
        windsock.stop()
    monkeypatch.setenv("WINDSOCK_OFFLINE_COPY", "off")
    windsock.start()
    try:
        assert Streamed.for_user("ann").top_k == 10
        assert not windsock.health().ready
    finally:
        windsock.stop()


def test_a_process_stays_ready_on_its_last_good_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAGD_RESOLVER", "in-process")
    monkeypatch.setenv("FLAGD_DEADLINE_MS", "5000")
    monkeypatch.setenv("FLAGD_RETRY_GRACE_PERIOD", "0")
    with SyncServer({"on": {"state": "ENABLED", "variants": {"it": True}, "defaultVariant": "it"}}) as server:
        monkeypatch.setenv("FLAGD_SYNC_PORT", str(server.port))
        windsock.start()
        try:
            server.stop()
            assert until(lambda: windsock.health().status == "ERROR")
            assert windsock.health().ready
            assert "UNAVAILABLE" in windsock.health().stale
            assert windsock.feature("on", default=False)()
        finally:
            windsock.stop()


@pytest.mark.parametrize(
    ("resolver", "missing"),
    [
        ("rpc", "grpc"),
        ("rpc", "openfeature.contrib.provider.flagd"),
        ("in-process", "grpc"),
        ("in-process", "openfeature.schemas"),
    ],
)
def test_a_missing_extra_is_named(resolver: str, missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import windsock; windsock.start()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"FLAGD_RESOLVER": resolver},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "install windsock[flagd] from" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("given", ["flagd", InMemoryProvider])
def test_what_is_not_a_provider_is_refused_and_leaves_nothing_broken(given: object) -> None:
    with pytest.raises(ConfigurationError, match=r"start\(provider=…\) takes an OpenFeature provider, not "):
        windsock.start(provider=given, usage=False)
    assert windsock.feature("nobody_serves_it", default=True)()


def test_choosing_files_loads_no_grpc() -> None:
    program = "import sys, windsock; windsock.start(); windsock.stop(); assert 'grpc' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
