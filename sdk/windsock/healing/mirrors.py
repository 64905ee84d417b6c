"""What this process knows about the mirrors, which remove withdrawn values from profiles."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """The last report to the database by the mirror that leads a group.

    Attributes:
        group: The group of mirrors.
        right: Seconds since its documents were last known to be correct, as of `heard`; None for never.
        trouble: Its current problem; empty if there's none.
        heard: When the report was read, on the monotonic clock.
    """

    group: str
    right: float | None
    trouble: str
    heard: float

    @property
    def age(self) -> float | None:
        """Seconds since its documents were last known to be correct; None for never."""
        return None if self.right is None else self.right + time.monotonic() - self.heard


class MirrorReports:
    """The mirrors' reports as of the last exchange with the database; empty before the first."""

    def __init__(self) -> None:
        self.latest: tuple[MirrorReport, ...] = ()


mirror_reports = MirrorReports()
