"""Background threads that start later if the system can't create one now, as at a process limit."""

import logging
import threading

waiting: list[threading.Thread] = []
"""Threads that could not be started; `begin_waiting` tries again."""


def begin(thread: threading.Thread) -> None:
    """Start a thread, now or as soon as the system can create one."""
    try:
        thread.start()
    except RuntimeError as error:
        logging.getLogger("windsock").warning("the thread %s begins later: %s", thread.name, error)
        waiting.append(thread)


def begin_waiting() -> None:
    """Retry the threads that could not be started; cheap if there are none."""
    for thread in waiting[:]:
        waiting.remove(thread)
        begin(thread)


def join(thread: threading.Thread, timeout: float | None = None) -> None:
    """Wait for a thread to end, unless it is the caller's own; a thread still waiting to start never does."""
    if thread in waiting:
        waiting.remove(thread)
    if thread.ident is not None and thread is not threading.current_thread():
        thread.join(timeout)
