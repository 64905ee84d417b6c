"""The mirror's folder: documents replaced in one step, so that a reader never sees half of one."""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from windsock import disk
from windsock.errors import MirrorError

# flagd's polling watcher and the stock Python provider compare modification times, the latter as a float of
# seconds, which cannot tell times closer than a quarter of a microsecond.
_NEWER_BY = 1_000_000  # nanoseconds

# Writing one document is mostly waiting for the disk, which takes several at once.
_AT_ONCE = 4

_Signature = tuple[int, int, int]


class Folder:
    """A folder of documents that only the mirror writes.

    It remembers what each file looked like after its last write or reading, so that a change by anybody
    else is noticed without reading the file again.

    Args:
        path: The folder; it is made when it is first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: dict[str, _Signature] = {}

    def prepare(self) -> None:
        """Make the folder and remove the temporary files that a killed mirror left.

        Raises:
            MirrorError: The folder cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for leftover in self.path.glob(".*.json.*.tmp"):
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise MirrorError(f"{self.path}: the mirror cannot use this folder: {error.strerror}") from error

    def documents(self) -> tuple[str, ...]:
        """The names of the profile documents that exist."""
        return tuple(sorted(path.name for path in self.path.glob("profiles*.flagd.json")))

    def read(self, name: str) -> bytes | None:
        """Read a document; None if it doesn't exist."""
        try:
            with (self.path / name).open("rb") as file:
                self._seen[name] = _signature(os.fstat(file.fileno()))
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MirrorError(f"{self.path / name}: cannot be read: {error.strerror}") from error

    def is_ours(self, name: str) -> bool:
        """Whether a document is untouched since it was last written or read here."""
        try:
            return self._seen.get(name) == _signature((self.path / name).stat())
        except FileNotFoundError:
            return False

    def write(self, name: str, data: bytes) -> bool:
        """Replace a document in one step; do nothing when it has these bytes already.

        The new file is strictly newer than the old one even when the clock was set back. Its content is on
        the disk before its name is; call `sync` before you rely on the name.

        Returns:
            Whether anything was written.

        Raises:
            MirrorError: The file cannot be written; the old one is as it was.
        """
        if self.read(name) == data:
            return False
        target = self.path / name
        try:
            with disk.replacing(target) as file:
                file.write(data)
                file.flush()
                mtime = self._next_mtime(target)
                os.utime(file.fileno(), ns=(mtime, mtime))
                # before it takes the name: after that the file may be another's
                signature = _signature(os.fstat(file.fileno()))
        except OSError as error:
            raise MirrorError(
                f"{target}: cannot be written: {error.strerror}; the last good file stays, and the mirror "
                "tries again"
            ) from error
        self._seen[name] = signature
        return True

    def write_all(self, documents: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bool]]:
        """Replace documents, some at once; the last one when all the others are in their places.

        Args:
            documents: Names and contents. No more than a few are taken ahead of what is written.

        Yields:
            Each name, in the given order, and whether anything was written.

        Raises:
            MirrorError: A file cannot be written. It, and some of those after it, are as they were.
        """
        last: tuple[str, bytes] | None = None
        running: deque[tuple[str, Future[bool]]] = deque()
        with ThreadPoolExecutor(_AT_ONCE, "windsock-mirror-writer") as pool:
            for document in documents:
                if last is not None:
                    running.append((last[0], pool.submit(self.write, *last)))
                if len(running) == _AT_ONCE:
                    yield _result(running.popleft())
                last = document
            yield from map(_result, running)
            if last is not None:
                yield last[0], self.write(*last)

    @staticmethod
    def _next_mtime(target: Path) -> int:
        now = time.time_ns()
        try:
            return max(now, target.stat().st_mtime_ns + _NEWER_BY)
        except FileNotFoundError:
            return now

    def sync(self) -> None:
        """Make the names that `write` gave durable: once for many documents.

        Raises:
            MirrorError: The disk refuses.
        """
        try:
            disk.sync_folder(self.path)
        except OSError as error:
            raise MirrorError(f"{self.path}: cannot be written to the disk: {error.strerror}") from error


def _result(running: tuple[str, "Future[bool]"]) -> tuple[str, bool]:
    name, future = running
    return name, future.result()


def _signature(status: os.stat_result) -> _Signature:
    return status.st_mtime_ns, status.st_size, status.st_ino
