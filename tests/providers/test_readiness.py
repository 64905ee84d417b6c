"""Ready means that a set is loaded, proven by evaluating the sentinel; nothing else makes a provider ready."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from openfeature import _event_support, api
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ProviderNotReadyError
from openfeature.provider import AbstractProvider, ProviderStatus
from tests.flagd_server import FlagdServer
from tests.flagfiles import write_flags, write_text
from tests.providers.sync_server import SyncServer
from tests.waiting import until

import windsock
from windsock.flag_names import SENTINEL
from windsock.providers import FilesProvider
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider

COLOUR = {"colour": {"state": "ENABLED", "variants": {"it": "red"}, "defaultVariant": "it"}}
BAD = '{"flags": {"colour": {"variants": 3}}}'


@contextmanager
def started(provider: AbstractProvider) -> Iterator[list[tuple[ProviderEvent, str | None]]]:
    """Serve by it; give the events that an application sees, as they come."""
    seen: list[tuple[ProviderEvent, str | None]] = []

    def see(event: ProviderEvent, details: EventDetails) -> None:
        seen.append((event, details.message))

    with ExitStack() as stack:
        stack.callback(api.clear_providers)
        stack.callback(_event_support.clear)
        stack.callback(windsock.stop)
        for event in ProviderEvent:
            if event is not ProviderEvent.PROVIDER_CONFIGURATION_CHANGED:
                api.get_client().add_handler(event, lambda details, event=event: see(event, details))
        assert until(lambda: len(seen) == 1), "that OpenFeature's own provider, which does nothing, is ready"
        seen.clear()
        windsock.start(provider=provider)
        yield seen


def status() -> ProviderStatus:
    return api.get_client().get_provider_status()


def sentinel() -> str:
    return api.get_client().get_string_value(SENTINEL, "")


def kinds(seen: list[tuple[ProviderEvent, str | None]]) -> list[str]:
    return [event.name.removeprefix("PROVIDER_") for event, _ in seen]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ([], "no flag files (*.flagd.json, *.flagd.yaml, *.flagd.yml) yet"),
        (["", "{"], "b1.flagd.json"),
        ([BAD], "no flag can be used"),
    ],
    ids=["empty", "all broken", "no flag is good"],
)
def test_a_folder_with_nothing_to_serve_is_not_ready(tmp_path: Path, texts: list[str], says: str) -> None:
    for number, text in enumerate(texts):
        write_text(tmp_path / f"b{number}.flagd.json", text)
    with started(FilesProvider(tmp_path, poll=0.1)) as seen:
        health = windsock.health()
        assert (health.ready, health.status, sentinel()) == (False, "ERROR", "")
        assert says in health.stale
        assert until(lambda: kinds(seen) == ["ERROR"])
        assert says in str(seen[0][1])
        for path in tmp_path.iterdir():
            path.unlink()
        write_flags(tmp_path / "good.flagd.json", COLOUR)
        assert until(lambda: windsock.health().ready)
        assert sentinel() == windsock.health().revision
        assert until(lambda: status() in {ProviderStatus.READY, ProviderStatus.STALE})
        windsock.reload()  # lets go of the files that are gone
        assert until(lambda: status() is ProviderStatus.READY)
        assert until(lambda: kinds(seen)[:2] == ["ERROR", "READY"])


def test_a_file_without_flags_is_a_set(tmp_path: Path) -> None:
    write_flags(tmp_path / "a.flagd.json", {})
    with started(FilesProvider(tmp_path)):
        health = windsock.health()
        assert (health.ready, health.status, health.stale) == (True, "READY", "")
        assert sentinel() == health.revision != ""


def test_a_removed_set_is_no_longer_ready(tmp_path: Path) -> None:
    write_flags(tmp_path / "a.flagd.json", COLOUR)
    with started(FilesProvider(tmp_path, poll=0.1)) as seen:
        assert windsock.health().ready
        (tmp_path / "a.flagd.json").unlink()
        windsock.reload()
        health = windsock.health()
        assert (health.ready, health.status, sentinel()) == (False, "ERROR", "")
        assert until(lambda: kinds(seen)[-1:] == ["ERROR"])
        assert kinds(seen)[0] == "READY"


def test_the_sentinel_follows_the_set_and_is_not_a_change_itself(tmp_path: Path) -> None:
    write_flags(tmp_path / "a.flagd.json", COLOUR)
    told: list[list[str] | None] = []
    with started(FilesProvider(tmp_path, poll=0.1)):
        before = sentinel()
        api.add_handler(
            ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda it: told.append(it.flags_changed)
        )
        write_flags(tmp_path / "a.flagd.json", COLOUR | {"size": COLOUR["colour"]})
        assert until(lambda: sentinel() not in {before, ""})
        assert until(lambda: told == [["size"]])


def test_an_application_sees_stale_after_ready(tmp_path: Path) -> None:
    """OpenFeature says READY after every start that succeeds; STALE before it would be overwritten."""
    write_flags(tmp_path / "a.flagd.json", COLOUR)
    write_text(tmp_path / "b.flagd.json", "{")
    with started(FilesProvider(tmp_path)) as seen:
        assert until(lambda: kinds(seen) == ["READY", "STALE"])
        assert "b.flagd.json:1:2" in str(seen[1][1])
        assert (status(), windsock.health().ready) == (ProviderStatus.STALE, True)


def test_a_copy_that_serves_in_place_of_an_empty_push_is_stale_after_ready(tmp_path: Path) -> None:
    options = {"deadline": 0.5, "backoff": 0.05}
    with SyncServer(COLOUR) as server:
        with started(StreamProvider(FlagdOptions(port=server.port, **options), {}, tmp_path)):
            assert until(lambda: len(list(tmp_path.glob("*.json"))) == 1)
        server.push({})
        with started(StreamProvider(FlagdOptions(port=server.port, **options), {}, tmp_path)) as seen:
            assert until(lambda: kinds(seen) == ["READY", "STALE"])
            assert "without any flag" in str(seen[1][1])
            assert windsock.health().ready
            server.push(COLOUR)
            assert until(lambda: kinds(seen) == ["READY", "STALE", "READY"])


@pytest.mark.parametrize("push", [{}, BAD], ids=["empty", "no flag is good"])
def test_an_empty_push_makes_nothing_ready(push: object) -> None:
    with SyncServer(push) as server:
        provider = StreamProvider(FlagdOptions(port=server.port, deadline=0.5), {}, None)
        with started(provider) as seen:
            health = windsock.health()
            assert (health.ready, health.status, sentinel()) == (False, "ERROR", "")
            assert "without any flag that can be used" in health.stale
            server.push(COLOUR)
            assert until(lambda: kinds(seen) == ["ERROR", "READY"])
            assert windsock.health().ready
            assert sentinel() == windsock.health().revision


@pytest.mark.flagd
@pytest.mark.parametrize("resolver", ["stream", "remote"])
def test_a_flagd_that_has_not_read_its_flags_makes_nothing_ready(resolver: str) -> None:
    """The server is up, and says itself that it is ready; what feeds it has sent nothing yet."""
    with SyncServer() as source, FlagdServer(f"127.0.0.1:{source.port}") as flagd:
        provider = (
            StreamProvider(FlagdOptions(port=flagd.sync, deadline=1.0, backoff=0.1), {}, None)
            if resolver == "stream"
            else RemoteProvider(FlagdOptions(port=flagd.rpc, deadline=1.0, backoff=0.1))
        )
        with started(provider) as seen:
            health = windsock.health()
            assert (health.ready, health.status) == (False, "ERROR")
            assert {"stream": "no set within 1 s", "remote": "has no flags yet"}[resolver] in health.stale
            source.push(COLOUR)
            assert until(lambda: windsock.health().ready)
            assert until(lambda: kinds(seen) == ["ERROR", "READY"])
            assert api.get_client().get_string_value("colour", "x") == "red"


def test_a_plain_openfeature_start_raises_where_nothing_serves(tmp_path: Path) -> None:
    provider = FilesProvider(tmp_path)
    with pytest.raises(ProviderNotReadyError, match="no flag files"):
        api.set_provider_and_wait(provider)
    provider.shutdown()
    with suppress(ProviderNotReadyError):
        api.clear_providers()
