"""How the calls that used one resolution went."""

_USERS_MAX = 10_000
"""Users counted in one window."""


class Period:
    """The window in which calls are counted; one for all tallies of a settings class.

    Attributes:
        ends: Monotonic time at which it ends.
        users: Whose call was counted in it. Each user counts once, so that one who calls all the time, or
            fails all the time, says nothing about others.
    """

    __slots__ = ("ends", "users")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.users: set[str] = set()


class Tally:
    """Counts the healed calls that used one resolution; kept for as long as the resolution.

    Attributes:
        calls: Calls that were counted. Without a lock: losing a count now and then doesn't matter.
        faults: Those whose first run failed.
        taken: What of `calls` and `faults` was taken into account.
        period: The current window; None while nothing watches.
        proven: Fields that were read by a call that went well.
    """

    __slots__ = ("calls", "faults", "period", "proven", "taken")

    def __init__(self) -> None:
        self.calls = 0
        self.faults = 0
        self.taken = (0, 0)
        self.period: Period | None = None
        self.proven: set[str] = set()

    def counts(self, user: str | None) -> bool:
        """Whether a call of this user is to be counted in this window; asked once for each call."""
        period = self.period
        if period is None:
            return False
        if user is None:
            return True
        if user in period.users or len(period.users) >= _USERS_MAX:
            return False
        period.users.add(user)
        return True
