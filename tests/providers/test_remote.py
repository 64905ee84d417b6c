"""A real flagd that evaluates, asked through the stock client: what that breaks is mended."""

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from openfeature import _event_support, api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from tests.flagd_server import FlagdServer
from tests.flagfiles import object_flag
from tests.waiting import until

import windsock
from windsock.providers.flagd_options import FlagdOptions
from windsock.providers.remote import RemoteProvider

pytestmark = pytest.mark.flagd

SETTINGS = {"top_k": 25, "temperature": 0.5, "whole": 2.0, "nested": {"n": [1, 2.5, "x"]}, "big": 2**60}


def flag_of(value: str | float) -> dict[str, object]:
    return {"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it"}


def by_environment() -> dict[str, object]:
    flag = flag_of("other") | {"targeting": {"if": [{"==": [{"var": "environment"}, "test"]}, "mine"]}}
    return flag | {"variants": {"it": "other", "mine": "mine"}}


FLAGS = {
    "colour": flag_of("red"),
    "settings": object_flag({"it": SETTINGS}, "it") | {"metadata": {"owner": "search", "limit": 3}},
    "unset": object_flag({"it": SETTINGS}, None),
    "where": by_environment(),
}


@pytest.fixture
def flagd(tmp_path: Path) -> Iterator[FlagdServer]:
    with FlagdServer.serving(tmp_path, {"flags": FLAGS}) as flagd:
        yield flagd


@contextmanager
def asking(port: int, **options: Any) -> Iterator[RemoteProvider]:
    quick = {"deadline": 5.0, "backoff": 0.1, "backoff_max": 0.2, "grace_period": 60.0}
    provider = RemoteProvider(FlagdOptions(port=port, **{**quick, **options}), {"environment": "test"})
    try:
        with suppress(ProviderNotReadyError):
            api.set_provider_and_wait(provider)
        yield provider
    finally:
        provider.shutdown()
        _event_support.clear()
        api.clear_providers()


@contextmanager
def relay(port: int) -> Iterator[tuple[int, bytearray]]:
    """A port that leads to another, and what that one sends."""
    sent = bytearray()

    def pump(source: socket.socket, target: socket.socket, seen: bytearray) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                seen += data
                target.sendall(data)

    def lead() -> None:
        with suppress(OSError):
            while True:
                here, there = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                closing.callback(here.close)
                closing.callback(there.close)
                for ways in ((here, there, bytearray()), (there, here, sent)):
                    threading.Thread(target=pump, args=ways, daemon=True).start()

    with ExitStack() as closing, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lead, daemon=True).start()
        yield listener.getsockname()[1], sent
        listener.shutdown(socket.SHUT_RDWR)


def value() -> str:
    return api.get_client().get_string_value("colour", "default")


def status() -> ProviderStatus:
    return api.get_client().get_provider_status()


def test_every_type_is_answered_and_a_change_is_seen(flagd: FlagdServer) -> None:
    with asking(flagd.rpc):
        assert (value(), status()) == ("red", ProviderStatus.READY)
        assert api.get_client().get_string_value("where", "x") == "mine", "the provider's own context counts"
        flagd.write(FLAGS | {"colour": flag_of("blue")})
        assert until(lambda: value() == "blue")


def test_whole_numbers_in_objects_are_integers(flagd: FlagdServer) -> None:
    with asking(flagd.rpc):
        given = api.get_client().get_object_value("settings", {})
        assert json.dumps(given, sort_keys=True) == json.dumps(
            {**SETTINGS, "whole": 2, "big": float(2**60)}, sort_keys=True
        )


def test_the_metadata_of_a_flag_arrives_and_each_thread_has_its_own(flagd: FlagdServer) -> None:
    def read(key: str) -> None:
        metadata = {"owner": "search", "limit": 3} if key == "settings" else {}
        for _ in range(50):
            given = api.get_client().get_object_details(key, {}).flag_metadata
            assert json.dumps(given, sort_keys=True) == json.dumps(metadata, sort_keys=True)

    with asking(flagd.rpc), ThreadPoolExecutor(8) as pool:
        for reading in [pool.submit(read, key) for key in ["settings", "unset"] * 4]:
            reading.result()


def test_no_answer_is_compressed(flagd: FlagdServer) -> None:
    """flagd compresses what a client takes compressed; under load gRPC did not always undo that."""
    with relay(flagd.rpc) as (port, sent), asking(port):
        assert value() == "red"
        assert b"red" in sent
        assert b"\x1f\x8b" not in sent


def test_the_caller_s_default_is_given_as_it_is(flagd: FlagdServer) -> None:
    with asking(flagd.rpc):
        default = {"x": 1.0}
        details = api.get_client().get_object_details("unset", default)
        assert details.value is default
        assert details.reason == Reason.DEFAULT


def test_a_read_of_another_type_is_a_mismatch_and_not_a_cached_value(flagd: FlagdServer) -> None:
    with asking(flagd.rpc):
        assert [value(), value()] == ["red", "red"]
        details = api.get_client().get_boolean_details("colour", True)
        assert (details.value, details.error_code) == (True, ErrorCode.TYPE_MISMATCH)
        assert details.error_message == "flag 'colour': the flagd server's value is not a boolean"


def test_a_feature_of_another_type_says_so_once(flagd: FlagdServer, caplog: pytest.LogCaptureFixture) -> None:
    feature = windsock.feature("colour", default=3)
    with asking(flagd.rpc):
        assert [feature("ada"), feature("bob")] == [3, 3]
        assert "the flagd server's value is not an integer" in str(windsock.explain(feature, "ada"))
    [said] = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert said == (
        "feature 'colour': its value must be a whole number: flag 'colour': the flagd server's value is not an"
        " integer. The code default serves."
    )


def test_a_fraction_for_a_whole_number_is_a_mismatch_and_not_cut(
    flagd: FlagdServer, caplog: pytest.LogCaptureFixture
) -> None:
    fraction, whole = windsock.feature("half", default=3), windsock.feature("two", default=3)
    with asking(flagd.rpc):
        flagd.write(FLAGS | {"half": flag_of(1.5), "two": flag_of(2.0)})
        assert until(lambda: whole("ada") == 2)
        assert fraction("ada") == 3
        details = api.get_client().get_integer_details("half", 3)
        assert (details.value, details.error_code) == (3, ErrorCode.TYPE_MISMATCH)
        assert api.get_client().get_float_value("half", 3.0) == 1.5
        assert type(api.get_client().get_integer_value("two", 3)) is int
    [said] = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert said == (
        "feature 'half': its value must be a whole number: flag 'half': the flagd server's value 1.5 is not an"
        " integer. The code default serves."
    )


def test_two_reads_share_no_result(flagd: FlagdServer) -> None:
    with asking(flagd.rpc):
        first = api.get_client().get_object_value("settings", {})
        assert isinstance(first, dict)
        first["top_k"] = "spoiled"
        second = api.get_client().get_object_details("settings", {})
        assert isinstance(second.value, dict)
        assert (second.value["top_k"], second.reason) == (25, Reason.STATIC)


def test_one_user_s_answers_are_given_again_for_a_second(flagd: FlagdServer) -> None:
    ada, bob = EvaluationContext("ada"), EvaluationContext("bob")
    with asking(flagd.rpc, deadline=0.5):
        client = api.get_client()
        assert client.get_string_value("colour", "default", ada) == "red"
        assert client.get_string_value("where", "default", ada) == "mine"
        assert client.get_string_details("missing", "default", ada).error_code is ErrorCode.FLAG_NOT_FOUND
        flagd.freeze()
        assert client.get_string_value("colour", "default", ada) == "red"
        assert client.get_string_value("where", "default", ada) == "mine"
        assert client.get_string_details("missing", "default", ada).error_code is ErrorCode.FLAG_NOT_FOUND
        assert client.get_string_value("colour", "default", bob) == "red", "it has no rule"
        assert client.get_string_value("where", "default", bob) == "default", "another user is asked for"
        flagd.thaw()


def test_a_change_empties_what_is_given_again(flagd: FlagdServer) -> None:
    """Each answer is the one before the change or after it, and never the old one after the new one."""
    with asking(flagd.rpc):
        for number in range(20):
            flagd.write(FLAGS | {"colour": flag_of(f"colour {number}")})
            seen = []
            assert until(lambda: seen.append(value()) or seen[-1] == f"colour {number}")  # noqa: B023
            assert set(seen) <= {"red", f"colour {number - 1}", f"colour {number}"}
            assert {value() for _ in range(20)} == {f"colour {number}"}


def test_a_class_asks_for_its_flags_at_once_in_a_loop(flagd: FlagdServer) -> None:
    class Search(windsock.Settings, flag="settings"):
        top_k: int = 10

    with asking(flagd.rpc) as provider:
        resolve, meeting, asked = provider.resolve_object_details_async, asyncio.Event(), []

        async def all_three(flag_key: str, default_value: Any, evaluation_context: Any) -> Any:
            asked.append(flag_key)
            if len(asked) == 3:
                meeting.set()
            await asyncio.wait_for(meeting.wait(), 60)
            return await resolve(flag_key, default_value, evaluation_context)

        provider.resolve_object_details_async = all_three
        assert asyncio.run(Search.afor_user("ada")).top_k == 25
        assert sorted(asked) == ["settings", "settings.experiment", "settings.profile"]


def test_an_unreachable_server_costs_no_deadline(flagd: FlagdServer) -> None:
    with asking(flagd.rpc, deadline=2.0):
        flagd.stop()
        assert until(lambda: status() is ProviderStatus.STALE)
        details = [api.get_client().get_string_details("colour", "default") for _ in range(20)]
        assert {each.value for each in details} == {"default"}
        assert {str(each.error_message) for each in details} == {
            f"flagd at localhost:{flagd.rpc} has disconnected; the caller's default serves"
        }, "none was sent and waited for"
        assert not windsock.health().ready
        flagd.start()
        assert until(lambda: value() == "red")


def test_a_start_without_a_server_is_bounded_and_goes_on(flagd: FlagdServer) -> None:
    flagd.stop()
    with asking(flagd.rpc, deadline=0.5):
        assert (value(), status()) == ("default", ProviderStatus.ERROR)
        flagd.start()
        assert until(lambda: value() == "red" and status() is ProviderStatus.READY)


def test_a_frozen_server_does_not_hold_the_event_loop(flagd: FlagdServer) -> None:
    """The loop goes on while 20 evaluations wait for a server that answers nothing."""

    async def main(users: str) -> tuple[int, set[str]]:
        client, ticks = api.get_client(), 0
        contexts = [EvaluationContext(f"{users}{n}") for n in range(20)]
        answers = asyncio.gather(
            *(client.get_string_value_async("where", "default", each) for each in contexts)
        )
        while not answers.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return ticks, set(await answers)

    with asking(flagd.rpc, deadline=0.5):
        assert asyncio.run(main("before"))[1] == {"mine"}
        flagd.freeze()
        ticks, answers = asyncio.run(main("after"))
        flagd.thaw()
        assert answers == {"default"}
        assert ticks > 1


def test_every_asynchronous_call_answers_as_its_synchronous_one(flagd: FlagdServer) -> None:
    async def main() -> list[object]:
        client = api.get_client()
        return [
            await client.get_boolean_value_async("colour", True),
            await client.get_string_value_async("colour", "x"),
            await client.get_integer_value_async("missing", 3),
            await client.get_float_value_async("missing", 0.5),
            (await client.get_object_details_async("settings", {})).variant,
        ]

    with asking(flagd.rpc):
        assert asyncio.run(main()) == [True, "red", 3, 0.5, "it"]


def test_shutdown_twice_joins_every_thread(flagd: FlagdServer) -> None:
    before = set(threading.enumerate())
    provider = RemoteProvider(FlagdOptions(port=flagd.rpc, deadline=5.0))
    provider.initialize(EvaluationContext())
    provider.shutdown()
    provider.shutdown()
    left = [thread for thread in set(threading.enumerate()) - before if "managed_target" not in thread.name]
    assert left == []


def forked(child: Callable[[], bool]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if child() else 3)
        except BaseException as error:  # noqa: BLE001 - the child must end here whatever happens
            sys.stderr.write(f"child: {error!r}\n")
            os._exit(4)
    return pid


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_forked_children_ask_by_themselves(flagd: FlagdServer) -> None:
    with asking(flagd.rpc):
        assert value() == "red"
        for number in range(8):
            pid = forked(lambda: until(lambda: value() != "default"))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert value() == "red", f"the parent goes on, after fork {number + 1}"
        waiting = [forked(lambda: until(lambda: value() == "blue")) for _ in range(2)]
        flagd.write(FLAGS | {"colour": flag_of("blue")})
        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in waiting] == [0, 0]
