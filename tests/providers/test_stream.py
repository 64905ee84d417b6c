"""Flags from a sync stream: what is pushed serves, and the last good set serves through every fault."""

import json
import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from openfeature import _event_support, api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.provider import ProviderStatus
from tests.providers.sync_server import SyncServer
from tests.waiting import until

from windsock.client.evaluation import Evaluation
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.stream import StreamProvider

QUICK = {"deadline": 5.0, "backoff": 0.05, "backoff_max": 0.1, "grace_period": 60.0}


def flag(value: object, targeting: object = None) -> dict[str, object]:
    made: dict[str, object] = {"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it"}
    return made if targeting is None else made | {"targeting": targeting}


RED, BLUE = {"colour": flag("red")}, {"colour": flag("blue")}


@pytest.fixture
def server() -> Iterator[SyncServer]:
    with SyncServer(RED) as server:
        yield server


@contextmanager
def following(port: int, folder: Path | None = None, **options: Any) -> Iterator[StreamProvider]:
    """A provider that OpenFeature serves from; a start that fails is left failed."""
    context = options.pop("context", {})
    provider = StreamProvider(FlagdOptions(port=port, **{**QUICK, **options}), context, folder)
    with ExitStack() as stack:
        stack.callback(api.clear_providers)
        stack.callback(_event_support.clear)
        stack.callback(provider.shutdown)
        with suppress(ProviderNotReadyError, ProviderFatalError):
            api.set_provider_and_wait(provider)
        yield provider


def value(key: str = "colour") -> str:
    return api.get_client().get_string_value(key, "default")


def status() -> ProviderStatus:
    return api.get_client().get_provider_status()


def test_what_is_pushed_serves(server: SyncServer) -> None:
    with following(server.port) as provider:
        assert (value(), value("other"), status()) == ("red", "default", ProviderStatus.READY)
        assert provider.serving.source == f"localhost:{server.port}"
        before = provider.serving.revision
        server.push(BLUE)
        assert until(lambda: value() == "blue")
        assert provider.serving.revision not in {"", before}
        assert provider.serving.age < 60


def test_changed_keys_are_announced(server: SyncServer) -> None:
    told: list[list[str] | None] = []
    with following(server.port):
        api.add_handler(
            ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda details: told.append(details.flags_changed)
        )
        server.push({**RED, "size": flag("small")})
        assert until(lambda: told == [["size"]])


@pytest.mark.parametrize(
    ("push", "says"),
    [
        ("", "empty"),
        ("{}", 'no "flags"'),
        ('{"flags": {"colour"', "cannot be read"),
        ("[]", "starts with"),
        ('{"flags": {}}', "restart this process if that is intended"),
        ('{"flags": {"colour": 3}}', "flag 'colour'"),
    ],
)
def test_a_push_that_cannot_be_used_is_survived(
    server: SyncServer, push: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    with following(server.port) as provider:
        server.push(push)
        assert until(lambda: status() is ProviderStatus.STALE)
        assert value() == "red"
        assert says in provider.serving.stale
        [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert says in message
        assert f"localhost:{server.port}" in message
        assert "last good set serves" in message
        server.push(BLUE)
        assert until(lambda: value() == "blue" and status() is ProviderStatus.READY)
        assert provider.serving.stale == ""


def test_one_bad_flag_leaves_the_others(server: SyncServer, caplog: pytest.LogCaptureFixture) -> None:
    with following(server.port):
        server.push({"colour": {"state": "ENABLED", "variants": 3}, "size": flag("small")})
        assert until(lambda: value("size") == "small")
        assert status() is ProviderStatus.READY
        assert until(lambda: "flag 'colour'" in caplog.text)


def test_shared_rules_with_any_characters_are_taken(server: SyncServer) -> None:
    rule = {"if": [{"==": [{"var": "name"}, "Zoë\\1\n"]}, "it"]}
    document = {
        "flags": {"colour": {**flag("red", {"$ref": "named"}), "defaultVariant": None}},
        "$evaluators": {"named": rule},
    }
    with following(server.port):
        server.push(json.dumps(document))
        context = EvaluationContext(attributes={"name": "Zoë\\1\n"})
        client = api.get_client()
        assert until(lambda: client.get_string_details("colour", "x", context).reason == "TARGETING_MATCH")
        assert client.get_string_value("colour", "x") == "x"


def test_a_set_above_grpc_s_own_limit_is_taken(server: SyncServer) -> None:
    users = [f"user-{number:08}" for number in range(400_000)]
    rule = {"if": [{"in": [{"var": "targetingKey"}, users]}, "it", None]}
    with following(server.port):
        server.push({"colour": flag("green", rule)})
        context = EvaluationContext("user-00399999")
        assert until(lambda: api.get_client().get_string_value("colour", "x", context) == "green")


def test_a_set_above_the_limit_is_said_and_the_last_good_serves(server: SyncServer) -> None:
    with following(server.port, max_message_bytes=100_000) as provider:
        server.push({"colour": flag("x" * 200_000)})
        assert until(lambda: status() is ProviderStatus.STALE)
        assert "larger than 100000 bytes" in provider.serving.stale
        assert "FLAGD_MAX_MESSAGE_BYTES" in provider.serving.stale
        assert value() == "red"
        server.push(BLUE)
        assert until(lambda: value() == "blue" and status() is ProviderStatus.READY)


def test_the_selector_goes_both_ways(server: SyncServer) -> None:
    with following(server.port, selector="flagSetId=a", provider_id="service-1"):
        assert server.requests() == [
            {"selector": "flagSetId=a", "provider_id": "service-1", "header": "flagSetId=a"}
        ]


@pytest.mark.parametrize("way", ["sync_context", "metadata"])
def test_the_server_s_context_lies_below_every_other(way: str) -> None:
    rule = {"if": [{"==": [{"var": "region"}, "eu"]}, {"cat": [{"var": "environment"}]}, "it"]}
    variants = {"it": "none", "test": "own", "server": "its", "call": "call"}
    flags = {"colour": {**flag("none", rule), "variants": variants}}
    given = {"region": "eu", "environment": "server", "count": 3}
    with SyncServer(
        flags, **({"context": given} if way == "sync_context" else {"metadata": given})
    ) as server:
        with following(server.port):
            assert value() == "its"
        with following(server.port, context={"environment": "test"}) as provider:
            assert value() == "own"
            client = api.get_client()
            called = EvaluationContext(attributes={"environment": "call"})
            assert client.get_string_value("colour", "x", called) == "call"
            away = EvaluationContext(attributes={"region": "us"})
            assert client.get_string_value("colour", "x", away) == "none"
            evaluation = Evaluation(environment="test")
            assert evaluation.provider() is provider
            direct = provider.compiled["colour"].evaluate(evaluation.context(None, {}))
            assert direct.value == "own"


def test_a_context_that_changes_is_taken(server: SyncServer) -> None:
    server.push({"colour": {**flag("none", {"var": "tier"}), "variants": {"it": "none", "gold": "gold"}}})
    with following(server.port):
        assert value() == "none"
        server.set(context={"tier": "gold"})
        server.push({"colour": {**flag("none", {"var": "tier"}), "variants": {"it": "none", "gold": "gold"}}})
        assert until(lambda: value() == "gold")


@pytest.mark.parametrize("metadata", [None, "empty", "hang", {}])
def test_whatever_get_metadata_answers_the_flags_serve(metadata: object) -> None:
    with SyncServer(RED, metadata=metadata) as server, following(server.port, deadline=3.0) as provider:
        assert until(lambda: value() == "red")
        server.push(BLUE)
        assert until(lambda: value() == "blue")
        assert provider.serving.stale == ""


def test_a_stream_that_ends_is_opened_again(server: SyncServer) -> None:
    events: list[ProviderEvent] = []
    with following(server.port, backoff=2.0, backoff_max=2.0) as provider:
        for event in (ProviderEvent.PROVIDER_STALE, ProviderEvent.PROVIDER_READY):
            api.add_handler(event, lambda _, event=event: events.append(event))
        assert until(lambda: events == [ProviderEvent.PROVIDER_READY])  # told at once: it is ready
        server.end_streams()
        assert until(lambda: status() is ProviderStatus.STALE)
        assert "ended by the test" in provider.serving.stale
        assert value() == "red"
        assert until(lambda: status() is ProviderStatus.READY)
        assert until(lambda: events[1:] == [ProviderEvent.PROVIDER_STALE, ProviderEvent.PROVIDER_READY])
        server.push(BLUE)
        assert until(lambda: value() == "blue")


def test_a_server_that_dies_and_comes_back(server: SyncServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "windsock.flags")
    with following(server.port):
        server.stop()
        assert until(lambda: status() is ProviderStatus.STALE)
        assert value() == "red"
        with SyncServer(BLUE, server.port):
            assert until(lambda: value() == "blue")
            assert until(lambda: status() is ProviderStatus.READY)
            lost = [record for record in caplog.records if "trying again" in record.getMessage()]
    assert len(lost) == 1, "one message for one outage, however many attempts"
    assert until(lambda: "connected again after" in caplog.text)


def test_the_status_is_error_after_the_grace_period(server: SyncServer) -> None:
    told: list[ErrorCode | None] = []
    with following(server.port, grace_period=0.6, backoff=0.2):
        api.add_handler(ProviderEvent.PROVIDER_ERROR, lambda details: told.append(details.error_code))
        server.stop()
        assert until(lambda: status() is ProviderStatus.STALE)
        assert until(lambda: status() is ProviderStatus.ERROR)
        assert until(lambda: told == [ErrorCode.GENERAL])
        assert value() == "red"
        with SyncServer(BLUE, server.port):
            assert until(lambda: status() is ProviderStatus.READY)
            assert value() == "blue"


def test_a_start_without_a_server_is_bounded_and_goes_on(server: SyncServer) -> None:
    server.stop()
    provider = StreamProvider(FlagdOptions(port=server.port, **{**QUICK, "deadline": 0.4}), {}, None)
    with pytest.raises(ProviderNotReadyError, match=f"localhost:{server.port}: UNAVAILABLE"):
        api.set_provider_and_wait(provider)
    try:
        assert (value(), status()) == ("default", ProviderStatus.ERROR)
        with SyncServer(RED, server.port):
            assert until(lambda: status() is ProviderStatus.READY)
            assert value() == "red"
    finally:
        provider.shutdown()
        api.clear_providers()


def test_a_server_that_says_nothing_does_not_hold_the_start() -> None:
    with SyncServer(None) as server, following(server.port, deadline=0.3) as provider:
        assert status() is ProviderStatus.ERROR
        assert provider.serving.revision == ""
        server.push(RED)
        assert until(lambda: status() is ProviderStatus.READY)
        assert value() == "red"


def test_a_fatal_code_ends_the_start() -> None:
    with (
        SyncServer(RED, refuse="PERMISSION_DENIED") as server,
        following(server.port, fatal_codes=frozenset({"PERMISSION_DENIED"})),
    ):
        assert status() is ProviderStatus.FATAL
        assert until(lambda: not following_threads())
        assert len(server.requests()) == 1


def test_any_other_refusal_is_tried_again() -> None:
    with (
        SyncServer(RED, refuse="PERMISSION_DENIED") as server,
        following(server.port, deadline=0.3) as provider,
    ):
        assert status() is ProviderStatus.ERROR
        assert "PERMISSION_DENIED: refused by the test" in provider.serving.stale
        server.set(refuse=None)
        assert until(lambda: value() == "red")


def test_attempts_grow_apart_and_are_spread() -> None:
    options = FlagdOptions(backoff=1.0, backoff_max=8.0)
    provider = StreamProvider(options, {}, None)
    waits = [[provider.delay(attempt) for _ in range(200)] for attempt in range(6)]
    for attempt, longest in enumerate([1, 2, 4, 8, 8, 8]):
        assert longest / 2 <= min(waits[attempt]) < max(waits[attempt]) <= longest
    assert len({round(wait, 3) for wait in waits[0]}) > 50


@pytest.mark.parametrize("grace", [0.0, 0.5, 60.0])
@pytest.mark.slow
def test_a_server_that_refuses_is_not_hammered(server: SyncServer, grace: float) -> None:
    with following(server.port, backoff=0.2, backoff_max=0.4, grace_period=grace):
        server.set(refuse="UNAVAILABLE")
        before, began = len(server.requests()), time.monotonic()
        server.end_streams()
        assert until(lambda: len(server.requests()) >= before + 6), "it goes on trying"
        assert time.monotonic() - began > 0.9, "0.1 to 0.2, then 0.2 to 0.4 s between attempts"


def test_a_stream_that_ends_at_its_deadline_is_not_a_fault(server: SyncServer) -> None:
    with following(server.port, stream_deadline=0.3) as provider:
        assert until(lambda: len(server.requests()) >= 3)
        assert (provider.serving.stale, status(), value()) == ("", ProviderStatus.READY, "red")


def test_a_connection_that_died_in_silence_is_found_by_the_stream_s_deadline(server: SyncServer) -> None:
    with following(server.port, stream_deadline=0.5):
        server.freeze()
        assert until(lambda: status() is ProviderStatus.STALE)
        assert value() == "red"


def test_shutdown_joins_its_thread_whatever_the_server_does(server: SyncServer) -> None:
    provider = StreamProvider(FlagdOptions(port=server.port, **QUICK), {}, None)
    provider.initialize(EvaluationContext())
    assert following_threads()
    server.freeze()
    provider.shutdown()
    provider.shutdown()
    assert not following_threads()
    assert provider.compiled["colour"].evaluate({}).value == "red"
    server.stop()
    with SyncServer(BLUE, server.port):
        provider.initialize(EvaluationContext())
        assert provider.compiled["colour"].evaluate({}).value == "blue"
        provider.shutdown()


def test_shutdown_during_the_wait_for_the_next_attempt(server: SyncServer) -> None:
    with following(server.port, backoff=600.0, backoff_max=600.0) as provider:
        server.stop()
        assert until(lambda: status() is ProviderStatus.STALE)
        provider.shutdown()
        assert not following_threads()


def following_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "windsock-stream"]


# TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and its own certificate for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    try:
        subprocess.run(
            [*command, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("no openssl program to make a certificate with")
    return key, certificate


def test_tls_with_a_certificate_of_one_s_own(certificate: tuple[Path, Path]) -> None:
    with (
        SyncServer(RED, tls=[str(path) for path in certificate]) as server,
        following(server.port, tls=True, certificate=str(certificate[1])),
    ):
        assert value() == "red"


def test_a_certificate_that_is_not_trusted_is_named(certificate: tuple[Path, Path]) -> None:
    with (
        SyncServer(RED, tls=[str(path) for path in certificate]) as server,
        following(server.port, tls=True, deadline=1.0) as provider,
    ):
        assert (value(), status()) == ("default", ProviderStatus.ERROR)
        assert "certificate" in provider.serving.stale.lower()


def test_a_missing_certificate_file_is_named(tmp_path: Path) -> None:
    with following(1, tls=True, certificate=str(tmp_path / "no.pem"), deadline=0.3) as provider:
        assert "no.pem: cannot be read: No such file" in provider.serving.stale
