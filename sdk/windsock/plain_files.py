"""Opening files that somebody else may have put there: no pipe, no device, no link out of a folder."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal

NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
"""A flag of `os.open` that refuses a link; 0 where the system has none."""

NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Flags of `os.open` that open a pipe or a device at once, so that it can be refused."""


@contextlib.contextmanager
def open_plain(
    path: Path, mode: Literal["rb", "r+b"] = "rb", *, links: bool = True, pipes: bool = False
) -> Iterator[BinaryIO]:
    """Open a regular file: a pipe may never be written to, and a device may be endless.

    Args:
        path: The file.
        mode: As for `open`.
        links: Whether a link to it is followed.
        pipes: Whether a pipe will do; reading from it waits for its writer.

    Raises:
        OSError: It can't be opened, or is something else than a file.
    """
    more = NO_WAIT | (0 if links else NO_FOLLOW)
    with open(path, mode, opener=lambda name, flags: os.open(name, flags | more)) as file:
        kind = os.fstat(file.fileno()).st_mode
        if pipes and stat.S_ISFIFO(kind):
            os.set_blocking(file.fileno(), True)
        elif not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "not a file", str(path))
        yield file


def read_plain(path: Path, most: int = -1) -> bytes:
    """Read a file as `open_plain` opens it.

    Args:
        path: The file.
        most: The most bytes to read; all if negative.

    Raises:
        OSError: It can't be read, or is something else than a file.
    """
    with open_plain(path) as file:
        return file.read(most)


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a link takes a path out of its folder, and out of the current one.

    A stranger's branch could link to files elsewhere and have them shown.
    """
    target = Path(os.path.realpath(path))  # `resolve` raises for a link to itself
    return not any(target.is_relative_to(each) for each in (os.path.realpath(folder), Path.cwd()))
