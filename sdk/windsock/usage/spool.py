"""Records that wait on disk: one JSONL file per process, replayed once by whoever locks it."""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from windsock import disk
from windsock.usage.record import UsageRecord

log = logging.getLogger("windsock.usage")

DEFAULT_FOLDER = Path(".windsock/spool")
DEFAULT_MAX_BYTES = 256 * 2**20
_PATTERN = "usage-*.jsonl"
_FILE_BYTES = 8 * 2**20  # a file is read whole to be replayed


class Spool:
    """A folder of files of records, shared by all processes of a host.

    A process appends to one file of its own and holds a lock on it as long as it does. A file that nobody
    holds is free to be replayed: by its owner after `release`, or by any process once the owner has ended,
    however it ended, because the kernel drops the lock. Two processes never replay the same file.

    Args:
        folder: Made when the first batch is appended; only its owner may read it (mode 700).
        max_bytes: Bound on the whole folder, in bytes. A batch that does not fit is refused.
    """

    def __init__(self, folder: Path = DEFAULT_FOLDER, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._fd: int | None = None

    def append(self, rows: Sequence[UsageRecord]) -> None:
        """Write `rows` and force them to disk.

        Raises:
            OSError: The folder cannot be written, or is full by `max_bytes`; none of the rows counts as kept.
        """
        if not disk.CAN_LOCK:
            raise OSError("records cannot wait on disk here: this system has no flock")
        data = "".join(f"{row.to_line()}\n" for row in rows).encode()
        with self._lock:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            size = self.size()
            if size + len(data) > self.max_bytes:
                raise OSError(f"the folder {self.folder} holds {size} bytes of {self.max_bytes} allowed")
            if self._fd is None:
                self._fd = self._open()
            start = os.lseek(self._fd, 0, os.SEEK_END)
            try:
                _write_all(self._fd, data)
                os.fsync(self._fd)
            except OSError:
                os.ftruncate(self._fd, start)
                raise
            if start + len(data) > _FILE_BYTES:
                self._close()

    def release(self) -> None:
        """Close this process's file, so that it can be replayed; the next batch opens another."""
        with self._lock:
            self._close()

    def forget(self) -> None:
        """In a forked child: let go of the parent's file, which stays the parent's."""
        self._lock = threading.Lock()
        self._close()  # closing a copy of the descriptor leaves the parent's lock in place

    def size(self) -> int:
        """Give the bytes of all files in the folder, whoever wrote them."""
        total = 0
        for path in self.folder.glob(_PATTERN):
            try:
                total += path.stat().st_size
            except FileNotFoundError:  # replayed by another process a moment ago
                continue
        return total

    def waiting(self) -> bool:
        """Tell whether any record is there, in a file held or free."""
        return disk.CAN_LOCK and self.size() > 0

    @contextmanager
    def claim(self) -> Iterator[list[UsageRecord] | None]:
        """Take the oldest free file: gives its records, or None if no file is free.

        The file is deleted when the block ends well, and stays, free again, when the block raises.
        """
        taken = self._take()
        if taken is None:
            yield None
            return
        fd, path = taken
        try:
            yield _read(fd, path)
            path.unlink()
        finally:
            os.close(fd)

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        path = self.folder / f"usage-{os.getpid()}-{uuid4().hex[:12]}.jsonl"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        disk.lock(fd)
        disk.sync_folder(self.folder)
        return fd

    def _take(self) -> tuple[int, Path] | None:
        for path in sorted(self.folder.glob(_PATTERN), key=_modified):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            # Between the listing and the lock another process may have replayed and deleted it. An empty file
            # is one that its owner has made and not yet locked, or left at once: nothing to replay.
            if disk.lock(fd, wait=False) and os.fstat(fd).st_nlink and os.fstat(fd).st_size:
                return fd, path
            os.close(fd)
        return None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _read(fd: int, path: Path) -> list[UsageRecord]:
    """Read what parses; a line that a dying process left half written is reported and left out."""
    rows = []
    with os.fdopen(os.dup(fd), encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(UsageRecord.from_line(line))
            except ValueError as error:
                log.warning("%s:%d: left out, %s", path, number, error)
    return rows
