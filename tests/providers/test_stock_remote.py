"""Side by side with the stock flagd provider in RPC mode, as `test_stock` does for the others."""

import asyncio
from pathlib import Path

import pytest
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import TypeMismatchError
from tests.flagd_server import FlagdServer
from tests.flagfiles import object_flag
from tests.providers.test_fork import ended, forked
from tests.providers.test_stock import BLUE, served, stock_child, text, value
from tests.waiting import until

from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider
from windsock.providers.stream import StreamProvider

pytestmark = [
    pytest.mark.flagd,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]


def remote_pair(flagd: FlagdServer, deadline_ms: int = 5000) -> tuple[FlagdProvider, RemoteProvider]:
    stock = FlagdProvider(resolver_type=ResolverType.RPC, port=flagd.rpc, deadline_ms=deadline_ms)
    return stock, RemoteProvider(FlagdOptions(port=flagd.rpc, deadline=deadline_ms / 1000))


REMOTE = {
    "colour": text("red"),
    "settings": object_flag({"it": {"top_k": 25}}, "it") | {"metadata": {"owner": "search"}},
}


def test_a_boolean_read_gets_no_cached_string(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": REMOTE}) as flagd:
        stock, windsock = remote_pair(flagd)
        with served(stock, windsock):
            first, second = (stock.resolve_string_details("colour", "x") for _ in range(2))
            assert stock.resolve_boolean_details("colour", False).value == "red"
            assert stock.resolve_string_details("colour", "x") is second, "one mutable result for everybody"
            assert first.value == "red"
            third, fourth = (windsock.resolve_string_details("colour", "x") for _ in range(2))
            assert (third.value, fourth.value) == ("red", "red")
            assert third is not fourth
            with pytest.raises(TypeMismatchError):
                windsock.resolve_boolean_details("colour", False)


def test_whole_numbers_stay_whole_and_metadata_arrives(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": REMOTE}) as flagd:
        stock, windsock = remote_pair(flagd)
        with served(stock, windsock):
            given = api.get_client("stock").get_object_details("settings", {})
            assert (repr(given.value), given.flag_metadata) == ("{'top_k': 25.0}", {})
            given = api.get_client("windsock").get_object_details("settings", {})
            assert (repr(given.value), given.flag_metadata) == ("{'top_k': 25}", {"owner": "search"})
        stream = StreamProvider(FlagdOptions(port=flagd.sync, deadline=5.0), {}, None)
        stream.initialize(EvaluationContext())
        details = stream.resolve_object_details("settings", {})
        assert (repr(details.value), details.flag_metadata["owner"]) == ("{'top_k': 25}", "search")
        stream.shutdown()


def test_a_frozen_server_does_not_hold_the_event_loop(tmp_path: Path) -> None:
    async def ticks_meanwhile(domain: str) -> int:
        answer = asyncio.ensure_future(api.get_client(domain).get_string_value_async("colour", "default"))
        ticks = 0
        while not answer.done():
            await asyncio.sleep(0.005)
            ticks += 1
        assert await answer == "default"
        return ticks

    with (
        FlagdServer.serving(tmp_path, {"flags": REMOTE}) as flagd,
        served(*remote_pair(flagd, deadline_ms=500)),
    ):
        flagd.freeze()
        stock, windsock = (asyncio.run(ticks_meanwhile(domain)) for domain in ("stock", "windsock"))
        flagd.thaw()
        assert stock == 1, "the loop stood still until the answer was there"
        assert windsock > 1


def test_a_forked_child_asks_again(tmp_path: Path) -> None:
    with FlagdServer.serving(tmp_path, {"flags": REMOTE}) as flagd:
        stock, windsock = remote_pair(flagd, deadline_ms=1000)
        api.set_provider_and_wait(stock, "stock")
        assert value("stock") == "red"
        old = stock_child(lambda: until(lambda: value("stock") == "blue", 4))
        stock.shutdown()
        api.clear_providers()
        api.set_provider_and_wait(windsock, "windsock")
        new = forked(lambda: until(lambda: value("windsock") == "blue"))
        flagd.write(REMOTE | BLUE)
        assert ended(new) == 0
        assert ended(old) != 0, "the cached red for ever, or a crash"
        windsock.shutdown()
        api.clear_providers()
