"""Writes every user whose value a plan changes to a CSV file."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from windsock import disk
from windsock.errors import UnreachableError
from windsock.flagfiles.files import check_no_link
from windsock.gitops.impact import Moved


@contextmanager
def moved_users(path: Path | None) -> Iterator[Callable[[Moved], None] | None]:
    """Yield a function that writes a row; the file replaces an earlier one only if the block succeeds.

    Args:
        path: The file; if None, the block gets None instead of a function.

    Raises:
        UnreachableError: The file cannot be written, or is behind a link.
    """
    if path is None:
        yield None
        return
    check_no_link(path)
    try:
        with disk.replacing(path) as data:  # a partial list would look complete
            file = io.TextIOWrapper(data, encoding="utf-8", newline="")
            writer = csv.writer(file)
            writer.writerow(("flag", "user", "before", "after", "reason"))
            yield lambda moved: writer.writerow(astuple(moved))
            file.detach()  # flushes; the file's owner closes it
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be written: {error.strerror}") from error
