"""The guard against mass removal: assignments deleted from the database by mistake stay published."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from windsock.errors import GuardError

FEW = 10
WINDOW_SECONDS = 3600.0

Peak = tuple[float, int]
"""When a number of assignments was first published (seconds since 1970), and that number."""


class ShrinkGuard:
    """Tracks how many assignments were published in the last hour, and refuses to lose too many of them.

    It considers an hour rather than a single publication, because a faulty job may also remove users in
    small batches. Time passes only with publications, so waiting doesn't help, and `peaks` outlive the
    process.

    Args:
        max_shrink: The share of the assignments, 0 to 1, that may be removed in an hour.
        clock: Returns seconds since 1970.
    """

    def __init__(self, max_shrink: float, clock: Callable[[], float] = time.time) -> None:
        self._max_shrink = max_shrink
        self._clock = clock
        self._peaks: deque[Peak] = deque()  # descending: the first is the hour's highest

    @property
    def before(self) -> int:
        """The maximum number of assignments published at any time in the last hour."""
        return self._peaks[0][1] if self._peaks else 0

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """The guard's state, for `restore`."""
        return tuple(self._peaks)

    def restore(self, peaks: Iterable[Peak], assigned: int, left: int = 0) -> None:
        """Continue another process's hour.

        Args:
            peaks: That process's last state.
            assigned: The assignments in the documents. A damaged document makes this too low, so it can raise
                the peak but never lower it.
            left: How many of them went because their configuration was switched off, if that process was
                killed before it said so.
        """
        self._peaks = deque(peaks)
        self.forgive(left)
        if assigned > self.before or not self._peaks:
            self.published(assigned)

    def published(self, assigned: int) -> None:
        """Record the number of assignments after a publication."""
        now = began = self._clock()
        if self._peaks and self._peaks[-1][0] > now:  # the clock was set back
            self._peaks = deque((min(now, at), count) for at, count in self._peaks)
        while self._peaks and self._peaks[-1][1] <= assigned:
            began = self._peaks.pop()[0]  # the higher count before it ended then, not now
        self._peaks.append((began, assigned))
        while len(self._peaks) > 1 and self._peaks[1][0] < now - WINDOW_SECONDS:
            self._peaks.popleft()  # it ended when the next count began

    def forgive(self, count: int) -> None:
        """Don't count assignments lost to a configuration that was switched off; that loss is intentional.

        Call this once, after publishing that.
        """
        if count:
            self._peaks = deque((at, max(0, assigned - count)) for at, assigned in self._peaks)

    def reset(self) -> None:
        """Reset the hour: the next publication is intentional, whatever it removes."""
        self._peaks.clear()

    def allows(self, assigned: int, forgiven: int = 0) -> bool:
        """Whether dropping to this many assignments is allowed; those switched off don't count."""
        before = max(0, self.before - forgiven)
        return before - assigned <= max(FEW, self._max_shrink * before)

    def check(self, assigned: int, users: int, configurations: int, forgiven: int = 0) -> None:
        """Refuse a publication that would remove too much.

        Args:
            assigned: How many assignments would be left.
            users: The number of rows in `profiles`.
            configurations: The number of rows in `app_configurations`.
            forgiven: How many published assignments belong to configurations switched off.

        Raises:
            GuardError: A table was emptied, or too many assignments would be lost.
        """
        advice = "If this is intended, run `windsock mirror once --allow-shrink`"
        before = max(0, self.before - forgiven)
        if before and not (users and configurations):
            empty = "app_configurations" if users else "profiles"
            raise GuardError(
                f"table {empty} is empty, and {before:,} assignments are published: the last good files "
                f"stay. {advice}"
            )
        if not self.allows(assigned, forgiven):
            raise GuardError(
                f"{before - assigned:,} of {before:,} published assignments are gone from profiles or moved "
                f"to configurations that publish nothing, more than the {self._max_shrink:.0%} that an hour "
                f"may remove: the last good files stay. {advice}"
            )
