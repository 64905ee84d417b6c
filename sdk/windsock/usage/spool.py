"""Records waiting on disk: one JSONL file per process, replayed once by the process that locks it."""

import json
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from windsock import disk, private_folder
from windsock.logs import get_logger
from windsock.plain_files import NO_FOLLOW, NO_WAIT
from windsock.usage.experiment_records import Record, read_line
from windsock.variables import data_folder

log = get_logger("windsock.usage")

DEFAULT_MAX_BYTES = 256 * 2**20
_PATTERN = "usage-*.jsonl"
_FILE_BYTES = 8 * 2**20  # files are read whole for replay
_FILES_AT_ONCE = 200  # each uses a descriptor during replay

REFUSED = "refused.jsonl"
_REFUSED_BEFORE = "refused.old.jsonl"
_REFUSED_BYTES = 16 * 2**20

_CAREFUL = NO_FOLLOW | NO_WAIT | getattr(os, "O_CLOEXEC", 0)
"""How a file of the folder is opened: it may be a link or a pipe."""


class Spool:
    """A folder of record files, shared by all processes on a host.

    A process appends to its own file and holds a lock on it meanwhile. An unlocked file may be replayed: by
    its owner after `release`, or by any process once the owner has ended, however it ended, because the
    kernel drops the lock. Two processes never replay the same file.

    Args:
        folder: Created when the first batch is appended; only its owner may read it (mode 700). A folder
            that others can write to is refused and never replayed. Default: ``spool`` in `data_folder`.
        max_bytes: Maximum size of the whole folder in bytes. A batch that doesn't fit is refused.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.folder = folder or data_folder() / "spool"
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._found: deque[Path] = deque()
        self._refusal = ""
        self._foreign: set[Path] = set()
        self._kept: set[Path] = set()

    def append(self, rows: Sequence[Record]) -> None:
        """Write `rows` and force them to disk.

        Raises:
            OSError: The folder can't be written, others can write to it, or `max_bytes` is reached; none of
                the rows counts as kept.
        """
        if not disk.CAN_LOCK:
            raise OSError("records cannot wait on disk here: this system has no flock")
        data = "".join(f"{row.to_line()}\n" for row in rows).encode()
        with self._lock:
            disk.make_private(self.folder)
            size = self.size()
            if size + len(data) > self.max_bytes:
                raise OSError(f"the folder {self.folder} holds {size} bytes of {self.max_bytes} allowed")
            if self._fd is None:
                self._fd = self._open()
            with _whole(self._fd) as start:
                _write_all(self._fd, data)
                os.fsync(self._fd)
            if start + len(data) > _FILE_BYTES:
                self._close()

    def release(self) -> None:
        """Close this process's file so that it can be replayed; the next batch opens another."""
        with self._lock:
            self._close()

    def forget(self) -> None:
        """Release the parent's file in a forked child; it remains the parent's."""
        self._lock = threading.Lock()
        self._close()  # closing a copied descriptor leaves the parent's lock in place

    def size(self) -> int:
        """The total size in bytes of all files in the folder, from any process."""
        total = 0
        for path in self.folder.glob(_PATTERN):
            try:
                status = path.lstat()
            except FileNotFoundError:  # another process has just replayed it
                continue
            total += status.st_size if private_folder.made_here(status) else 0
        return total

    def waiting(self) -> bool:
        """Whether there are any records, in locked or unlocked files."""
        return disk.CAN_LOCK and self.size() > 0

    @contextmanager
    def claim(self) -> Iterator[list[Record] | None]:
        """Claim the oldest unlocked files: yields their records, or None if all files are locked.

        Claims at most 200 files, and no more after 8 MiB. They're deleted if the block succeeds, and
        unlocked again if it raises. A line that isn't a record, such as one half written by a dying process,
        is refused.
        """
        taken = self._take()
        if not taken:
            yield None
            return
        try:
            rows: list[Record] = []
            unreadable: list[tuple[str, str]] = []
            for fd, path in taken:
                _read(fd, path, rows, unreadable)
            yield rows
            for line, reason in unreadable:
                self.refuse(line, reason)
            for _, path in taken:
                self._delete(path)
        finally:
            for fd, _ in taken:
                os.close(fd)

    def refuse(self, line: str, reason: str) -> None:
        """Move what can never be stored to ``refused.jsonl``, whose older half is dropped at 32 MiB.

        Args:
            line: The line that can't be stored.
            reason: Why it can't be stored; logged at ERROR.
        """
        path = self.folder / REFUSED
        entry = json.dumps({"reason": reason, "line": line}, ensure_ascii=False)
        try:
            disk.make_private(self.folder)
            if path.exists() and path.stat().st_size > _REFUSED_BYTES:
                path.replace(self.folder / _REFUSED_BEFORE)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _CAREFUL, 0o600)
            try:
                with _whole(fd):
                    _write_all(fd, f"{entry}\n".encode("utf-8", "backslashreplace"))
            finally:
                os.close(fd)
        except OSError as error:
            log.error("a usage record is lost (%s; %s): %s", reason, error, line)  # noqa: TRY400 - no stack
        else:
            log.error("a usage record was refused and is kept in %s: %s", path, reason)

    def _delete(self, path: Path) -> None:
        """Delete a replayed file; one that can't be deleted isn't replayed again by this process."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # a read-only disk says nothing about the sink, which stored the records
            self._kept.add(path)
            log.error("%s: replayed, but it cannot be deleted: %s", path, error.strerror)  # noqa: TRY400

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        path = self.folder / f"usage-{os.getpid()}-{uuid4().hex[:12]}.jsonl"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(fd, private_folder.MADE_HERE)
        disk.lock(fd)
        disk.sync_folder(self.folder)
        return fd

    def _is_private(self) -> bool:
        """Whether the folder exists and only this user can add files; a refusal is logged once."""
        try:
            private_folder.check_private(self.folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            if self._refusal != str(error):
                self._refusal = str(error)
                log.error("no usage record is replayed: %s", error)  # noqa: TRY400 - the message says it all
            return False
        self._refusal = ""
        return True

    def _take(self) -> list[tuple[int, Path]]:
        if not self._is_private():
            return []
        if not self._found:
            self._found.extend(sorted(set(self.folder.glob(_PATTERN)) - self._kept, key=_modified))
        taken: list[tuple[int, Path]] = []
        size = 0
        while self._found and len(taken) < _FILES_AT_ONCE and size < _FILE_BYTES:
            path = self._found.popleft()
            try:
                fd = os.open(path, os.O_RDONLY | _CAREFUL)
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    log.warning("%s: cannot be replayed: %s", path, error.strerror)
                continue
            if length := self._lock_for_replay(fd, path):
                taken.append((fd, path))
                size += length
            else:
                os.close(fd)
        return taken

    def _lock_for_replay(self, fd: int, path: Path) -> int:
        """The length of a file that can be replayed, which is then locked; else 0."""
        if not private_folder.made_here(status := os.fstat(fd)):
            if status.st_size and path not in self._foreign:  # an empty one may have been created this moment
                self._foreign.add(path)
                log.error("not replayed: %s", private_folder.not_made_here(path, status))
            return 0
        # Between listing and lock, another process may have replayed and deleted it. An empty file was
        # created but not yet locked by its owner, or abandoned immediately: there's nothing to replay.
        is_locked = disk.lock(fd, wait=False)
        status = os.fstat(fd)
        return status.st_size if is_locked and status.st_nlink else 0


def _modified(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


@contextmanager
def _whole(fd: int) -> Iterator[int]:
    """Give a file's end, where the block adds something; if the disk refuses a part, nothing of it stays."""
    end = os.lseek(fd, 0, os.SEEK_END)
    try:
        yield end
    except OSError:
        os.ftruncate(fd, end)
        raise


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _read(fd: int, path: Path, rows: list[Record], unreadable: list[tuple[str, str]]) -> None:
    """Read a file's records into `rows`, and other lines, with reasons, into `unreadable`."""
    with os.fdopen(os.dup(fd), encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(read_line(line))
            except ValueError as error:
                unreadable.append((line, f"{path}:{number}: {error}"))
