"""The mirror's folder: documents are replaced atomically, so readers never see partial content."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from windsock import disk
from windsock.errors import MirrorError
from windsock.plain_files import open_plain

# flagd's polling watcher and the stock Python provider compare modification times. The latter compares
# float seconds, which can't distinguish times less than a quarter of a microsecond apart.
_NEWER_BY = 1_000_000  # nanoseconds

# Writing a document is mostly waiting for the disk, which can handle several at once.
_AT_ONCE = 4

_Signature = tuple[int, int, int]


class Folder:
    """A folder of documents that only the mirror writes.

    It remembers each file's state after its last write or read, so that outside changes are noticed without
    rereading the file.

    Args:
        path: The folder; created on first write.

    Attributes:
        check_writer: Raises if another mirror has taken over the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.check_writer: Callable[[], None] = lambda: None
        self._seen: dict[str, _Signature] = {}

    def prepare(self) -> None:
        """Create the folder.

        Raises:
            MirrorError: It can't be created.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MirrorError(f"{self.path}: the mirror cannot use this folder: {error.strerror}") from error

    def clean(self) -> None:
        """Remove other mirrors' temporary files.

        This stops a frozen one that goes on, because it checks `check_writer` once it has such a file.

        Raises:
            MirrorError: One can't be removed.
        """
        try:
            for leftover in self.path.glob(".*.json.*.tmp"):
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise MirrorError(f"{self.path}: the mirror cannot use this folder: {error.strerror}") from error

    def documents(self) -> tuple[str, ...]:
        """The names of the existing profile documents."""
        return tuple(sorted(path.name for path in self.path.glob("profiles*.flagd.json")))

    def read(self, name: str) -> bytes | None:
        """Read a document; None if it doesn't exist.

        Raises:
            MirrorError: It can't be read, or is a link, whose target the mirror may not replace.
        """
        try:
            with open_plain(self.path / name, links=False) as file:
                self._seen[name] = _signature(os.fstat(file.fileno()))
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MirrorError(f"{self.path / name}: cannot be read: {error.strerror}") from error

    def is_ours(self, name: str) -> bool:
        """Whether a document is unchanged since it was last written or read here."""
        try:
            return self._seen.get(name) == _signature((self.path / name).lstat())
        except OSError:  # reading it will say more
            return False

    def write(self, name: str, data: bytes) -> bool:
        """Replace a document atomically; do nothing if it already has these bytes.

        The new file is strictly newer than the old one, even if the clock was set back. Its content reaches
        the disk before its name does; call `sync` before relying on the name.

        Returns:
            Whether anything was written.

        Raises:
            MirrorError: The file can't be written; the old one is unchanged.
        """
        if self.read(name) == data:
            return False
        target = self.path / name
        try:
            with disk.replacing(target) as file:
                self.check_writer()  # not before there is a file that `clean` removes
                file.write(data)
                file.flush()
                mtime = self._next_mtime(target)
                os.utime(file.fileno(), ns=(mtime, mtime))
                # before the rename: after that, the file may be someone else's
                signature = _signature(os.fstat(file.fileno()))
        except OSError as error:
            raise MirrorError(
                f"{target}: cannot be written: {error.strerror}; the last good file stays, and the mirror "
                "tries again"
            ) from error
        self._seen[name] = signature
        return True

    def write_all(self, documents: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bool]]:
        """Replace documents, some concurrently; the last one only once all others are in place.

        Args:
            documents: Names and contents. Only a few are consumed ahead of the writes.

        Yields:
            Each name, in the given order, and whether anything was written.

        Raises:
            MirrorError: A file can't be written. It and some of the files after it are unchanged.
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
        """Make written file names durable, once for many documents.

        Raises:
            MirrorError: The disk reports an error.
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
