"""The usage writer: takes records off the request path and delivers each to the sink or the disk."""

import atexit
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakSet

from windsock.logs import get_logger
from windsock.providers import forking
from windsock.text import one_line
from windsock.usage.data import Event, Pending, UsageHealth
from windsock.usage.delivery import Delivery
from windsock.usage.experiment_records import Record
from windsock.usage.making_rows import clean, clean_event, clean_exposure
from windsock.usage.recent_exposures import RecentExposures
from windsock.usage.sinks import ExperimentSink, Sink, destination
from windsock.usage.spool import Spool
from windsock.variables import data_folder

log = get_logger("windsock.usage")

_STOPPER = "windsock-usage-stop"


@dataclass(frozen=True, slots=True)
class UsageOptions:
    """A writer's batching and limits.

    Attributes:
        flush_interval: Maximum seconds that a record exists only in memory, which kill -9 can lose. Half of
            it is for collecting a batch, half for waiting for the sink; a batch not stored by then goes to
            disk.
        batch_size: Records per write; a full batch doesn't wait for the interval.
        queue_size: Maximum records waiting in memory. Beyond it, records are dropped and counted.
        user_id_key: A secret. If given, user ids leave this process only as their keyed hash; see
            `hashed_user_id`.
    """

    flush_interval: float = 1.0
    batch_size: int = 1_000
    queue_size: int = 50_000
    user_id_key: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class _Counts:
    written: int = 0
    spooled: int = 0
    dropped: int = 0
    disk_error: str | None = None
    complained: float = field(default=-3600.0)


class _Barrier(threading.Event):
    """A marker in the queue, set once everything before it is stored or on disk."""


class UsageWriter:
    """Collects records from any thread and delivers them in batches.

    It uses two threads: one collects and, if the sink doesn't answer in time, writes to disk; the other calls
    the sink, and may be stuck there for any length of time. A forked child starts with an empty queue and its
    own threads.

    Args:
        sink: Where the records go.
        spool: Where they wait while the sink is down. By default a folder in ``.windsock/spool`` per sink
            ``destination``, else per sink class.
        options: Batching and bounds.
    """

    def __init__(self, sink: Sink, spool: Spool | None = None, options: UsageOptions | None = None) -> None:
        self._sink = sink
        self._takes_experiments = isinstance(sink, ExperimentSink)  # once: it takes as long as making a row
        self._spool = spool or Spool(data_folder() / "spool" / destination(sink))
        self._options = options or UsageOptions()
        self._reset()
        atexit.register(self.stop)
        _WRITERS.add(self)
        if _is_child():
            _stop_with_child()
        forking.register(self)

    def _reset(self) -> None:
        self._queue: deque[Pending | Event | _Barrier] = deque()
        self._recent = RecentExposures()
        self._collector: threading.Thread | None = None
        self._stopped = False
        self._deadline = 0.0
        self._counts = _Counts()
        self._make_primitives()

    def _make_primitives(self) -> None:
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._delivery = Delivery(self._sink, self._spool, self._options.batch_size)

    def put(self, pending: Pending | Event) -> None:
        """Take one record. Never blocks or raises; takes about a microsecond."""
        if len(self._queue) >= self._options.queue_size or self._stopped:
            self._drop(1, "the writer is stopped" if self._stopped else "the queue is full")
            return
        self._queue.append(pending)
        if self._collector is None:
            self._start()
        if len(self._queue) >= self._options.batch_size:
            self._wake.set()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything put so far is stored or on disk.

        Args:
            timeout: Seconds to wait.

        Returns:
            Whether that happened within the timeout.
        """
        if self._collector is None or not self._collector.is_alive():
            return not self._queue
        barrier = _Barrier()
        self._queue.append(barrier)
        self._wake.set()
        return barrier.wait(timeout)

    def stop(self, deadline: float = 5.0) -> None:
        """Deliver the queue or write it to disk, and end both threads. A second call does nothing.

        Args:
            deadline: Seconds. The sink gets half of it; whatever it hasn't stored by then goes to disk. If
                the sink is stuck for longer, its thread stays: a daemon that ends with the process.
        """
        end = time.monotonic() + deadline
        with self._starting:
            if self._stopped:
                return
            self._deadline = end - deadline / 2  # set first: the collector reads it once it sees `_stopped`
            self._stopped = True
        atexit.unregister(self.stop)
        collector, before = self._collector, self._counts.spooled
        self._wake.set()
        if collector is not None:
            collector.join(deadline)
        else:
            self._drain()
        self._delivery.stop(max(0.0, end - time.monotonic()))
        self._spool.release()
        if waiting := self._counts.spooled - before:
            log.warning(
                "%d usage records were not stored within the %g s of the stop and wait in %s; the next "
                "process that records there stores them", waiting, deadline, self._spool.folder,
            )  # fmt: skip

    def health(self) -> UsageHealth:
        """The counts so far."""
        counts = self._counts
        return UsageHealth(
            queued=len(self._queue),
            written=counts.written,
            spooled=counts.spooled,
            replayed=self._delivery.replayed,
            refused=self._delivery.refused,
            dropped=counts.dropped,
            last_error=self._delivery.last_error or counts.disk_error,
        )

    def _start(self) -> None:
        with self._starting:
            if self._collector is None and not self._stopped:
                collector = threading.Thread(target=self._collect, name="windsock-usage", daemon=True)
                try:
                    self._delivery.start()
                    collector.start()
                except RuntimeError as error:  # no thread can be started now; the next record retries
                    self._complain(f"records wait in memory: {error}")
                else:
                    self._collector = collector

    def _collect(self) -> None:
        while not self._stopped:
            self._wake.wait(self._options.flush_interval / 2)
            self._wake.clear()
            self._drain()
        self._drain()
        self._spool.release()  # `stop` already did, if it didn't wait for this

    def _drain(self) -> None:
        """Empty the current queue, batch by batch.

        The sink has half the interval in total. With half per batch, a slow database would keep the last
        batches in memory for longer than promised.
        """
        until = time.monotonic() + self._options.flush_interval / 2
        waiting = len(self._queue)
        while waiting > 0:
            batch: list[Record] = []
            barrier: _Barrier | None = None
            while waiting > 0 and barrier is None and len(batch) < self._options.batch_size:
                item = self._queue.popleft()
                waiting -= 1
                if isinstance(item, _Barrier):
                    barrier = item
                else:
                    self._add(item, batch)
            if batch:
                self._settle(batch, until)
            if barrier is not None:
                barrier.set()

    def _add(self, item: Pending | Event, batch: list[Record]) -> None:
        """Add an item's rows to a batch; one that can't be made is dropped, and this thread goes on."""
        try:
            batch.extend(self._records(item))
        except BaseException as error:  # noqa: BLE001 - an object of the caller's may raise anything
            self._drop(1, f"a record could not be made: {one_line(error) or type(error).__name__}")

    def _records(self, item: Pending | Event) -> Iterator[Record]:
        """The rows for a use or event; exposures that were already forwarded aren't repeated."""
        key = self._options.user_id_key
        if isinstance(item, Pending):
            yield clean(item, key)
        if not self._takes_experiments:
            return
        if isinstance(item, Event):
            yield clean_event(item, key)
        elif (exposure := clean_exposure(item, key)) is not None and self._recent.is_new(exposure):
            yield exposure

    def _settle(self, batch: Sequence[Record], until: float) -> None:
        if self._delivery.deliver(batch, lambda: self._deadline if self._stopped else until):
            self._counts.written += len(batch)
            return
        try:
            self._spool.append(batch)
        except Exception as error:  # noqa: BLE001 - whatever the disk or a record's text raises, this thread goes on
            self._counts.disk_error = str(error)
            self._drop(len(batch), f"the sink has not taken them and the disk does not either: {error}")
        else:
            self._counts.disk_error = None
            self._counts.spooled += len(batch)

    def _drop(self, count: int, why: str) -> None:
        self._counts.dropped += count
        self._recent.forget()  # they may include an exposure, so its unit's next one is forwarded
        self._complain(f"records are being lost ({self._counts.dropped} so far): {why}")

    def _complain(self, what: str) -> None:
        now = time.monotonic()
        if now - self._counts.complained > 60:
            self._counts.complained = now
            log.error("usage %s", what)

    def before_fork(self) -> None:
        """Do nothing: the parent goes on, and the child starts over."""

    def after_fork(self, *, in_child: bool) -> None:
        """After gevent's patching, wait by gevent's primitives: a native wait would block each greenlet.

        A preloaded gevent worker patches after its fork, when the child has already been reset.
        """
        if in_child and self._collector is None:
            self._make_primitives()

    def _after_fork(self) -> None:
        """Reset the child: records, threads, file and connection belong to the parent."""
        self._spool.forget()
        stopped = self._stopped
        self._reset()
        self._stopped = stopped


_WRITERS: WeakSet[UsageWriter] = WeakSet()


def _repair_child() -> None:
    writers = list(_WRITERS)
    for writer in writers:
        writer._after_fork()  # noqa: SLF001 - same module
    if writers and (util := sys.modules.get("multiprocessing.util")):
        if _is_child():  # here by `os.fork`, which ends by `os._exit` too
            _stop_with_child()
        util.register_after_fork(_stop_with_child, lambda stop: stop())  # it clears what is registered now


def _is_child() -> bool:
    """Whether this is a child of `multiprocessing`, or forked by one."""
    processes = sys.modules.get("multiprocessing")
    return processes is not None and processes.parent_process() is not None


def _stop_with_child() -> None:
    """Stop the writers when `multiprocessing` ends this child: by `os._exit`, which skips `atexit`."""
    util = sys.modules["multiprocessing.util"]
    if not util.is_exiting():
        util.Finalize(None, _stop_last, exitpriority=0)
    else:  # a thread goes on after that, and nothing that it registers is called, not even in its children
        _begin_stopper()


def _stop_last() -> None:
    """Stop the writers when its threads have ended: up to Python 3.12 a child waits for them after this."""
    if not _threads() or not _begin_stopper():
        _stop_all()


def _begin_stopper() -> bool:
    try:
        threading.Thread(target=_stop_after_threads, name=_STOPPER, daemon=False).start()
    except RuntimeError:  # the system can't start another thread now
        return False
    return True


def _stop_after_threads() -> None:
    threading.main_thread().join()  # it ends when it begins to wait for the others
    while threads := _threads():
        threads[0].join()
    _stop_all()


def _threads() -> list[threading.Thread]:
    """The threads that the interpreter waits for before this process ends."""
    main = threading.main_thread()
    return [
        each
        for each in threading.enumerate()
        if not each.daemon and each is not main and each.name != _STOPPER
    ]


def _stop_all() -> None:
    for writer in list(_WRITERS):
        writer.stop()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_repair_child)
