"""What an analysis starts from (its snapshot): who was exposed, and the sums of each metric."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from windsock.experiments.data.recorded_looks import SinceFirstLook
from windsock.experiments.data.segment_sums import ArmSums, SegmentSums


@dataclass(frozen=True, slots=True)
class Day:
    """Units first exposed on a day."""

    date: str
    arm: str
    units: int


@dataclass(frozen=True, slots=True)
class Exposed:
    """Who was exposed.

    Attributes:
        counted: Units of each arm that count, matured or not.
        crossed: Units in two arms, left out.
        excluded: Units left out by reason.
        later: Units exposed after the time of the analysis, due to a wrong clock.
        beyond: Units past the declared maximum.
        days: Units that count, by arm and day of first exposure.
        other_versions: Units of other versions, left out.
        other_environments: Units of other environments, left out.
        allocations: Smallest and largest recorded allocation of each arm.
        keys: Fingerprints of the keys that the units were hashed with.
        first: The first exposure.
        lapses: Units that count although their arm wasn't served as declared, by what happened.
        moved: Units of each arm that got another profile after their first exposure; they still count there.
        unchecked: Missing tables, whose checks were skipped.
        arrived: Units that count, by the part of the declared duration in which they were first exposed; none
            if the maximum isn't a duration.
    """

    counted: Mapping[str, int]
    crossed: int
    excluded: Mapping[str, int]
    later: int
    beyond: int
    days: tuple[Day, ...]
    other_versions: Mapping[int, int]
    other_environments: Mapping[str, int]
    allocations: Mapping[str, tuple[float, float]]
    keys: tuple[str, ...]
    first: datetime | None
    lapses: Mapping[str, int] = field(default_factory=dict)
    moved: Mapping[str, int] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    arrived: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """Units that count."""
        return sum(self.counted.values())


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything that an analysis needs; the same collection always gives the same decision.

    Attributes:
        environment: The environment that the exposures are from.
        now: The time of the analysis.
        until: First exposures later than this are past the maximum; None if it isn't reached.
        exposed: Who was exposed.
        metrics: By metric and arm.
        caps: The cap of each capped metric.
        sql: The queries that ran, by purpose.
        segments: The goals' sums by the values of the declared segments.
        unsplit: Why `segments` is empty although segments are declared.
        since: What has changed since the first recorded look.
        preview: Whether `now` had not come when the data was read, so that rows until then are missing.
        unseen: Why a metric's source has no row at all, by metric.
        newest: Time of the newest row, by table and by metric with its own source; empty for a live database.
        slow_ms: The latency that 95 % of an arm's requests stay within, by arm; empty if no metric is of it.
        quiet_since: The newest request or event of a live database, if it is more than a day old.
    """

    environment: str
    now: datetime
    until: datetime | None
    exposed: Exposed
    metrics: Mapping[str, Mapping[str, ArmSums]]
    caps: Mapping[str, float] = field(default_factory=dict)
    sql: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[SegmentSums, ...] = ()
    unsplit: str = ""
    preview: bool = False
    since: SinceFirstLook = field(default_factory=SinceFirstLook)
    unseen: Mapping[str, str] = field(default_factory=dict)
    newest: Mapping[str, datetime] = field(default_factory=dict)
    slow_ms: Mapping[str, float] = field(default_factory=dict)
    quiet_since: datetime | None = None

    @property
    def end(self) -> datetime | None:
        """The newest row of all; None if the data is live."""
        return max(self.newest.values(), default=None)
