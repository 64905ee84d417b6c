"""The lock of a folder of flag files: one writer at a time, across threads and processes."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from windsock import disk
from windsock.errors import UnreachableError

_SECONDS: Final = 5.0
"""Seconds that a write waits for the others: any process that can read the folder can hold its lock."""


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; without ``flock`` nothing is locked.

    Raises:
        UnreachableError: The folder can't be opened, or its lock is held for seconds.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UnreachableError(f"{folder}: cannot be opened: {error.strerror}") from error
    try:
        until = time.monotonic() + _SECONDS
        while disk.CAN_LOCK and not disk.lock(descriptor, wait=False):
            if time.monotonic() > until:
                raise UnreachableError(
                    f"{folder}: another process holds its lock (flock); nothing was written: try again"
                )
            time.sleep(0.002)
        yield
    finally:
        disk.unlock(descriptor)
        os.close(descriptor)
