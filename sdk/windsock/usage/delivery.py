"""The delivery thread: writes batch by batch, backs off while the sink is down, then replays the spool."""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from windsock.backoff import Backoff
from windsock.logs import get_logger
from windsock.usage.experiment_records import Record
from windsock.usage.sinks import RowsRefusedError, Sink, store
from windsock.usage.spool import Spool

log = get_logger("windsock.usage")

_BACKOFF = Backoff(first=1.0, longest=30.0)
_LOOK_UP = 0.1
_LOOK_INTERVAL = 5.0  # seconds between checks for files left by other processes


@dataclass(slots=True)
class _Job:
    rows: Sequence[Record]
    settled: threading.Event = field(default_factory=threading.Event)
    stored: bool = False


class Delivery:
    """Calls the sink from a separate thread, so that a blocking sink holds up nothing else.

    Args:
        sink: Where the records go.
        spool: Whose files are replayed once the sink takes records again.
        batch_size: Records per write during a replay.
    """

    def __init__(self, sink: Sink, spool: Spool, batch_size: int) -> None:
        self._sink = sink
        self._spool = spool
        self._batch_size = batch_size
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._busy = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._next_try = 0.0
        self._next_look = 0.0
        self.replayed = 0
        self.refused = 0
        self.last_error: str | None = None

    def start(self) -> None:
        """Start the thread, if it isn't running.

        Raises:
            RuntimeError: The system can't start another thread now.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="windsock-usage-sink", daemon=True)
            thread.start()
            self._thread = thread

    def deliver(self, rows: Sequence[Record], give_up: Callable[[], float]) -> bool:
        """Hand one batch to the sink and wait for it.

        Args:
            rows: The batch.
            give_up: Returns the monotonic time until which to wait for the sink; it may move closer.

        Returns:
            Whether the rows are stored. False if the sink is down, busy with an earlier batch, or hasn't
            answered yet; it may still store them later.
        """
        if self._busy.is_set() or time.monotonic() < self._next_try:
            return False
        job = _Job(rows)
        self._busy.set()
        self._jobs.put(job)
        while (left := give_up() - time.monotonic()) > 0 and not job.settled.wait(min(left, _LOOK_UP)):
            pass
        return job.stored

    def stop(self, deadline: float) -> None:
        """End the thread, waiting at most `deadline` seconds."""
        self._stopping.set()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(deadline)
            if self._thread.is_alive():
                log.warning("the usage sink is still busy and is left behind; its batch is on disk")

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Empty):
                self._settle(self._jobs.get(timeout=self._wait()))
            if not self._stopping.is_set() and time.monotonic() >= max(self._next_try, self._next_look):
                self._replay()
        close = getattr(self._sink, "close", None)
        if close is not None:
            close()

    def _settle(self, job: _Job | None) -> None:
        if job is not None:
            job.stored = self._try(job.rows)
            self._busy.clear()
            job.settled.set()

    def _wait(self) -> float:
        return max(0.01, max(self._next_try, self._next_look) - time.monotonic())

    def _write(self, rows: Sequence[Record]) -> None:
        """Write rows; rows that the sink can never store go to a file and don't hold up the others."""
        try:
            store(self._sink, rows)
        except RowsRefusedError as refusal:
            self.refused += len(refusal.refused)
            for row, reason in refusal.refused:
                self._spool.refuse(row.to_line(), f"row {row.id}: {reason}")

    def _try(self, rows: Sequence[Record]) -> bool:
        try:
            self._write(rows)
        except Exception as error:  # noqa: BLE001 - whatever a sink raises, the records are kept
            self._failed(error)
            return False
        self._recovered()
        return True

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._next_try = time.monotonic() + _BACKOFF.pause(self._failures)
        if self.last_error is None:
            log.warning(
                "usage records cannot be stored: %s; they wait in %s and are stored when it works again",
                error,
                self._spool.folder,
            )
        # Anyone may read a health page, and a driver's message names the host; the log has the full text.
        self.last_error = f"{type(error).__name__}: records cannot be stored; the log says why"

    def _recovered(self) -> None:
        self._failures, self._next_try = 0, 0.0
        if self.last_error is not None:
            self._next_look = 0.0
            log.warning("usage records are stored again; those that waited are replayed now")
        self.last_error = None

    def _replay(self) -> None:
        """Store some of the records waiting on disk; current batches go first, lest they end up there too."""
        self._next_look = time.monotonic() + _LOOK_INTERVAL
        self._spool.release()
        try:
            with self._spool.claim() as rows:
                if rows is None:
                    return
                batches = math.ceil(len(rows) / self._batch_size)
                for first in range(batches):
                    with contextlib.suppress(queue.Empty):
                        self._settle(self._jobs.get_nowait())
                    # spread, because a batch of nothing but refused rows is taken for a refusing database
                    self._write(rows[first::batches])
        except Exception as error:  # noqa: BLE001 - the files stay; the sink is tried again after the pause
            self._failed(error)
            return
        self.replayed += len(rows)
        self._recovered()
        self._next_look = 0.0
        log.info("replayed %d usage records from %s", len(rows), self._spool.folder)
