"""Background threads that start later if the system can't create one now, as at a process limit."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from windsock.logs import get_logger

waiting: list["BackgroundThread"] = []
"""Threads that could not be started; `begin_waiting` tries again."""


class BackgroundThread:
    """A daemon thread that starts now or, if the system can't create one, as soon as it can.

    Args:
        target: What runs in it.
        name: The thread's name.
    """

    def __init__(self, target: Callable[[], object], name: str) -> None:
        self._target = target
        self.name = name
        self._thread: threading.Thread | None = None

    def begin(self, level: int = logging.WARNING) -> None:
        """Start the thread, or log at a level that it begins later."""
        # A new one each time: from Python 3.13 on, one whose start failed refuses another. Of the class that
        # `threading` has now, which gevent replaces.
        self._thread = threading.Thread(target=self._target, name=self.name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            get_logger("windsock").log(level, "the thread %s begins later: %s", self.name, error)
            waiting.append(self)

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end, unless it is the caller's own. One that waits to start never does."""
        if self in waiting:
            waiting.remove(self)
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(timeout)


def begin_waiting() -> None:
    """Retry the threads that could not be started; each request, health check and withdrawal does."""
    for _ in range(len(waiting)):
        with suppress(IndexError):  # another caller took it
            waiting.pop(0).begin(logging.DEBUG)
