"""What this process has heard of the mirrors, which take withdrawn values out of profiles."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """What the mirror that leads a group last reported to the database.

    Attributes:
        group: The group of mirrors.
        right: Seconds since its documents were last known to be right, as of `heard`; None for never.
        trouble: What is wrong with it; empty when nothing is.
        heard: When the report was read, by the monotonic clock.
    """

    group: str
    right: float | None
    trouble: str
    heard: float

    @property
    def age(self) -> float | None:
        """Seconds since its documents were last known to be right; None for never."""
        return None if self.right is None else self.right + time.monotonic() - self.heard


class Heard:
    """What the mirrors reported, as of the last exchange with the database; empty without one."""

    def __init__(self) -> None:
        self.reports: tuple[MirrorReport, ...] = ()


heard = Heard()
