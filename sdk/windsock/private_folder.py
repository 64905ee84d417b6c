"""Folders that only one user may use, and reading files in them; `disk.make_private` makes one."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal

from windsock.plain_files import open_plain
from windsock.variables import data_folder

MADE_HERE: Final = 0o610
"""The mode of a file that windsock wrote in a private folder.

Git makes files with the mode 644 or 755, less the umask, so no file of a checkout lets its group execute it
but not its owner. The bit has no other effect: these files are only read and written.
"""


class ForeignFileError(OSError):
    """A file in a private folder wasn't written by windsock; its message says what to do."""


def check_private(folder: Path) -> None:
    """Refuse a folder that another user owns or can write, or that is a link.

    Raises:
        FileNotFoundError: The folder doesn't exist.
        NotADirectoryError: It is not a folder.
        OSError: It isn't private to this user; the message is one line that says what to do.
    """
    for each in _own_levels(folder):
        status = each.lstat()
        if stat.S_ISLNK(status.st_mode):
            reason = "is a link; make it a folder"
        elif not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(f"{each} is not a folder; remove it, or name one in WINDSOCK_FOLDER")
        elif not hasattr(os, "geteuid"):  # Windows: access is by lists that mode bits don't show
            continue
        elif status.st_uid not in {os.geteuid(), 0}:
            reason = f"belongs to another user ({status.st_uid}); remove it"
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            mode = stat.S_IMODE(status.st_mode)
            reason = (
                f"can be written by others (mode {mode:o}); check what is in it and run `chmod 700 {each}`"
            )
        else:
            continue
        raise OSError(f"{each} {reason}, or name another folder in WINDSOCK_FOLDER")


@contextlib.contextmanager
def open_private(path: Path, mode: Literal["rb", "r+b"] = "rb") -> Iterator[BinaryIO]:
    """Open a file that windsock wrote in a folder that passes `check_private`, but not through a link.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ForeignFileError: It came from elsewhere.
        OSError: It cannot be opened, or is refused.
    """
    check_private(path.parent)
    with open_plain(path, mode, links=False) as file:
        status = os.fstat(file.fileno())
        if not made_here(status):
            raise ForeignFileError(not_made_here(path, status))
        yield file


def read_private(path: Path) -> bytes:
    """Read a file as `open_private` opens it.

    Raises:
        FileNotFoundError: There is no such file or folder.
        OSError: It cannot be read, or is refused.
    """
    with open_private(path) as file:
        return file.read()


def made_here(status: os.stat_result) -> bool:
    """Whether this is a file that windsock wrote, rather than one that came with a checkout."""
    windows = not hasattr(os, "geteuid")  # it has no such bits
    return stat.S_ISREG(status.st_mode) and (
        windows or (stat.S_IMODE(status.st_mode) == MADE_HERE and status.st_uid in {os.geteuid(), 0})
    )


def not_made_here(path: Path, status: os.stat_result) -> str:
    """Say of a file that it isn't `made_here`, and what to do."""
    mode = stat.S_IMODE(status.st_mode)
    wrong, mend = f"mode {mode:o}", f"chmod {MADE_HERE:o}"
    if mode == MADE_HERE:
        wrong, mend = f"it belongs to user {status.st_uid}", f"chown {os.geteuid()}"
    return (
        f"{path} was not written by windsock here ({wrong}); remove it or, if you know where "
        f"it is from, run `{mend} {path}`"
    )


def _own_levels(folder: Path) -> list[Path]:
    """The folder and its parents up to `data_folder`, if that is one of them; the highest first."""
    own = data_folder().absolute()
    above = [each for each in folder.absolute().parents if each.is_relative_to(own)]
    return [*reversed(above), folder]
