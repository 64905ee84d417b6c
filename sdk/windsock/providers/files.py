"""Flags from files: a folder of flagd documents, watched by content; each file's last good version serves.

The folder contains the files in Git; its subfolder ``mirror`` contains the mirror's files. Together they
form one set. If two files define the same flag, the file whose path sorts last wins, and the overlap is
logged.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.provider import ProviderStatus

from windsock.errors import FlagFileError
from windsock.flag_names import MIRROR_FOLDER, SUFFIXES, is_temporary
from windsock.flags import Document, FlagSet, merge, reading
from windsock.logs import get_logger
from windsock.plain_files import open_plain
from windsock.providers import forking, greenlets
from windsock.providers.base import GRACE_PERIOD
from windsock.providers.compiled import CompiledProvider
from windsock.threads import BackgroundThread

if TYPE_CHECKING:
    from windsock.providers.index_stamp import Signature  # its module is loaded for large documents alone

logger = get_logger("windsock.flags")


_POLL = 1.0
"""Seconds between checks of the folder without file events; with events, it takes milliseconds."""

_YOUNG = 0.1
"""Seconds within which two writes may have the same time stamp, with a margin."""

_INDEXED = 256 * 1024
"""The least bytes of a document that is read through an index of its lists."""

_FEW = 4 * _INDEXED
"""Divided by the number of documents, the least bytes where there are fewer than four: a process that holds
small ones itself sees a change sooner."""

_THREAD = "windsock-files"


@dataclass(frozen=True, slots=True)
class _File:
    """One file: its signature on disk when read, its last good document, and its current problem."""

    signature: "Signature | None"
    document: Document | None
    fault: str = ""
    gone: bool = False


class FilesProvider(CompiledProvider):
    """An OpenFeature provider over a folder of ``*.flagd.json`` and ``*.flagd.yaml`` files.

    A change takes effect when a file's content changes, whatever its modification time. If a file becomes
    unreadable or disappears, its last good flags stay in use and the provider is stale until the file is
    fixed; intentional removals take effect at the next start or `reload`. If all files are gone for longer
    than the grace period, the status is ERROR, but the flags already read stay in use.

    Args:
        folder: The folder, including its subfolder ``mirror``. It may be created later. A single file also
            works.
        context: Attributes laid below every evaluation context.
        poll: Seconds between checks of the folder without file events.
        grace_period: Seconds for which all files may be gone before the status goes from STALE to ERROR.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        context: Mapping[str, EvaluationContextAttribute] | None = None,
        poll: float = _POLL,
        grace_period: float = GRACE_PERIOD,
    ) -> None:
        super().__init__("windsock-files", str(folder), context or {})
        self._folder = Path(folder)
        self._poll = poll
        self._grace_period = grace_period
        self._gone_at: float | None = None
        self._files: dict[str, _File] = {}
        self.served_revisions: tuple[str, ...] = ()
        self._indexed_from = _INDEXED
        self._index_faults: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._starting_or_stopping = threading.Lock()
        self._watcher: BackgroundThread | None = None
        self._paused = False
        forking.register(self)

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - OpenFeature's signature
        """Read every file, then watch.

        Raises:
            ProviderNotReadyError: There are no flags to serve; the watcher waits for some.
        """
        self.shutdown()
        self._stop.clear()
        self._begin_start()
        self._refresh_safely()
        self._watch()
        self._end_start()
        if not self.ready():
            raise ProviderNotReadyError(self.serving.stale)

    def shutdown(self) -> None:
        """Stop watching and wait for the watcher to end; the flags already read stay in use."""
        with self._starting_or_stopping:
            self._stop.set()
            watcher, self._watcher = self._watcher, None
        self._join_teller()
        if watcher is not None:
            watcher.join()

    def reload(self) -> None:
        """Reread every file, and drop files that are gone."""
        with self._lock:
            self._files = {path: file for path, file in self._files.items() if Path(path).is_file()}
        self._refresh_safely()

    def refresh(self) -> None:
        """Check every file, read those that changed, and serve the new set, if any."""
        with self._lock:
            found = set(_list(self._folder))
            paths = sorted({*found, *self._files}, key=_in_order)
            self._indexed_from = max(_INDEXED, _FEW // (len(paths) or 1))
            looked = {path: self._look(path, self._files.get(path)) for path in paths}
            looked = {path: file for path, file in looked.items() if file.document or path in found}
            for path, file in looked.items():
                if file.fault and file.fault != self._files.get(path, _File(None, None)).fault:
                    logger.error("%s%s", file.fault, _what_serves(file))
            self._files = looked
            if self._seconds_away() > self._grace_period:
                self._fail()
                return
            documents = [file.document for file in looked.values() if file.document is not None]
            problems_before = set(self.serving.problems)
            served = merge(documents) if documents else FlagSet({}, "")
            self._serve(served, self._what_is_wrong(looked.values(), served))
            revisions = (served.revision, *(each.revision for each in documents), *self.served_revisions)
            self.served_revisions = tuple(dict.fromkeys(revisions))[: 1000 + len(documents)]
            for problem in self.serving.problems:
                if problem not in problems_before:
                    logger.error("%s", problem)

    def _look(self, path: str, known: _File | None) -> _File:
        """Read a file if it changed on disk; on any problem, keep its last good document."""
        last_good = known.document if known else None
        try:
            signature = _signature(os.stat(path))  # noqa: PTH116 - a `Path` takes longer than its status
            if known is not None and known.signature is not None and signature == known.signature:
                return known
            document = self._mapped(path, signature)
            if document is None:
                signature, data = _read(Path(path))
                document = self._document(data, path, signature, last_good)
            same = last_good is not None and document.revision == last_good.revision
            return _File(signature, last_good if same else document)
        except FileNotFoundError:
            return _File(None, last_good, f"{path}: the file is gone", gone=True)
        except InterruptedError:  # the watcher stops: the file has not been read
            return known or _File(None, None)
        except FlagFileError as error:
            return _File(signature, last_good, str(error))
        except Exception as error:  # noqa: BLE001 - even a mistake of ours in one file stops no other file
            why = getattr(error, "strerror", None) or repr(error)
            return _File(None, last_good, f"{path}: cannot be read: {why}")

    def _mapped(self, path: str, signature: "Signature | None") -> Document | None:
        """A large document by an index that was checked for this very file, if there is one."""
        if signature is None or signature[2] < self._indexed_from:
            return None
        from windsock.providers.document_index import mapped  # noqa: PLC0415 - few files are so large

        document = mapped(path, signature)
        if document is not None:
            self._index_faults.clear()
        return document

    def _document(
        self, data: bytes, path: str, signature: "Signature | None", last_good: Document | None
    ) -> Document:
        """Read a document, a large one through an index that other processes share."""
        same = last_good is not None and hashlib.sha256(data).hexdigest().startswith(last_good.revision)
        if len(data) < self._indexed_from:
            return last_good if last_good is not None and same else reading.read_document(data, path)
        from windsock.providers import document_index  # noqa: PLC0415 - few files are so large

        if last_good is not None and same:
            if signature is not None:
                document_index.confirm(data, path, signature)
            return last_good
        watching = threading.current_thread().name == _THREAD
        stop = self._stop if watching else threading.Event()  # who stops the provider waits for the watcher
        return document_index.read_indexed(data, path, self._index_faults, stop, signature)

    def _seconds_away(self) -> float:
        """Seconds since the last file disappeared."""
        if not self._files or not all(file.gone for file in self._files.values()):
            self._gone_at = None
            return 0.0
        if self._gone_at is None:
            self._gone_at = time.monotonic()
        return time.monotonic() - self._gone_at

    def _fail(self) -> None:
        """Report that the files have been gone for longer than the grace period."""
        if self._status() is ProviderStatus.STALE:
            message = f"gone for {self._grace_period:g} s: {self.serving.stale}"
            self.emit_provider_error(ProviderEventDetails(message=message, error_code=ErrorCode.GENERAL))

    def _what_is_wrong(self, files: Collection[_File], served: FlagSet) -> str:
        faults = [file.fault for file in files if file.fault]
        if not files:
            names = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
            faults = [f"{self._folder}: no flag files ({names}) yet; `windsock init` writes one"]
        elif served.problems and not served.flags:
            faults.append(f"no flag can be used: {served.problems[0]}")
        return "; ".join(faults)

    def _watch(self) -> None:
        with self._starting_or_stopping:
            if self._stop.is_set() or self._watcher is not None:
                return
            self._watcher = BackgroundThread(self._run, _THREAD)
            self._watcher.begin()

    def _run(self) -> None:
        if greenlets.threads_are_greenlets():
            self._poll_folder()
        else:
            self._watch_folder()

    def _poll_folder(self) -> None:
        """Poll frequently: waiting for file events would block every greenlet of the process."""
        while not self._stop.wait(self._poll):
            self._refresh_safely()

    def _watch_folder(self) -> None:
        from watchfiles import watch  # noqa: PLC0415 - `import windsock` must not load it

        # not `get_logger`: what the application's watchers log is none of our business; twice is once
        logging.getLogger("watchfiles.main").addFilter(_is_not_ours)  # noqa: TID251
        while not self._stop.is_set():
            try:
                for _ in watch(
                    self._folder,
                    stop_event=self._stop,
                    debounce=50,
                    step=5,
                    rust_timeout=int(self._poll * 1000),
                    yield_on_timeout=True,
                    raise_interrupt=False,
                    watch_filter=_matters,
                ):
                    self._refresh_safely()
            except Exception as error:  # noqa: BLE001 - no folder yet, or no file events: the watcher goes on
                logger.debug(
                    "no file events for %s (%s); looking every %g s", self._folder, error, self._poll
                )
                self._stop.wait(self._poll)
                self._refresh_safely()

    def _refresh_safely(self) -> None:
        """Check, and survive any error: a dead watcher would silently serve old flags forever."""
        try:
            self.refresh()
        except Exception as error:
            logger.error(  # noqa: TRY400 - at each poll, a traceback is too much
                "%s: the flags could not be refreshed; the last good ones keep serving: %r",
                self._folder,
                error,
                exc_info=logger.isEnabledFor(logging.DEBUG),
            )
            self._set_stale(f"{self._folder}: the flags could not be refreshed: {error!r}")

    def before_fork(self) -> None:
        """Join the watcher: a child can't use locks that it may hold, including import locks."""
        self._paused = self._watcher is not None
        self.shutdown()

    def after_fork(self, *, in_child: bool) -> None:
        """Resume watching."""
        if in_child:
            self._lock = threading.Lock()
            self._starting_or_stopping = threading.Lock()
        if self._paused:
            self._stop.clear()
            self._watch()


def _is_not_ours(record: logging.LogRecord) -> bool:
    """Keep our watcher's "1 change detected" out of a service's log, but not other watchers'."""
    return record.threadName != _THREAD or record.levelno != logging.INFO


def _matters(_: object, path: str) -> bool:
    """Whether a file event is worth a check: not while the mirror still writes what it will rename."""
    return not is_temporary(path)


def _list(folder: Path) -> list[str]:
    """Paths as text: of a thousand files, making and comparing `Path` objects took most of a check."""
    if folder.is_file():
        return [str(folder)]
    found: list[str] = []
    for place in (folder, folder / MIRROR_FOLDER):
        with suppress(OSError), os.scandir(place) as entries:  # it may not exist
            found += [entry.path for entry in entries if entry.name.endswith(SUFFIXES)]
    return found


def _in_order(path: str) -> str:
    """A key that sorts paths by their parts, so that a folder's files stay together."""
    return path.replace(os.sep, "\0")


def _read(path: Path) -> "tuple[Signature | None, bytes]":
    """Read a regular file, or enough of it to tell that it's too large for a document.

    Raises:
        OSError: The file can't be read.
    """
    with open_plain(path) as stream:
        return _signature(os.fstat(stream.fileno())), stream.read(reading.MAX_BYTES + 1)


def _signature(status: os.stat_result) -> "Signature | None":
    """A signature that changes when a file is written or replaced; ctime advances even if mtime is set back.

    None while the file is so new that another write could leave the same time stamp; then it's reread.
    """
    if time.time() - status.st_ctime < _YOUNG:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _what_serves(file: _File) -> str:
    return (
        ". Its last good flags keep serving."
        if file.document
        else ". It has no last good flags: code defaults serve."
    )
