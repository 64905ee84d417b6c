"""The guard against mass removal: what a mistake took out of the database stays published."""

import time
from collections import deque
from collections.abc import Callable

from windsock.errors import GuardError

FEW = 10
WINDOW_SECONDS = 3600.0


class ShrinkGuard:
    """Knows how many assignments the last hour had, and refuses to lose too many of them.

    Over an hour and not over one publication, because a faulty job removes users in small batches too. The
    hour stands still while nothing is published, so that waiting does not open the way.

    Args:
        max_shrink: The share of the assignments, 0 to 1, that an hour may remove.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, max_shrink: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_shrink = max_shrink
        self._clock = clock
        self._peaks: deque[tuple[float, int]] = deque()  # falling: the first is the hour's highest

    @property
    def before(self) -> int:
        """The most assignments that were published at one time of the last hour."""
        return self._peaks[0][1] if self._peaks else 0

    def published(self, assigned: int) -> None:
        """Remember what a publication leaves."""
        now = began = self._clock()
        while self._peaks and self._peaks[-1][1] <= assigned:
            began = self._peaks.pop()[0]  # the higher one before it ended then, and not now
        self._peaks.append((began, assigned))
        while len(self._peaks) > 1 and self._peaks[1][0] < now - WINDOW_SECONDS:
            self._peaks.popleft()  # it ended when the next one began

    def forgive(self, count: int) -> None:
        """Take assignments out of the account whose configuration was deactivated: that is meant."""
        self._peaks = deque((at, max(0, assigned - count)) for at, assigned in self._peaks)

    def reset(self) -> None:
        """Forget the hour: the next publication is meant, whatever it removes."""
        self._peaks.clear()

    def allows(self, assigned: int) -> bool:
        """Whether this many assignments may be left."""
        return self.before - assigned <= max(FEW, self._max_shrink * self.before)

    def check(self, assigned: int, users: int, configurations: int) -> None:
        """Refuse what would remove too much.

        Args:
            assigned: How many assignments would be left.
            users: The rows of `profiles`.
            configurations: The rows of `app_configurations`.

        Raises:
            GuardError: An emptied table, or too many assignments gone.
        """
        meant = "If it is meant, run `windsock mirror --once --allow-shrink`"
        if self.before and not (users and configurations):
            empty = "app_configurations" if users else "profiles"
            raise GuardError(
                f"table {empty} is empty, and {self.before:,} assignments are published: the last good files "
                f"stay. {meant}"
            )
        if not self.allows(assigned):
            lost = self.before - assigned
            raise GuardError(
                f"{lost:,} of {self.before:,} published assignments are gone from profiles, more than "
                f"the {self._max_shrink:.0%} that an hour may remove: the last good files stay. {meant}"
            )
