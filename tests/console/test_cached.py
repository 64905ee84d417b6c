"""Values that are made beside the pages: cheap ones are always new, others say how old they are."""

import threading
from pathlib import Path

import psycopg
import pytest

from windsock.console import Console
from windsock.console.cached import CHEAP, CachedValue
from windsock.console.shared import Shared
from windsock.console.usage_counts import UsageQuestion


class Making:
    """Makes 1, 2, 3 …; each waits until it is let go."""

    def __init__(self, fails=()):
        self.count = 0
        self.fails = fails
        self.free = threading.Event()
        self.free.set()

    def __call__(self):
        assert self.free.wait(60)
        self.count += 1
        if self.count in self.fails:
            raise psycopg.OperationalError("gone")
        return self.count


def slow(cached, making):
    """Let the first value have taken long, a long time ago."""
    cached.now()
    cached._computed = type(cached._computed)(cached._computed.value, cached._computed.at - 1_000, 10 * CHEAP)
    return making


def test_what_is_cheap_is_made_for_each_page():
    cached = CachedValue("numbers", Making())
    cached.now()
    cached._computed = type(cached._computed)(1, cached._computed.at, 0.0)
    assert cached.now().value == 2


def test_what_takes_long_is_made_beside_the_pages():
    making = Making()
    cached = CachedValue("numbers", making)
    slow(cached, making).free.clear()
    old = cached.now()
    assert (old.value, old.age >= 1_000) == (1, True), "the page doesn't wait, and says how old it is"
    making.free.set()
    cached.close()
    assert cached._computed.value == 2


def test_a_page_that_may_not_wait_gets_nothing_at_first():
    making = Making()
    making.free.clear()
    cached = CachedValue("numbers", making)
    assert cached.latest() is None
    making.free.set()
    cached.close()
    assert cached.latest().value == 1


def test_a_page_that_may_wait_a_moment_asks_again_until_the_first_value_is_there():
    making = Making()
    making.free.clear()
    cached = CachedValue("numbers", making)
    assert cached.soon(0.0) is None
    assert cached.soon(0.0) is None, "the same run is still going on"
    making.free.set()
    cached.close()
    assert cached.soon(0.0).value >= 1
    assert CachedValue("numbers", Making()).soon(60.0).value == 1


def test_the_first_failure_reaches_the_page_that_asks_again_and_the_next_one_tries_again():
    cached = CachedValue("numbers", Making(fails={1}))
    assert cached.soon(0.0) is None
    cached.close()
    with pytest.raises(psycopg.OperationalError):
        cached.soon(60.0)
    assert cached.soon(60.0).value == 2


def test_a_failure_beside_the_pages_keeps_the_last_value(caplog):
    making = Making(fails={2})
    cached = CachedValue("numbers", making)
    slow(cached, making)
    cached.now()
    cached.close()
    assert cached._computed.value == 1
    assert "numbers: pages show the last values: gone" in caplog.text


def test_the_first_failure_is_the_page_s():
    with pytest.raises(psycopg.OperationalError):
        CachedValue("numbers", Making(fails={1})).now()


def test_a_page_may_ask_the_log_something_new_while_the_console_closes():
    def connect():
        raise psycopg.OperationalError("gone")

    class Asking(CachedValue):
        def close(self):
            shared.usage(question)

    shared, question = Shared(Console((), Path("flagd"), ""), connect), UsageQuestion("model", "day", None)
    shared._usage[UsageQuestion("profile", "day", None)] = Asking("usage", dict)
    shared.close()
    shared._usage[question].close()
    with pytest.raises(psycopg.OperationalError):
        shared.usage(question)
