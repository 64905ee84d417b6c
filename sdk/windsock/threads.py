"""Background threads that start later if the system can't create one now, as at a process limit."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from windsock.logs import get_logger

waiting: list["BackgroundThread"] = []
"""Threads that could not be started; `begin_waiting` tries again."""


class BackgroundThread(threading.Thread):
    """A daemon thread that starts now or, if the system can't create one, as soon as it can.

    Args:
        target: What runs in it.
        name: The thread's name.
    """

    def __init__(self, target: Callable[[], object], name: str) -> None:
        self._renew = partial(super().__init__, target=target, name=name, daemon=True)
        self._renew()

    def begin(self, level: int = logging.WARNING) -> None:
        """Start the thread, or log at a level that it begins later."""
        try:
            self.start()
        except RuntimeError as error:
            get_logger("windsock").log(level, "the thread %s begins later: %s", self.name, error)
            self._renew()  # from Python 3.13 on, a thread whose start failed refuses another
            waiting.append(self)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end, unless it is the caller's own. One that waits to start never does."""
        if self in waiting:
            waiting.remove(self)
        if self.ident is not None and self is not threading.current_thread():
            super().join(timeout)


def begin_waiting() -> None:
    """Retry the threads that could not be started; each request, health check and withdrawal does."""
    for _ in range(len(waiting)):
        with suppress(IndexError):  # another caller took it
            waiting.pop(0).begin(logging.DEBUG)
