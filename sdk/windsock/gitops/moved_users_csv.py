"""Every user whose value a plan changes, in a CSV file."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from windsock import disk
from windsock.errors import UnreachableError
from windsock.gitops.impact import Moved


@contextmanager
def moved_users(path: Path | None) -> Iterator[Callable[[Moved], None] | None]:
    """A function that writes a row; the file replaces an earlier one at the end of the block, or never.

    Args:
        path: The file; without one, there is nothing to call.

    Raises:
        UnreachableError: The file cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        with disk.replacing(path) as data:  # half a list would look like a whole one
            file = io.TextIOWrapper(data, encoding="utf-8", newline="")
            writer = csv.writer(file)
            writer.writerow(("flag", "user", "before", "after", "reason"))
            yield lambda moved: writer.writerow(astuple(moved))
            file.detach()  # flushes, and leaves the file to be closed by its owner
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be written: {error.strerror}") from error
