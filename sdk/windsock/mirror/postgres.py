"""The mirror's one connection: self-tested, listening, and read in snapshots."""

import contextlib
import time
import uuid
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windsock.errors import ConfigurationError
from windsock.flag_names import PROFILE
from windsock.logs import get_logger
from windsock.mirror.fitness import (
    NONCE_SECONDS,
    Capability,
    hears,
    notify_self,
    open_connection,
    read_capability,
    refuse_transaction_pooler,
    warn_without_log,
)
from windsock.mirror.id_lists import IdList, IdTally
from windsock.mirror.queries import (
    QUERIES,
    DatabaseError,
    LockedError,
    LockNotAvailable,
    clear_errors,
    deadline,
    end,
    one,
)
from windsock.mirror.rows import MAX_SETTINGS_BYTES, AssignmentList, AssignmentRow, Changes, ConfigurationRow

if TYPE_CHECKING:
    from psycopg import Connection

_log = get_logger("windsock.mirror")

MAX_CHANGES = 10_000
_CUT_AT_ONCE = 20_000
_TROUBLE_BYTES = 5_000
_READING_SECONDS = 300.0
_LOOK_AGAIN_SECONDS = 0.02  # while changes are in progress that send no notification
_LONGEST_LOOK_SECONDS = 0.25  # if they lead to nothing: a transaction that stays open
_LOOK_SECONDS = 0.1  # if notifications are never sent


_Withdrawn = dict[str, dict[tuple[str, str], str]]
"""Withdrawn values' fingerprints, by configuration, then by settings flag and field."""


class Reading:
    """A full read in one snapshot; valid inside ``with source.read():``.

    Attributes:
        cursor: The snapshot, for a later `Source.changes`.
        withdrawn: The configurations' currently withdrawn values.
        configurations: Every row of `app_configurations`.
        users: How many users each configuration has, by its id; None for those without one.
    """

    def __init__(self, connection: "Connection", withdrawn: "_Withdrawn", id_type: str) -> None:
        self._connection = connection
        self._id_type = id_type
        self.withdrawn = withdrawn
        with deadline(connection, _READING_SECONDS):
            self.cursor = str(one(connection, "snapshot")[0])
            rows = connection.execute(QUERIES["all_configurations"], {"limit": MAX_SETTINGS_BYTES})
            self.configurations = tuple(_configuration(row, withdrawn) for row in rows)
            counts = connection.execute(QUERIES["profile_counts"])
            self.users: dict[str | None, int] = dict(counts)

    def assignments(self, shards: int) -> Generator[AssignmentList]:
        """Stream the assignments ordered by shard and configuration; close the stream if you stop early."""
        query = QUERIES["all_assignments"].replace(b"{shards}", str(shards).encode())
        query = query.replace(b"{key}", b"id" if self._id_type == "uuid" else b'id::text collate "C"')
        with deadline(self._connection, _READING_SECONDS):
            self._connection.execute(QUERIES["read_on"])
        with (
            deadline(self._connection, _READING_SECONDS) as again,
            self._connection.cursor().copy(query) as copy,
        ):
            copy.set_types(["int8", "text", "text", "int8", "text"])
            for shard, config_id, text, count, checksum in copy.rows():
                again()  # ten million users take minutes on a busy server
                yield AssignmentList(shard, config_id, IdList(text, count, int(checksum)))


@dataclass(frozen=True, slots=True)
class Leader:
    """The last report of the mirror that leads a group.

    Attributes:
        folder: The identifier of its folder; None if no mirror of the group has ever reported.
        reported: Seconds since its last report; None if there was none.
        right: Seconds since its documents were last known to be correct; None for never.
        trouble: The problem at that time; empty or None if there was none.
        holder: A description of who holds the group's lock; None if that isn't visible.
    """

    folder: str | None
    reported: float | None
    right: float | None
    trouble: str | None
    holder: str | None


class Source:
    """A database connection suited to a mirror; see `connect`."""

    def __init__(self, connection: "Connection", answer_seconds: float, capability: "Capability") -> None:
        self._connection = connection
        self._answer_seconds = answer_seconds
        self._capability = capability
        self._withdrawn: _Withdrawn = {}
        self._cut = ""
        self._woken = False
        self._sleeps = False
        self._look_again = _LOOK_AGAIN_SECONDS
        self._queue_is_full = False

    @property
    def has_log(self) -> bool:
        """Whether changes are logged; if not, finding them takes a full read."""
        return self._capability.has_log

    def look_again(self) -> bool:
        """Recheck the database's capabilities, such as whether its triggers exist.

        Returns:
            Whether they changed, so that a full read is needed.
        """
        before = self._capability
        with self.asking() as connection:
            self._capability = read_capability(connection)
        if self._capability == before:
            return False
        warn_without_log(self._capability)
        return True

    def close(self) -> None:
        """Close the connection, which releases the leader's lock."""
        end(self._connection)

    def try_lead(self, group: str) -> bool:
        """Become the leader of a group of mirrors, unless it already has one."""
        with deadline(self._connection, self._answer_seconds):
            return bool(one(self._connection, "try_lead", {"group": group})[0])

    def report(self, group: str, folder: str, age: float | None, trouble: str) -> None:
        """Tell standby mirrors and services that this mirror is working.

        Args:
            group: The group that this mirror leads.
            folder: The identifier of its folder.
            age: Seconds since its documents were last known to be correct; None for never.
            trouble: The current problem; empty if there's none.
        """
        if self._capability.has_mirrors:
            trouble = trouble.encode()[:_TROUBLE_BYTES].decode(errors="ignore")  # SQL_ASCII cuts anywhere
            parameters = {"group": group, "folder": folder, "age": age, "trouble": trouble}
            try:
                with self.asking_briefly() as connection:
                    connection.execute(QUERIES["report"], parameters)
            except LockedError as error:
                _log.warning("the mirror's report to services is delayed: %s", error)

    def leader(self, group: str) -> "Leader | None":
        """The last report of the mirror that leads a group; None if the database doesn't have reports."""
        if not self._capability.has_mirrors:
            return None
        with deadline(self._connection, self._answer_seconds), clear_errors():
            return Leader(*one(self._connection, "leader", {"group": group}))

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for a change; return whether to read the log.

        The triggers notify only a sleeping mirror. So before sleeping, this mirror announces it and reads the
        log once more; any later change wakes it.
        """
        if self._woken:
            self._woken = False
            return True
        if self._capability.is_never_woken:
            time.sleep(min(seconds, _LOOK_SECONDS))
            return True
        with deadline(self._connection, seconds + self._answer_seconds):
            if not self._sleeps:
                self._sleeps = bool(one(self._connection, "fall_asleep")[0])
                if not self._sleeps:
                    time.sleep(min(seconds, self._look_again))
                    self._look_again = min(2 * self._look_again, _LONGEST_LOOK_SECONDS)
                return True
            notices = list(self._connection.notifies(timeout=seconds, stop_after=1))
            if not any(notice.channel == "windsock" for notice in notices):
                return False
            self._sleeps = False
            one(self._connection, "wake_up")
        return True

    def hears_itself(self) -> bool:
        """Whether notifications still arrive; a proxy can drop them while everything else works.

        While the server's queue is full, nobody's arrive, and the poll serves.
        """
        nonce = uuid.uuid4().hex
        self._woken = True  # a wake-up that arrives during the test is read along with the nonce
        with deadline(self._connection, self._answer_seconds):
            was_full, self._queue_is_full = self._queue_is_full, not notify_self(self._connection, nonce)
            if not self._queue_is_full:
                return hears(self._connection, nonce, NONCE_SECONDS)
        if not was_full:
            _log.warning(
                "the database's queue of notifications is full: until it has room, changes are found by "
                "polling. A session that listens has been in a transaction for long: see pg_stat_activity"
            )
        return True

    @contextlib.contextmanager
    def read(self) -> Iterator[Reading]:
        """Read everything in one snapshot."""
        with self._snapshot():
            with deadline(self._connection, self._answer_seconds):
                self._withdrawn = self._read_withdrawn()
                if self._capability.has_log:
                    self._was_cut(since="1:1:")
            yield Reading(self._connection, self._withdrawn, self._capability.id_type)

    def configurations(self) -> tuple[ConfigurationRow, ...]:
        """Read every row of `app_configurations`, but no assignments."""
        with self._snapshot(), deadline(self._connection, self._answer_seconds):
            self._withdrawn = self._read_withdrawn()
            return self._every_configuration()

    def changes(self, since: str, audited: Collection[str] | None = None) -> Changes | None:
        """Read what changed after the snapshot `since`; None if a full read is needed.

        That is the case after a TRUNCATE, if unread log entries were deleted, if another session has locked
        the log, and if more than `MAX_CHANGES` rows changed.

        Args:
            since: A snapshot.
            audited: The published configurations, to look for unlogged changes: every configuration is read,
                and how many users each has.
        """
        seconds = self._answer_seconds if audited is None else _READING_SECONDS
        with self._snapshot(), deadline(self._connection, seconds):
            cursor = str(one(self._connection, "snapshot")[0])
            if self._was_cut(since):
                _log.warning("the change log was trimmed before it was read here: reading everything again")
                return None
            parameters = {"since": since, "limit": MAX_CHANGES + 1}
            try:
                rows = self._connection.execute(QUERIES["changes_since"], parameters).fetchall()
            except LockNotAvailable:
                _log.warning("another session has locked the change log: reading everything again")
                return None
            if len(rows) > MAX_CHANGES or any(row_id is None for _, row_id in rows):
                return None
            changed = {row_id for table, row_id in rows if table == "app_configurations"}
            changed |= self._newly_withdrawn()
            users = [row_id for table, row_id in rows if table == "profiles"]
            tallies: dict[str, IdTally] | None = None
            if audited is None:
                configurations = self._configurations(sorted(changed))
            else:
                changed |= set(audited)
                configurations = self._every_configuration()
                counted = self._connection.execute(QUERIES["assignment_tallies"])
                tallies = {config_id: IdTally(count, int(total)) for config_id, count, total in counted}
            deleted = changed - {row.id for row in configurations}
            transactions = one(self._connection, "transactions_since", {"since": since})[0] if rows else 0
            if rows:
                self._look_again = _LOOK_AGAIN_SECONDS
            assignments = self._assignments(users)
            return Changes(configurations, tuple(sorted(deleted)), assignments, cursor, transactions, tallies)

    @contextlib.contextmanager
    def asking(self) -> Iterator["Connection"]:
        """Lend the connection, with a deadline for answers and refusals reworded for operators."""
        with deadline(self._connection, self._answer_seconds), clear_errors():
            yield self._connection

    @contextlib.contextmanager
    def asking_briefly(self) -> Iterator["Connection"]:
        """Do the same in a transaction that waits a second for locks, so that it holds nothing up."""
        with self.asking() as connection, connection.transaction():
            connection.execute(QUERIES["wait_briefly_for_locks"])
            yield connection

    def cut_log(self, keep_seconds: float) -> None:
        """Delete change log entries older than `keep_seconds`, at most the oldest 20,000 rows."""
        with self.asking_briefly() as connection:
            parameters = {"keep": f"{keep_seconds} seconds", "most": _CUT_AT_ONCE}
            connection.execute(QUERIES["cut_log"], parameters)

    def _was_cut(self, since: str) -> bool:
        """Whether the log has lost rows since the snapshot `since`, the last one read."""
        before = self._cut
        self._cut, is_ahead = one(self._connection, "log_cut", {"since": since})
        return bool(is_ahead) and self._cut != before

    def _every_configuration(self) -> tuple[ConfigurationRow, ...]:
        rows = self._connection.execute(QUERIES["all_configurations"], {"limit": MAX_SETTINGS_BYTES})
        return tuple(_configuration(row, self._withdrawn) for row in rows)

    def _configurations(self, ids: Sequence[str]) -> tuple[ConfigurationRow, ...]:
        if not ids:
            return ()
        parameters = {"ids": list(ids), "limit": MAX_SETTINGS_BYTES}
        rows = self._connection.execute(QUERIES["some_configurations"], parameters)
        return tuple(_configuration(row, self._withdrawn) for row in rows)

    def _newly_withdrawn(self) -> set[str]:
        """The configurations whose withdrawn values changed; some withdrawals simply expire."""
        before, self._withdrawn = self._withdrawn, self._read_withdrawn()
        either = before.keys() | self._withdrawn.keys()
        return {config_id for config_id in either if before.get(config_id) != self._withdrawn.get(config_id)}

    def _read_withdrawn(self) -> "_Withdrawn":
        found: _Withdrawn = {}
        if self._capability.has_withdrawals:
            for flag, variant, field, fingerprint in self._connection.execute(QUERIES["withdrawals"]):
                found.setdefault(variant, {})[flag.removesuffix(PROFILE), field] = fingerprint
        return found

    def _assignments(self, user_ids: Sequence[str]) -> tuple[AssignmentRow, ...]:
        if not user_ids:
            return ()
        query = QUERIES["some_assignments"].replace(b"{id_type}", self._capability.id_type.encode())
        ids = [user_id for user_id in user_ids if user_id]
        return tuple(AssignmentRow(*row) for row in self._connection.execute(query, {"ids": ids}))

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        with clear_errors():
            with deadline(self._connection, self._answer_seconds):
                self._connection.execute(QUERIES["begin_reading"])
            try:
                yield
            finally:
                if not self._connection.broken:
                    with deadline(self._connection, self._answer_seconds):
                        self._connection.execute("rollback")


def _configuration(row: tuple[Any, ...], withdrawn: "_Withdrawn") -> ConfigurationRow:
    config_id, name, is_active, settings, size = row
    return ConfigurationRow(config_id, name, is_active, settings, size, withdrawn.get(config_id, {}))


def connect(url: str, answer_seconds: float = 10.0) -> Source:
    """Open a connection and verify that it can serve a mirror.

    Args:
        url: A libpq connection string.
        answer_seconds: How long the database may take to answer before the connection is broken. A statement
            waits half as long for a lock, and then fails with `LockedError` on a connection that lasts.

    Raises:
        UnreachableError: The database can't be reached now.
        ConfigurationError: It failed the self-test.
        DatabaseUnfitError: The URL points at a transaction pooler or a standby, or the schema or role is
            insufficient.
    """
    connection = open_connection(url)
    try:
        with deadline(connection, answer_seconds):
            refuse_transaction_pooler(url, connection)
            one(connection, "prepare_session")  # only our own session may be changed
            connection.execute(QUERIES["lift_limits"])
            connection.execute(QUERIES["notice_a_dead_machine"])
            patience = f"{max(1, round(500 * answer_seconds))}ms"  # half of it: the statement must fail first
            connection.execute(QUERIES["bound_locks"], {"patience": patience})
            capability = read_capability(connection)
            warn_without_log(capability)
    except DatabaseError as error:
        end(connection)
        raise ConfigurationError(f"the database failed the mirror's self-test: {error}") from error
    except BaseException:
        end(connection)
        raise
    return Source(connection, answer_seconds, capability)
