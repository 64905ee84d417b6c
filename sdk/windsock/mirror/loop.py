"""The mirror itself: publish once, or lead and follow the changes until stopped."""

import contextlib
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from windsock.backoff import Backoff
from windsock.errors import ConfigurationError, DatabaseUnfitError, GuardError, MirrorError, WindsockError
from windsock.mirror.alarm import Alarm
from windsock.mirror.base_tables import BaseTables
from windsock.mirror.checking import Fitting
from windsock.mirror.documents import MAX_SHARDS, Layout, shard_count
from windsock.mirror.files import Folder
from windsock.mirror.guard import ShrinkGuard
from windsock.mirror.health import Status
from windsock.mirror.memory import Memory
from windsock.mirror.postgres import DatabaseError, Source, connect
from windsock.mirror.publish import Publisher, Written
from windsock.mirror.standby import trouble
from windsock.settings.settings import Settings

_log = logging.getLogger("windsock.mirror")

_FLAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SLICE_SECONDS = 0.5  # how long a stop waits for a mirror that waits for changes
_CUT_SECONDS = 60.0
_KEEP_LOG_SECONDS = 600.0
_LONGEST_PAUSE_SECONDS = 30.0
# Short, because every user waits for a database that is back; with jitter, because all of its clients do.
_RECONNECT = Backoff(first=0.5, longest=1.5, jitter=0.5)
_REPORT_SECONDS = 5.0
_LEAD_SECONDS = 10.0
# A rest as long as the round of changes before it leaves half of the time to those who write and who read
# documents; the next round takes all that changed meanwhile at once. A lone change is a round of some
# milliseconds, so the rest delays nobody. A full reading is not followed by one.
_LONGEST_REST_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a mirror needs to know.

    Attributes:
        url: The database; a direct connection or a session pooler.
        folder: The folder of the documents, which only the mirror writes.
        flags: The settings classes' flag names, at least one.
        shards: How many documents; None takes what the folder was set up with, else 1.
        group: Mirrors of one group share one folder: one leads, the others stand by. Mirrors of one
            database that write folders of their own need groups of their own.
        poll_seconds: How often the log is read although nothing woke the mirror.
        reconcile_seconds: How often everything is read although the log says nothing.
        self_test_seconds: How often the mirror proves that the database's notifications reach it.
        answer_seconds: How long the database may take to answer before the connection is given up.
        max_shrink: The share of the assignments, 0 to 1, that an hour may remove.
        allow_shrink: Let the first publication remove more than that.
        settings: Settings classes that configurations are checked against; what does not fit is named.
        hold_back_misfits: Keep what does not fit from being published: its last good settings stay.
        learning_config: Flags whose base values are written into a table: ``flag``, whose table is
            `learning_config`, or ``flag:table``, or ``flag:schema.table``. `settings` holds their classes.
        git_folder: The folder of Git's flag files, for the base values.
        environment: The environment that the base values are for.
    """

    url: str
    folder: Path
    flags: tuple[str, ...]
    shards: int | None = None
    group: str = "default"
    poll_seconds: float = 2.0
    reconcile_seconds: float = 600.0
    self_test_seconds: float = 10.0
    answer_seconds: float = 10.0
    max_shrink: float = 0.2
    allow_shrink: bool = False
    settings: tuple[type[Settings], ...] = ()
    hold_back_misfits: bool = False
    learning_config: tuple[str, ...] = ()
    git_folder: Path = Path("flagd")
    environment: str = "production"


class Mirror:
    """Keeps a folder of flagd documents equal to the assignments in a database.

    Raises:
        ConfigurationError: A flag name or the number of shards cannot be used.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder = Folder(options.folder)
        layout = _layout(options)
        written = {target.partition(":")[0] for target in options.learning_config} - set(layout.flags)
        checked = [each for each in options.settings if each.__windsock__.declaration.flag not in written]
        fitting = Fitting(checked, layout.flags, hold_back=options.hold_back_misfits)
        self._memory = Memory(self._folder, options.group)
        guard = ShrinkGuard(options.max_shrink)
        self._publisher = Publisher(self._folder, layout, guard, fitting, self._memory)
        self._allow_shrink = options.allow_shrink
        self.status = Status()
        self._alarm = Alarm(self.status)
        self._bases = BaseTables(
            options.learning_config, options.settings, options.git_folder, options.environment
        )

    def show_progress(self, show: Callable[[int, int], None]) -> None:
        """Call `show` with the number of documents done, and of all, before each one."""
        self._publisher.progress = show

    def once(self) -> Written:
        """Publish everything once.

        Raises:
            WindsockError: The database does not do, a guard stops, or another mirror of the group is at work.
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
        """Compare the documents with the database, and write nothing.

        Returns:
            One line for each document that is not what `once` would leave.
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
        """Publish, and follow the changes until `stop` is set. Faults are logged and recovered from.

        Raises:
            DatabaseUnfitError: On the first connection, when waiting would not help.
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
            source.close()

    def _serve(self, source: Source, stop: threading.Event) -> None:
        """Lead, then publish again and again on one connection."""
        self.status.leading = False
        if not self._lead(source, stop):
            return
        self.status.leading = True
        self._take_over()
        pace = _Pace(self._options)
        cursor: str | None = None
        while not stop.is_set():
            began = time.monotonic()
            follows = cursor is not None and not pace.full_is_due(source)
            try:
                cursor = self._publish(source, cursor if follows else None, pace)
                self._recovered(pace)
            except MirrorError as error:
                self._alarm.sound(error)
                cursor = None
                pace.failures += 1
                pace.is_guarded = isinstance(error, GuardError)
            self._bases.follow(source)
            if follows:
                stop.wait(min(_LONGEST_REST_SECONDS, time.monotonic() - began))
            self._wait(source, stop, pace)

    def _publish(self, source: Source, cursor: str | None, pace: "_Pace") -> str:
        """Publish what changed since `cursor`, or everything; give the new cursor."""
        if cursor is not None and not source.has_log:
            return cursor
        if cursor is not None and self._publisher.is_intact():
            changes = source.changes(cursor)
            if changes is not None:
                self.status.transactions_waiting = changes.transactions
                written = self._publisher.publish_changes(changes) if changes else Written((), 0, 0)
                if written is not None:
                    self.status.changes += len(changes)
                    self._report(written)
                    return changes.cursor
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

    def _wait(self, source: Source, stop: threading.Event, pace: "_Pace") -> None:
        """Wait for a wake-up, for the next poll, or for the end; do the chores meanwhile."""
        pace.chores(source)
        self._tell_others(source, pace)
        deadline = time.monotonic() + pace.pause
        poll_at = time.monotonic() + self._options.poll_seconds
        while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
            is_woken = source.wait(min(left, _SLICE_SECONDS))
            self._tell_others(source, pace)
            if (is_woken or self._bases.are_changed()) and not pace.failures:
                return
            if pace.is_guarded and (is_woken or time.monotonic() >= poll_at):
                self._report(self._publisher.publish_configurations(source.configurations()))
                poll_at = time.monotonic() + self._options.poll_seconds

    def _tell_others(self, source: Source, pace: "_Pace") -> None:
        """Report to mirrors on standby and to services: every few seconds, and when the trouble changes."""
        if pace.report_is_due(self.status.trouble):
            age = self.status.age if self.status.last_success else None
            source.report(self._options.group, self._publisher.folder_id, age, self.status.trouble)

    def _recovered(self, pace: "_Pace") -> None:
        pace.failures = 0
        pace.is_guarded = False
        self.status.last_success = time.time()
        self.status.transactions_waiting = 0
        self._alarm.over("publishing again")

    def _report(self, written: Written) -> None:
        self.status.assigned = self._publisher.published.assigned
        if written.files:
            self.status.files_written += len(written.files)
            self.status.bytes_written += written.size
            _log.info(
                "published %d of the documents, %s bytes; %s users have a profile",
                len(written.files),
                f"{written.size:,}",
                f"{written.assigned:,}",
            )

    def _lead(self, source: Source, stop: threading.Event) -> bool:
        """Become the leader of the group, if it takes until another one's end; False when stopped before."""
        # After a trouble the lock may still be held by this mirror's own lost session.
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
        """Be ready as long as the leader is at work; else sound the alarm."""
        group, path = self._options.group, self._options.folder
        leader = source.leader(group)
        if leader is None:  # the database can't tell
            wrong: str | None = "" if path.is_dir() else f"{path}: there is no such folder"
        else:
            wrong = trouble(leader, group, path, self._memory.read().folder, waited)
        if wrong:
            self._alarm.sound(MirrorError(wrong))
        elif wrong is not None:
            self.status.last_success = time.time()
            self._alarm.over("another mirror publishes")

    def _take_over(self) -> None:
        self._folder.prepare()
        self._publisher.load()
        self._publisher.claim()


class _Pace:
    """When to do what, on one connection."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.failures = 0
        self.is_guarded = False  # the last failure was a guard's: configurations are published all the same
        self._full_at = -math.inf
        self._full_took = 0.0
        self._tested_at = self._cut_at = time.monotonic()
        self._reported: tuple[float, str] = (-math.inf, "")

    def full_is_due(self, source: Source) -> bool:
        """Whether it is time to read everything; without a change log nothing else shows a change."""
        every = self._options.reconcile_seconds if source.has_log else 10 * self._full_took
        return time.monotonic() - self._full_at >= every

    def full_done(self, began: float) -> None:
        """Remember a full publication that began at `began`, a monotonic time."""
        self._full_at = time.monotonic()
        self._full_took = self._full_at - began

    @property
    def pause(self) -> float:
        """The seconds until the next poll, longer after each failure in a row."""
        longest = max(_LONGEST_PAUSE_SECONDS, self._options.poll_seconds)
        return Backoff(self._options.poll_seconds, longest).pause(self.failures + 1)

    def report_is_due(self, trouble: str) -> bool:
        """Whether it is time to report; takes it as reported."""
        at, said = self._reported
        now = time.monotonic()
        if now - at < _REPORT_SECONDS and trouble == said:
            return False
        self._reported = (now, trouble)
        return True

    def chores(self, source: Source) -> None:
        """Prove that notifications arrive, and keep the change log short."""
        now = time.monotonic()
        if now - self._tested_at >= self._options.self_test_seconds:
            self._tested_at = now
            if not source.hears_itself():
                raise DatabaseUnfitError(
                    "the database's notifications are lost on this connection; connecting again"
                )
        if source.has_log and now - self._cut_at >= _CUT_SECONDS:
            self._cut_at = now
            try:
                source.cut_log(_KEEP_LOG_SECONDS)
            except DatabaseUnfitError as error:
                _log.warning("the change log is not cut, and grows: %s", error)


def _layout(options: Options) -> Layout:
    for flag in options.flags:
        if not _FLAG_NAME.fullmatch(flag):
            raise ConfigurationError(f"{flag!r} is no flag name: use letters, digits, '_' and '-'")
    if not options.flags:
        raise ConfigurationError("no flag to mirror: give --flag NAME, the name of the settings class's flag")
    shards = options.shards or _shards_of(options.folder)
    if not 1 <= shards <= MAX_SHARDS:
        raise ConfigurationError(f"{shards} shards: the number must be from 1 to {MAX_SHARDS}")
    return Layout(tuple(dict.fromkeys(options.flags)), shards)


def _shards_of(folder: Path) -> int:
    """Read the number of shards that a folder was set up with; 1 for a new one."""
    first = folder / "profiles.00.flagd.json"
    if not first.exists():
        return 1
    try:
        return shard_count(first.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{first}: cannot be read, so the number of shards is not known: give it with --shards"
        ) from error
