"""What must stop before this process forks and start again after it, in the parent and in the child.

gRPC cannot be used in a child that was forked while a connection was open: the child hangs or crashes. With
every connection closed and every thread joined there is nothing of it to inherit. After the last connection
gRPC shuts itself down on threads of its own, under a lock: a child forked meanwhile inherits that lock, and
the first channel that it opens waits for it without end. So a fork waits until those threads are gone.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from openfeature import _event_support

from windsock.providers import greenlets

_GRPC_SECONDS: Final = 2.0
"""Longest wait for gRPC's threads: they end in milliseconds, or not while another library uses it."""

_GRPC_THREADS: Final = ("event_engine", "grpc_", "lifeguard", "timer_manager")
"""How gRPC's own threads are called, which Python does not know of."""


class Forkable(Protocol):
    """Something with threads or connections of its own."""

    def before_fork(self) -> None:
        """Close connections and join threads; remember whether there were any."""

    def after_fork(self, *, in_child: bool) -> None:
        """Start again what was stopped; in the child with new locks."""


class Gate:
    """Lets calls through until it is shut; shutting waits for those under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0
        self._shut = False

    @contextmanager
    def through(self) -> Iterator[None]:
        """Be a call under way for as long as the `with` block."""
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
        """Hold calls back from now on, and wait for those under way."""
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
"""Held from before a fork until after it: two threads that fork take turns."""
_uses_grpc = False
_lasting: frozenset[str] = frozenset()
"""gRPC's threads that outlived a wait: while another library uses gRPC, it does not shut down."""


def register(each: Forkable, *, grpc: bool = False) -> None:
    """Have it stopped and started around every fork, and around gevent's patching, for as long as it lives.

    gunicorn's gevent worker patches `threading` after its fork: a thread from before would block in the new
    primitives.

    Args:
        each: What is stopped and started.
        grpc: Whether it uses gRPC, whose threads every later fork then waits for.
    """
    global _uses_grpc  # noqa: PLW0603 - as a fork, the process's affair
    _known.add(each)
    _uses_grpc |= grpc
    greenlets.around_patching(_before, _after_in_child)


def _before() -> None:
    _forking.acquire()
    for each in list(_known):
        _paused.append(each)
        each.before_fork()
    if _uses_grpc:
        _await_grpc()


def _await_grpc() -> None:
    global _lasting  # noqa: PLW0603 - as above
    until = time.monotonic() + _GRPC_SECONDS
    while (threads := _grpc_threads()) and threads != _lasting:
        if time.monotonic() > until:
            _lasting = threads
            return
        time.sleep(0.001)


def _grpc_threads() -> frozenset[str]:
    """The ids of gRPC's threads; none where the system does not tell them, as only Linux does."""
    return frozenset(task.name for task in _tasks() if _name(task).startswith(_GRPC_THREADS))


def _tasks() -> list[Path]:
    try:
        return list(Path("/proc/self/task").iterdir())
    except OSError:
        return []


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:  # it has ended
        return ""


def _after_in_parent() -> None:
    paused = _taken()
    _forking.release()
    for each in paused:
        each.after_fork(in_child=False)


def _after_in_child() -> None:
    paused = _taken()
    _forking.release()
    greenlets.soon(partial(_begin_in_child, paused))


def _begin_in_child(paused: list[Forkable]) -> None:
    # OpenFeature's threads for event handlers are gone and its executor does not know it: handlers would wait
    # for ever.
    _event_support._event_executor = ThreadPoolExecutor(  # noqa: SLF001 - it has no other way in
        thread_name_prefix="openfeature-event-handler"
    )
    for each in paused:
        each.after_fork(in_child=True)


def _taken() -> list[Forkable]:
    taken = _paused.copy()
    _paused.clear()
    return taken


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
