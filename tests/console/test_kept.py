"""Values that are made beside the pages: cheap ones are always new, others say how old they are."""

import threading
from pathlib import Path

import psycopg
import pytest

from windsock.console import Console
from windsock.console.kept import CHEAP, Kept
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


def slow(kept, making):
    """Let the first value have taken long, a long time ago."""
    kept.now()
    kept._made = type(kept._made)(kept._made.value, kept._made.at - 1_000, 10 * CHEAP)
    return making


def test_what_is_cheap_is_made_for_each_page():
    kept = Kept("numbers", Making())
    kept.now()
    kept._made = type(kept._made)(1, kept._made.at, 0.0)
    assert kept.now().value == 2


def test_what_takes_long_is_made_beside_the_pages():
    making = Making()
    kept = Kept("numbers", making)
    slow(kept, making).free.clear()
    old = kept.now()
    assert (old.value, old.age >= 1_000) == (1, True), "the page doesn't wait, and says how old it is"
    making.free.set()
    kept.close()
    assert kept._made.value == 2


def test_a_page_that_may_not_wait_gets_nothing_at_first():
    making = Making()
    making.free.clear()
    kept = Kept("numbers", making)
    assert kept.latest() is None
    making.free.set()
    kept.close()
    assert kept.latest().value == 1


def test_a_page_that_may_wait_a_moment_asks_again_until_the_first_value_is_there():
    making = Making()
    making.free.clear()
    kept = Kept("numbers", making)
    assert kept.soon(0.0) is None
    assert kept.soon(0.0) is None, "the same run is still going on"
    making.free.set()
    kept.close()
    assert kept.soon(0.0).value >= 1
    assert Kept("numbers", Making()).soon(60.0).value == 1


def test_the_first_failure_reaches_the_page_that_asks_again_and_the_next_one_tries_again():
    kept = Kept("numbers", Making(fails={1}))
    assert kept.soon(0.0) is None
    kept.close()
    with pytest.raises(psycopg.OperationalError):
        kept.soon(60.0)
    assert kept.soon(60.0).value == 2


def test_a_failure_beside_the_pages_keeps_the_last_value(caplog):
    making = Making(fails={2})
    kept = Kept("numbers", making)
    slow(kept, making)
    kept.now()
    kept.close()
    assert kept._made.value == 1
    assert "numbers: pages show the last ones: gone" in caplog.text


def test_the_first_failure_is_the_page_s():
    with pytest.raises(psycopg.OperationalError):
        Kept("numbers", Making(fails={1})).now()


def test_a_page_may_ask_the_log_something_new_while_the_console_closes():
    def connect():
        raise psycopg.OperationalError("gone")

    class Asking(Kept):
        def close(self):
            shared.usage(question)

    shared, question = Shared(Console((), Path("flagd"), ""), connect), UsageQuestion("model", "day", None)
    shared._usage[UsageQuestion("profile", "day", None)] = Asking("usage", dict)
    shared.close()
    shared._usage[question].close()
    with pytest.raises(psycopg.OperationalError):
        shared.usage(question)
