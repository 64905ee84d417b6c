"""The mirror's schedule on one connection."""

import math
import time

from windsock.backoff import Backoff
from windsock.errors import DatabaseUnfitError
from windsock.logs import get_logger
from windsock.mirror.options import MirrorOptions
from windsock.mirror.postgres import Source
from windsock.mirror.queries import LockedError

_log = get_logger("windsock.mirror")

_CUT_SECONDS = 10.0
_KEEP_LOG_SECONDS = 600.0
_REPORT_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_REST_SECONDS = 30.0  # between full reads without a change log: nobody knows what happened meanwhile
_LOCKED_PAUSE_SECONDS = 0.5


class Pace:
    """The schedule on one connection."""

    def __init__(self, options: MirrorOptions) -> None:
        self._options = options
        self.failures = 0
        self._is_locked = False  # another session's lock caused the last failure
        self._full_at = -math.inf
        self._full_took = 0.0
        self._tested_at = self._cut_at = self._audited_at = time.monotonic()
        self._reported: tuple[float, str] = (-math.inf, "")

    def full_is_due(self, source: Source) -> bool:
        """Whether it's time for a full read; without a change log, nothing else reveals changes."""
        rest = min(10 * self._full_took, _LONGEST_REST_SECONDS)
        every = self._options.reconcile_seconds if source.has_log else rest
        return time.monotonic() - self._full_at >= every

    def full_done(self, began: float) -> None:
        """Record a full publication that began at the monotonic time `began`."""
        self._full_at = time.monotonic()
        self._full_took = self._full_at - began

    def failed(self, error: Exception) -> None:
        """Record a failed publication."""
        self.failures += 1
        self._is_locked = isinstance(error, LockedError)

    def recovered(self) -> None:
        """Record a publication that succeeded."""
        self.failures = 0
        self._is_locked = False

    @property
    def pause(self) -> float:
        """Seconds until the next poll, increasing with consecutive failures, except after a lock."""
        if self._is_locked:  # the failed statement has waited for seconds already
            return _LOCKED_PAUSE_SECONDS
        longest = max(_LONGEST_PAUSE_SECONDS, self._options.poll_seconds)
        return Backoff(self._options.poll_seconds, longest).pause(self.failures + 1)

    def audit_is_due(self) -> bool:
        """Whether it's time to look for changes that no trigger logged; marks that as done."""
        now = time.monotonic()
        is_due = now - self._audited_at >= self._options.audit_seconds
        if is_due:
            self._audited_at = now
        return is_due

    def report_is_due(self, trouble: str) -> bool:
        """Whether it's time to report; marks it as reported."""
        reported_at, reported = self._reported
        now = time.monotonic()
        if now - reported_at < _REPORT_SECONDS and trouble == reported:
            return False
        self._reported = (now, trouble)
        return True

    def chores(self, source: Source) -> None:
        """Verify that notifications arrive, recheck the database's capabilities, and trim the change log.

        Raises:
            DatabaseUnfitError: Notifications get lost on this connection.
        """
        now = time.monotonic()
        if now - self._tested_at >= self._options.self_test_seconds:
            self._tested_at = now
            if not source.hears_itself():
                raise DatabaseUnfitError(
                    "the database's notifications are lost on this connection; connecting again"
                )
            if source.look_again():
                self._full_at = -math.inf
        if source.has_log and now - self._cut_at >= _CUT_SECONDS:
            self._cut_at = now
            try:
                source.cut_log(_KEEP_LOG_SECONDS)
            except (DatabaseUnfitError, LockedError) as error:
                _log.warning("the change log can't be trimmed, and grows: %s", error)
