"""Waiting for what another thread, process or server does: for a condition, never for a time."""

import time
from collections.abc import Callable

NOT_YET = (AssertionError, LookupError, OSError)
"""Errors that mean "not yet": a file, a key or an address that another process hasn't made, a failed check."""


def until(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether the condition becomes true within the seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def eventually(
    condition: Callable[[], object], seconds: float = 60.0, *, not_yet: tuple[type[Exception], ...] = NOT_YET
) -> None:
    """Wait until the condition is true; fail, with its last error as the cause, if it isn't in time."""
    end = time.monotonic() + seconds
    while True:
        last = None
        try:
            if condition():
                return
        except not_yet as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"it did not become true within {seconds:g} s") from last
        time.sleep(0.01)
