"""Background threads that begin later where the system makes none now, as at a limit of processes."""

import logging
import threading

waiting: list[threading.Thread] = []
"""Threads that could not be made; `begin_waiting` tries them again."""


def begin(thread: threading.Thread) -> None:
    """Start a thread, now or as soon as the system makes one."""
    try:
        thread.start()
    except RuntimeError as error:
        logging.getLogger("windsock").warning("the thread %s begins later: %s", thread.name, error)
        waiting.append(thread)


def begin_waiting() -> None:
    """Try again to start the threads that could not be made; cheap where there are none."""
    for thread in waiting[:]:
        waiting.remove(thread)
        begin(thread)


def join(thread: threading.Thread, timeout: float | None = None) -> None:
    """Wait for a thread's end, except for the caller's own; one that never began doesn't begin any more."""
    if thread in waiting:
        waiting.remove(thread)
    if thread.ident is not None and thread is not threading.current_thread():
        thread.join(timeout)
