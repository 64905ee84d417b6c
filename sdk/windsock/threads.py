"""Background threads that start later if the system can't create one now, as at a process limit."""

import logging
import threading
from contextlib import suppress

from windsock.logs import get_logger

waiting: list[threading.Thread] = []
"""Threads that could not be started; `begin_waiting` tries again."""


def begin(thread: threading.Thread, level: int = logging.WARNING) -> None:
    """Start a thread, now or as soon as the system can create one.

    Args:
        thread: The thread.
        level: How to log that it begins later.
    """
    try:
        thread.start()
    except RuntimeError as error:
        get_logger("windsock").log(level, "the thread %s begins later: %s", thread.name, error)
        waiting.append(thread)


def begin_waiting() -> None:
    """Retry the threads that could not be started; each request, health check and withdrawal does."""
    for _ in range(len(waiting)):
        with suppress(IndexError):  # another caller took it
            begin(waiting.pop(0), logging.DEBUG)


def join(thread: threading.Thread, timeout: float | None = None) -> None:
    """Wait for a thread to end, unless it is the caller's own; a thread still waiting to start never does."""
    if thread in waiting:
        waiting.remove(thread)
    if thread.ident is not None and thread is not threading.current_thread():
        thread.join(timeout)
