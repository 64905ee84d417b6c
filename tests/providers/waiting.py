"""Waiting for something that another thread or process does."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether the condition becomes true within the seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
