"""The mirror itself: publish once, or lead and follow the changes until stopped."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

from windsock.backoff import Backoff
from windsock.errors import DatabaseUnfitError, MirrorError, WindsockError
from windsock.logs import get_logger
from windsock.mirror import health
from windsock.mirror.alarm import Alarm
from windsock.mirror.base_tables import BaseTables
from windsock.mirror.checking import Fitting
from windsock.mirror.folder import Folder
from windsock.mirror.folder_state import Memory, TakenOverError
from windsock.mirror.guard import ShrinkGuard
from windsock.mirror.health import Status
from windsock.mirror.options import MirrorOptions, layout_of
from windsock.mirror.pace import Pace
from windsock.mirror.postgres import Source, connect
from windsock.mirror.publish import Publisher, Written
from windsock.mirror.queries import DatabaseError, LockedError
from windsock.mirror.standby import trouble
from windsock.postgres.urls import check_url
from windsock.text import count

_log = get_logger("windsock.mirror")

_SLICE_SECONDS = 0.5  # how long stopping waits for a mirror that's waiting for changes
# Short, because every user is waiting once the database is back; jittered, because all its clients are.
_RECONNECT = Backoff(first=0.5, longest=1.5, jitter=0.5)
_LEAD_SECONDS = 10.0
# A rest as long as the preceding round of changes leaves half of the time to writers and to readers of
# documents; the next round handles all changes made meanwhile. A single change takes some milliseconds,
# so its rest delays no one. There's no rest after a full read.
_LONGEST_REST_SECONDS = 1.0


class Mirror:
    """Keeps a folder of flagd documents in sync with the assignments in a database.

    Raises:
        ConfigurationError: A flag name, the number of shards or the database's URL cannot be used.
    """

    def __init__(self, options: MirrorOptions) -> None:
        check_url(options.url)  # no attempt would end that
        self._options = options
        self._folder = Folder(options.folder)
        layout = layout_of(options)
        written = {target.partition(":")[0] for target in options.learning_config} - set(layout.flags)
        checked = [each for each in options.settings if each.__windsock__.declaration.flag not in written]
        fitting = Fitting(checked, layout.flags, hold_back=options.hold_back_misfits)
        self._memory = Memory(self._folder, options.group)
        guard = ShrinkGuard(options.max_shrink)
        self._publisher = Publisher(self._folder, layout, guard, fitting, self._memory)
        self._allow_shrink = options.allow_shrink
        self.status = Status(folder=options.folder)
        self._alarm = Alarm(self.status)
        self._taken_over_at = -math.inf
        self._bases = BaseTables(options)

    def show_progress(self, show: Callable[[int, int], None]) -> None:
        """Call `show` with the number of documents done and the total, before each document."""
        self._publisher.progress = show

    def once(self) -> Written:
        """Publish everything once.

        Raises:
            WindsockError: The database is unfit, a guard refused the change, or another mirror in the group
                holds the lead.
        """
        with self._connected() as source:
            deadline = time.monotonic() + _LEAD_SECONDS
            while not source.try_lead(self._options.group):
                if time.monotonic() > deadline:
                    raise MirrorError(
                        f"another mirror of the group {self._options.group!r} leads, and publishes by "
                        "itself: stop it first, or give --group to write a folder of its own"
                    )
                time.sleep(_SLICE_SECONDS)
            self._take_over()
            written, _ = self._publish_all(source)
            self._bases.write(source)
            return written

    def differences(self) -> tuple[str, ...]:
        """Compare the documents with the database without writing anything.

        Returns:
            One line for each document that `once` would change.
        """
        self._publisher.load()
        with self._connected() as source, source.read() as reading:
            found = self._bases.differences(source)
            for name, data in self._publisher.documents(reading):
                document = self._folder.read(name)
                if document is None:
                    found.append(f"{self._folder.path / name}: missing; {len(data):,} bytes to write")
                elif document != data:
                    found.append(f"{self._folder.path / name}: differs; {len(data):,} bytes to write")
        return tuple(found)

    def watch(self, stop: threading.Event) -> None:
        """Publish, then follow changes until `stop` is set. Faults are logged and recovered from.

        Raises:
            DatabaseUnfitError: On the first connection, if waiting wouldn't help.
        """
        failures = 0
        first = True
        while not stop.wait(_RECONNECT.pause(failures)):
            try:
                with self._connected() as source:
                    first = False
                    failures = 0
                    self._serve(source, stop)
            except (WindsockError, DatabaseError, OSError) as error:
                if first and isinstance(error, DatabaseUnfitError):
                    raise
                if isinstance(error, TakenOverError):
                    self._taken_over_at = time.monotonic()
                lost = f"the connection to the database is lost, and opened again: {error}"
                self._alarm.sound(MirrorError(lost) if isinstance(error, DatabaseError) else error)
                failures += 1
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not end what serves everybody
                _log.debug("unexpected", exc_info=True)
                self._alarm.sound(MirrorError(f"unexpected {type(error).__name__}, tried again: {error}"))
                failures += 1

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Source]:
        source = connect(self._options.url, self._options.answer_seconds)
        try:
            yield source
        finally:
            self.status.leading = False
            source.close()

    def _serve(self, source: Source, stop: threading.Event) -> None:
        """Take the lead, then keep publishing on one connection."""
        if not self._lead(source, stop):
            return
        self.status.leading = True
        self._take_over()
        pace = Pace(self._options)
        cursor: str | None = None
        while not stop.is_set():
            began = time.monotonic()
            follows = cursor is not None and not pace.full_is_due(source)
            try:
                if source.has_log or not follows:
                    cursor = self._publish(source, cursor if follows else None, pace)
                    self._recovered(pace)
            except TakenOverError:
                raise  # whoever still holds the lead takes over again
            except MirrorError as error:
                self._alarm.sound(error)
                cursor = None
                pace.failed(error)
            self._bases.follow(source)
            if follows:
                stop.wait(min(_LONGEST_REST_SECONDS, time.monotonic() - began))
            self._wait(source, stop, pace)

    def _publish(self, source: Source, cursor: str | None, pace: "Pace") -> str:
        """Publish what changed since `cursor`, or everything; return the new cursor."""
        if cursor is not None and self._publisher.is_intact():
            audited = self._publisher.published.profiles if pace.audit_is_due() else None
            changes = source.changes(cursor, audited)
            if changes is not None:
                self.status.transactions_waiting = changes.transactions
                written = self._publisher.publish_changes(changes) if changes else Written((), 0, 0)
                if written is not None:
                    self.status.changes += len(changes.assignments if audited is not None else changes)
                    self._report(written)
                    if changes.tallies is None or self._publisher.published.agrees(changes.tallies):
                        return changes.cursor
                    _log.warning("rows changed that no trigger logged: reading everything again")
        began = time.monotonic()
        written, cursor = self._publish_all(source)
        pace.full_done(began)
        self._report(written)
        return cursor

    def _publish_all(self, source: Source) -> tuple[Written, str]:
        with source.read() as reading:
            written = self._publisher.publish_all(reading, allow_shrink=self._allow_shrink)
        self._allow_shrink = False  # once meant once
        return written, reading.cursor

    def _wait(self, source: Source, stop: threading.Event, pace: "Pace") -> None:
        """Wait for a wake-up, the next poll or the stop, doing chores in the meantime."""
        pace.chores(source)
        self._tell_others(source, pace)
        deadline = time.monotonic() + pace.pause
        poll_at = time.monotonic()
        while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
            is_woken = source.wait(min(left, _SLICE_SECONDS))
            self._tell_others(source, pace)
            if (is_woken or self._bases.are_changed()) and not pace.failures:
                return
            if pace.failures and (is_woken or time.monotonic() >= poll_at):
                self._follow_configurations(source)
                poll_at = time.monotonic() + self._options.poll_seconds

    def _follow_configurations(self, source: Source) -> None:
        """Publish deactivations and corrections, also while a guard or a lock stops the assignments."""
        if self._publisher.is_cut_short:
            return  # the folder is the trouble
        try:
            self._report(self._publisher.publish_configurations(source.configurations()))
        except TakenOverError:
            raise
        except MirrorError as error:  # it stops the next full publication too, which sounds the alarm
            _log.debug("configurations aren't published either: %s", error)

    def _tell_others(self, source: Source, pace: "Pace") -> None:
        """Report to standby mirrors and services every few seconds, and when the trouble changes."""
        if pace.report_is_due(self.status.trouble):
            age = self.status.age if self.status.last_success else None
            source.report(self._options.group, self._publisher.folder_id, age, self.status.trouble)

    def _recovered(self, pace: "Pace") -> None:
        pace.recovered()
        self.status.last_success = time.time()
        self.status.transactions_waiting = 0
        if time.monotonic() - self._taken_over_at >= health.STALE_SECONDS:  # two may be taking turns
            self._alarm.over("publishing again")

    def _report(self, written: Written) -> None:
        self.status.assigned = self._publisher.published.assigned
        if written.files:
            self.status.files_written += len(written.files)
            self.status.bytes_written += written.size
            _log.info(
                "published %s, %s; %s with a profile",
                count(len(written.files), "file"),
                count(written.size, "byte"),
                count(written.assigned, "user"),
            )

    def _lead(self, source: Source, stop: threading.Event) -> bool:
        """Become the group's leader, waiting for the current one to end; False if stopped first."""
        # After trouble, this mirror's own lost session may still hold the lock.
        believed_at = time.monotonic() + (self._options.answer_seconds if self.status.trouble else 0.0)
        began = time.monotonic()
        stands_by = False
        while not stop.is_set():
            if source.try_lead(self._options.group):
                if stands_by:
                    _log.warning(
                        "the mirror that led the group %r is gone; this one leads", self._options.group
                    )
                return True
            if time.monotonic() >= believed_at:
                if not stands_by:
                    _log.info("another mirror of the group %r leads; standing by", self._options.group)
                stands_by = True
                self._look_at_leader(source, time.monotonic() - began)
            stop.wait(_SLICE_SECONDS)
        return False

    def _look_at_leader(self, source: Source, waited: float) -> None:
        """Stay ready while the leader is working; otherwise sound the alarm."""
        group, path = self._options.group, self._options.folder
        try:
            leader = source.leader(group)
        except LockedError as error:
            self._alarm.sound(error)
            return
        if leader is None:  # the database can't tell
            wrong: str | None = health.lack_of(path)
        else:
            wrong = trouble(leader, group, path, self._memory.read().folder, waited)
        if wrong:
            self._alarm.sound(MirrorError(wrong))
        elif wrong is not None:
            self.status.last_success = time.time() - ((leader and leader.right) or 0.0)
            self._alarm.over("another mirror publishes")

    def _take_over(self) -> None:
        self._publisher.take_over()
