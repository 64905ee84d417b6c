"""The guard against mass removal: what a mistake took out of the database stays published."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from windsock.errors import GuardError

FEW = 10
WINDOW_SECONDS = 3600.0

Peak = tuple[float, int]
"""When a number of assignments began to be published (seconds since 1970), and that number."""


class ShrinkGuard:
    """Knows how many assignments the last hour had, and refuses to lose too many of them.

    It looks at an hour and not at one publication, because a faulty job removes users in small batches too.
    Time passes only with publications, so waiting doesn't open the way, and `peaks` outlive the process.

    Args:
        max_shrink: The share of the assignments, 0 to 1, that an hour may remove.
        clock: Gives seconds since 1970.
    """

    def __init__(self, max_shrink: float, clock: Callable[[], float] = time.time) -> None:
        self._max_shrink = max_shrink
        self._clock = clock
        self._peaks: deque[Peak] = deque()  # falling: the first is the hour's highest

    @property
    def before(self) -> int:
        """The most assignments that were published at one time of the last hour."""
        return self._peaks[0][1] if self._peaks else 0

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """What the guard remembers, for `restore`."""
        return tuple(self._peaks)

    def restore(self, peaks: Iterable[Peak], assigned: int) -> None:
        """Continue the hour of another process.

        Args:
            peaks: What that process remembered last.
            assigned: The assignments in the documents. A damaged document makes this too few, so it can
                raise what is remembered and never lower it.
        """
        self._peaks = deque(peaks)
        if assigned > self.before or not self._peaks:
            self.published(assigned)

    def published(self, assigned: int) -> None:
        """Remember what a publication leaves."""
        now = began = self._clock()
        while self._peaks and self._peaks[-1][1] <= assigned:
            began = self._peaks.pop()[0]  # the higher one before it ended then, and not now
        self._peaks.append((began, assigned))
        while len(self._peaks) > 1 and self._peaks[1][0] < now - WINDOW_SECONDS:
            self._peaks.popleft()  # it ended when the next one began

    def forgive(self, count: int) -> None:
        """Don't count assignments lost to a deactivated configuration; that loss is intentional.

        Call this once, when the deactivation has been published.
        """
        if count:
            self._peaks = deque((at, max(0, assigned - count)) for at, assigned in self._peaks)

    def reset(self) -> None:
        """Forget the hour: the next publication is intended, whatever it removes."""
        self._peaks.clear()

    def allows(self, assigned: int, forgiven: int = 0) -> bool:
        """Whether this many assignments may be left, apart from those that a deactivation removes."""
        before = max(0, self.before - forgiven)
        return before - assigned <= max(FEW, self._max_shrink * before)

    def check(self, assigned: int, users: int, configurations: int, forgiven: int = 0) -> None:
        """Refuse a publication that would remove too much.

        Args:
            assigned: How many assignments would be left.
            users: The rows of `profiles`.
            configurations: The rows of `app_configurations`.
            forgiven: How many published assignments belong to configurations that were deactivated.

        Raises:
            GuardError: A table was emptied, or too many assignments are gone.
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
                f"{before - assigned:,} of {before:,} published assignments are gone from profiles, "
                f"more than the {self._max_shrink:.0%} that an hour may remove: the last good files stay. "
                f"{advice}"
            )
