"""Folders that only one user may use, and reading files in them; `disk.make_private` makes one."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal

from windsock.variables import data_folder

NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
"""A flag of `os.open` that refuses a link; 0 where the system has none."""


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
            why = "is a link; make it a folder"
        elif not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(f"{each} is not a folder; remove it, or name one in WINDSOCK_FOLDER")
        elif not hasattr(os, "geteuid"):  # Windows: access is by lists that mode bits don't show
            continue
        elif status.st_uid not in {os.geteuid(), 0}:
            why = f"belongs to another user ({status.st_uid}); remove it"
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            mode = stat.S_IMODE(status.st_mode)
            why = f"can be written by others (mode {mode:o}); check what is in it and run `chmod 700 {each}`"
        else:
            continue
        raise OSError(f"{each} {why}, or name another folder in WINDSOCK_FOLDER")


@contextlib.contextmanager
def open_private(path: Path, mode: Literal["rb", "r+b"] = "rb") -> Iterator[BinaryIO]:
    """Open a file of a folder that passes `check_private`, but not through a link.

    Raises:
        FileNotFoundError: There is no such file or folder.
        OSError: It cannot be opened, or is refused.
    """
    check_private(path.parent)
    with open(path, mode, opener=_without_links) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is not a file; remove it")
        yield file


def read_private(path: Path) -> bytes:
    """Read a file as `open_private` opens it.

    Raises:
        FileNotFoundError: There is no such file or folder.
        OSError: It cannot be read, or is refused.
    """
    with open_private(path) as file:
        return file.read()


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))


def _own_levels(folder: Path) -> list[Path]:
    """The folder and its parents up to `data_folder`, if that is one of them; the highest first."""
    own = data_folder().absolute()
    above = [each for each in folder.absolute().parents if each.is_relative_to(own)]
    return [*reversed(above), folder]
