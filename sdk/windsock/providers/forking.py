"""Stop things before this process forks and restart them afterwards, in the parent and in the child.

gRPC can't be used in a child forked while a connection was open: the child hangs or crashes. Once every
connection is closed, every thread joined and gRPC's own threads have ended, the child inherits none of it.
"""

import os
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from openfeature import _event_support

from windsock.logs import get_logger
from windsock.providers import greenlets


class Forkable(Protocol):
    """Something with its own threads or connections."""

    def before_fork(self) -> None:
        """Close connections and join threads; remember whether there were any."""

    def after_fork(self, *, in_child: bool) -> None:
        """Restart what was stopped; in the child, with new locks."""


class Gate:
    """Lets calls through until it's shut; shutting it waits for calls in flight."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0
        self._shut = False

    @contextmanager
    def through(self) -> Iterator[None]:
        """Count as an in-flight call for the duration of the `with` block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def shut(self) -> None:
        """Block new calls, and wait for those in flight."""
        with self._changed:
            self._shut = True
            self._changed.wait_for(lambda: self._calls == 0)

    def open(self) -> None:
        """Let calls through again."""
        with self._changed:
            self._shut = False
            self._changed.notify_all()


_known: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_paused: list[Forkable] = []
_forking = threading.Lock()
"""Held from before a fork until after it, so that two forking threads take turns."""
_uses_grpc = False


def register(each: Forkable, *, grpc: bool = False) -> None:
    """Stop and restart an object around every fork and around gevent's patching, for as long as it lives.

    gunicorn's gevent worker patches `threading` after its fork; a thread started earlier would block in the
    new primitives.

    Args:
        each: The object to stop and restart.
        grpc: Whether it uses gRPC; if so, every later fork waits for gRPC's threads.
    """
    global _uses_grpc  # noqa: PLW0603 - as a fork, the process's affair
    _known.add(each)
    if grpc:
        from windsock.providers import grpc_threads  # noqa: F401, PLC0415 - now: a fork is no time to load it

        _uses_grpc = True
    if "gevent" in sys.modules:
        from windsock.providers.gevent_patching import surround  # noqa: PLC0415 - few use gevent

        surround(_before, _after_in_child)


def _before() -> None:
    _forking.acquire()
    for each in list(_known):
        _paused.append(each)
        with _logged(each):
            each.before_fork()
    if _uses_grpc:
        from windsock.providers.grpc_threads import wait_for_their_end  # noqa: PLC0415 - few use gRPC

        wait_for_their_end()


def _after_in_parent() -> None:
    paused = _taken()
    _forking.release()
    for each in paused:
        with _logged(each):
            each.after_fork(in_child=False)


def _after_in_child() -> None:
    paused = _taken()
    _forking.release()
    if greenlets.threads_are_greenlets():
        from windsock.providers.gevent_patching import soon  # noqa: PLC0415 - few use gevent

        soon(lambda: _begin_in_child(paused))
    else:
        _begin_in_child(paused)


def _begin_in_child(paused: list[Forkable]) -> None:
    # OpenFeature's event handler threads are gone, but its executor doesn't know: handlers would hang.
    _event_support._event_executor = ThreadPoolExecutor(  # noqa: SLF001 - it has no other way in
        thread_name_prefix="openfeature-event-handler"
    )
    for each in paused:
        with _logged(each):
            each.after_fork(in_child=True)


@contextmanager
def _logged(each: Forkable) -> Iterator[None]:
    """Log a failure in one object, so that the others still stop and restart."""
    try:
        yield
    except Exception:  # noqa: BLE001 - logged
        get_logger("windsock").exception("%s around a fork", type(each).__name__)


def _taken() -> list[Forkable]:
    taken = _paused.copy()
    _paused.clear()
    return taken


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
