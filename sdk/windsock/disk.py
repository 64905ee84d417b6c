"""Files that are replaced in one step, folders of one user alone, and locks that end with their process."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from windsock.errors import UnreachableError
from windsock.flag_names import TEMPORARY
from windsock.plain_files import open_plain
from windsock.private_folder import MADE_HERE, check_private
from windsock.variables import data_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CAN_LOCK: Final = fcntl is not None
"""Whether this system has ``flock``."""

_ABANDONED_SECONDS: Final = 3600.0
"""Age at which a temporary file can no longer belong to a write in progress."""


def check_plain(path: Path) -> None:
    """Refuse a path that a database engine would wait for, such as a pipe.

    Raises:
        UnreachableError: It can't be opened, or is something else than a file.
    """
    try:
        with open_plain(path):
            pass
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False, sync: bool = True) -> Iterator[BinaryIO]:
    """Write a file that replaces `path` when the block ends without an error.

    A reader sees the old file or the new one, also after a crash: the content is on the disk before the name
    changes. Call `sync_folder` before you rely on the name. A symbolic link stays one, and what it points to
    is replaced. If the block raises, the old file is unchanged.

    Args:
        path: Its folder is made when missing.
        private: Only this user may read the file: `make_private` makes its folder, its permissions are
            `MADE_HERE`, and a link in its place is itself replaced. Otherwise anyone may read a new file.
        sync: False if the content need not be on the disk before the name changes: a crash may then leave
            anything under the name.

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
    new = MADE_HERE if private else 0o644
    _remove_abandoned(target)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=TEMPORARY, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, before.st_mode & 0o777 if before else new)
            yield file
            file.flush()
            if sync:
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

    Inside windsock's own folder, `data_folder`, every level is checked; elsewhere only the folder itself.
    A new `data_folder` tells Git to ignore it.

    Raises:
        OSError: It cannot be made, or `check_private` refuses it.
    """
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process made it first
            each.mkdir(mode=0o700)
            if each.absolute() == data_folder().absolute():
                _ignore_in_git(each)
    check_private(folder)


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
        descriptor: The descriptor of the file or folder.
        wait: Wait until another holder releases it.

    Returns:
        Whether this process holds the lock; False if another holder has it, or the system has no ``flock``.
    """
    if not CAN_LOCK:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Release a lock before its descriptor is closed: a child that was forked meanwhile holds it too."""
    if CAN_LOCK:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock: one writer at a time, across threads and processes.

    Without ``flock`` nothing is locked; check `CAN_LOCK` where that isn't good enough.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor)
        yield
    finally:
        unlock(descriptor)
        os.close(descriptor)


def _ignore_in_git(folder: Path) -> None:
    """Have Git ignore a new folder; where the disk is too full for that, remove it again."""
    ignore = folder / ".gitignore"
    try:
        ignore.touch(mode=0o600)
        ignore.write_text("*\n", encoding="utf-8")
    except OSError:
        ignore.unlink(missing_ok=True)
        folder.rmdir()
        raise


def _remove_abandoned(target: Path) -> None:
    """Remove temporary files that killed writers of this file left behind."""
    beginning = f".{target.name}."
    with os.scandir(target.parent) as entries:
        left = [each for each in entries if each.name.startswith(beginning) and each.name.endswith(TEMPORARY)]
    for each in left:
        with contextlib.suppress(OSError):  # another process removes it too
            if time.time() - each.stat().st_mtime > _ABANDONED_SECONDS:
                Path(each).unlink()
