"""What must stop before this process forks and start again after it, in the parent and in the child.

gRPC cannot be used in a child that was forked while a connection was open: the child hangs or crashes. With
every connection closed and every thread joined there is nothing of it to inherit.
"""

import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from openfeature import _event_support


class Forkable(Protocol):
    """Something with threads or connections of its own."""

    def before_fork(self) -> None:
        """Close connections and join threads; remember whether there were any."""

    def after_fork(self, *, in_child: bool) -> None:
        """Start again what was stopped; in the child with new locks."""


_known: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_paused: list[Forkable] = []
_forking = threading.Lock()
"""Held from before a fork until after it: two threads that fork take turns."""


def register(each: Forkable) -> None:
    """Have it stopped and started around every fork, for as long as it lives."""
    _known.add(each)


def _before() -> None:
    _forking.acquire()
    for each in list(_known):
        _paused.append(each)
        each.before_fork()


def _after_in_parent() -> None:
    paused = _taken()
    _forking.release()
    for each in paused:
        each.after_fork(in_child=False)


def _after_in_child() -> None:
    # OpenFeature's threads for event handlers are gone and its executor does not know it: handlers would wait
    # for ever.
    _event_support._event_executor = ThreadPoolExecutor(  # noqa: SLF001 - it has no other way in
        thread_name_prefix="openfeature-event-handler"
    )
    paused = _taken()
    _forking.release()
    for each in paused:
        each.after_fork(in_child=True)


def _taken() -> list[Forkable]:
    taken = _paused.copy()
    _paused.clear()
    return taken


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
