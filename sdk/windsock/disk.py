"""Files that are replaced in one step, locks that end with their process, and folders of one user alone."""

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from windsock.variables import data_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CAN_LOCK: Final = fcntl is not None
"""Whether this system has ``flock``."""

NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
"""A flag of `os.open` that refuses a link; 0 where the system has none."""

_SUFFIX: Final = ".tmp"
_ABANDONED_SECONDS: Final = 3600.0
"""Age at which a temporary file can no longer belong to a write in progress."""


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Write a file that takes `path`'s place when the block ends well.

    A reader sees the old file or the new one, also after a crash: the content is on the disk before the name
    changes. Call `sync_folder` before you rely on the name. A symbolic link stays one, and what it points to
    is replaced. If the block raises, the old file is unchanged.

    Args:
        path: Its folder is made when missing.
        private: The file is this user's alone: its folder is one by `make_private`, its permissions are 600,
            and a link at its place is replaced itself. Else a new file can be read by all.

    Raises:
        OSError: The file cannot be written.
    """
    if private:
        make_private(path.parent)
        target, before = path, None
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve() if path.is_symlink() else path
        before = target.stat() if target.exists() else None
    new = 0o600 if private else 0o644
    _remove_abandoned(target)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, before.st_mode & 0o777 if before else new)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def replace(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace a whole file in one step; see `replacing`.

    Raises:
        OSError: The file cannot be written; the old one is unchanged.
    """
    with replacing(path, private=private) as file:
        file.write(data)


def make_private(folder: Path) -> None:
    """Make a folder that only this user may use; refuse one that others could have filled.

    In windsock's own folder, `data_folder`, every level is looked at, else the folder alone.

    Raises:
        OSError: It cannot be made, or `check_private` refuses it.
    """
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            each.mkdir(mode=0o700)
    check_private(folder)


def check_private(folder: Path) -> None:
    """Refuse a folder that others can write, that is theirs, or that a link leads to.

    Raises:
        FileNotFoundError: There is none.
        NotADirectoryError: It is something else.
        OSError: It is not this user's alone; the message is one line that says what to do.
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


def read_private(path: Path) -> bytes:
    """Read a file of a folder that passes `check_private`, but not through a link.

    Raises:
        FileNotFoundError: There is no such file or folder.
        OSError: It cannot be read, or is refused.
    """
    check_private(path.parent)
    descriptor = os.open(path, os.O_RDONLY | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a file; remove it")
        return file.read()


def _own_levels(folder: Path) -> list[Path]:
    """The folder, and those above it up to `data_folder` if it is there; the highest first."""
    own = data_folder().absolute()
    above = [each for each in folder.absolute().parents if each.is_relative_to(own)]
    return [*reversed(above), folder]


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk.

    Raises:
        OSError: The disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, wait: bool = True) -> bool:
    """Lock an open file or folder until its descriptor is closed or its process ends, however it ends.

    Args:
        descriptor: Of the file or folder.
        wait: Wait for another holder to let go.

    Returns:
        Whether this process holds the lock; False if somebody else does, or the system has no ``flock``.
    """
    if not CAN_LOCK:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock: one writer at a time, over threads and processes.

    Without ``flock`` nothing is locked; check `CAN_LOCK` where that isn't good enough.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(target: Path) -> None:
    """Remove what writers of this file left behind when they were killed."""
    for left in target.parent.glob(f".{target.name}.*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # another process removes it too
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()
