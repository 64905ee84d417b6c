"""Threads that use a class for the first time, or while it changes, at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional, TypeVar

import pytest
from pydantic import BaseModel
from tests.flagfiles import object_flag
from tests.settings.teacher import Serve

import windsock
from windsock.settings.place import fingerprint
from windsock.settings.process import process

T = TypeVar("T")
THREADS = 12


def at_once(*calls: Callable[[], T]) -> list[T]:
    """What calls give that start together, each in a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def call(each: Callable[[], T]) -> T:
        barrier.wait()
        return each()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


class Later(BaseModel):
    n: int = 3


def test_the_first_use_of_a_class() -> None:
    for _ in range(20):

        class Shop(windsock.Settings):
            later: Optional["Later"] = None
            port: int = 1

        assert at_once(*[lambda shop=Shop: shop.for_user("ann").port] * THREADS) == [1] * THREADS


def test_what_a_class_passes_on_itself_is_its_own_whatever_else_is_made_meanwhile() -> None:
    asked, made = threading.Event(), threading.Event()

    class Own(windsock.Settings):
        name: str = "a"

        def __init__(self, **values: Any) -> None:
            super().__init__(**{"name": "own", **values})
            if not values:
                asked.set()
                assert made.wait(60)

    def other() -> str:
        assert asked.wait(60)
        name = Own(name="other").name
        made.set()
        return name

    assert at_once(lambda: Own.live().name, other) == ["own", "other"]


def test_a_value_that_is_withdrawn_while_settings_are_made_does_not_come_back(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(windsock.Settings):
        port: int = 1

    serve({"slow": object_flag({"on": {"port": 5}}, "on")})
    resolver = Slow.__windsock__
    resolved, withdrawn = threading.Event(), threading.Event()
    resolve_layers = resolver.resolve_layers

    def slowly(*arguments: Any, **options: Any) -> Any:
        found = resolve_layers(*arguments, **options)
        if not resolved.is_set():
            resolved.set()
            assert withdrawn.wait(60)
        return found

    monkeypatch.setattr(resolver, "resolve_layers", slowly)

    def withdraw() -> int:
        assert resolved.wait(60)
        process.withdraw({("slow", "on", "port"): fingerprint(5)})
        port = Slow.for_user("ben").port
        withdrawn.set()
        return port

    try:
        before, after = at_once(lambda: Slow.for_user("ann").port, withdraw)
        assert (before, after) == (5, 1)
        assert Slow.for_user("ann").port == 1
    finally:
        process.withdraw({})


@pytest.mark.slow
def test_reading_while_the_process_reloads(serve: Serve, setenv: Callable[[str, str], None]) -> None:
    class Web(windsock.Settings):
        port: int = 1
        limits: dict[str, int] = {"a": 1}

    serve({"web": object_flag({"on": {"port": 5}}, "on")})
    stop = threading.Event()

    def read() -> set[tuple[int, str]]:
        seen = set()
        while not stop.is_set():
            ann = Web.for_user("ann")
            seen.add((ann.port, str(ann.limits)))
        return seen

    def change() -> set[tuple[int, str]]:
        for place in range(30):
            setenv("LIMITS", f'{{"a": {place % 2}}}')
        stop.set()
        return set()

    seen = set().union(*at_once(read, read, read, change))
    assert seen <= {(5, "{'a': 0}"), (5, "{'a': 1}")}
    assert Web.for_user("ann").limits == {"a": 1}
