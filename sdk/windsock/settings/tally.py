"""Success and failure counts of the calls that used a resolution."""

_USERS_MAX = 10_000
"""Maximum users counted in one window."""


class Period:
    """The window in which calls are counted, shared by all tallies of a settings class.

    Attributes:
        ends: Monotonic time at which it ends.
        users: The users counted in it. Each user counts once, so that one user who calls or fails constantly
            doesn't distort the result.
    """

    __slots__ = ("ends", "users")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.users: set[str] = set()


class Tally:
    """Counts the healed calls that used one resolution; kept for as long as the resolution.

    Attributes:
        calls: The number of counted calls. Without a lock: losing a count now and then doesn't matter.
        faults: The calls whose first run failed.
        taken: The part of `calls` and `faults` already taken into account.
        period: The current window; None while nothing is watching.
        proven: Fields that were read by a successful call.
    """

    __slots__ = ("calls", "faults", "period", "proven", "taken")

    def __init__(self) -> None:
        self.calls = 0
        self.faults = 0
        self.taken = (0, 0)
        self.period: Period | None = None
        self.proven: set[str] = set()

    def counts(self, user: str | None) -> bool:
        """Whether to count a call by this user in this window; called once per call."""
        period = self.period
        if period is None:
            return False
        if user is None:
            return True
        if user in period.users or len(period.users) >= _USERS_MAX:
            return False
        period.users.add(user)
        return True
