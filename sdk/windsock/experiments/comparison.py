"""The result for one metric of one arm at one look."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isclose

from windsock.experiments.statistics.effects import Effect

Interval = tuple[float, float]


class MetricRole(StrEnum):
    """What a metric decides."""

    GOAL = "goal"
    GUARDRAIL = "guardrail"
    SECONDARY = "secondary"


class ComparisonOutcome(StrEnum):
    """What a comparison says at this look.

    Attributes:
        BETTER: Significantly better.
        WORSE: Significantly worse; a guardrail: by more than its margin.
        WITHIN: A guardrail shown to be within its margin; a goal within the minimum effect.
        OPEN: Undecided.
        NOT_YET: Too early: an interval would say nothing; the note says why.
        NOTHING: No number can be given; the note says why.
    """

    BETTER = "better"
    WORSE = "worse"
    WITHIN = "within"
    OPEN = "open"
    NOT_YET = "not yet"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one arm against control.

    Attributes:
        metric: The metric's name.
        arm: The arm.
        role: What the metric decides.
        outcome: What it says at this look.
        confidence: The interval's confidence, over all looks.
        units: Matured units in control and in the arm.
        events: Units of each with a nonzero value.
        effect: The effect; None if it can't be computed.
        interval: The absolute effect's interval; none for an exact test.
        relative: The relative effect's interval.
        p_value: Valid at every look of the design. A goal's is adjusted for the others; a guardrail's tests
            "it got no worse".
        margin: A guardrail's accepted relative worsening.
        exact: An exact e-process instead of a normal approximation.
        note: Why the effect can't be computed, or a remark on it.
        fraction: Share of the maximum that the metric has come to; None without a maximum.
        waits_for: The guardrail without a margin that a goal's verdict waits for; empty if there is none.
        expected: Estimated date when the comparison becomes readable or the wait ends; None if unknown.
        looks_worse: Whether a guardrail without a margin would be worse if this were the only look. That is
            no proof of harm, but a win waits until it is gone.
    """

    metric: str
    arm: str
    role: MetricRole
    outcome: ComparisonOutcome
    confidence: float
    units: tuple[int, int]
    events: tuple[int, int] = (0, 0)
    effect: Effect | None = None
    interval: Interval | None = None
    relative: Interval | None = None
    p_value: float | None = None
    margin: float | None = None
    exact: bool = False
    note: str = ""
    fraction: float | None = None
    waits_for: str = ""
    expected: datetime | None = None
    looks_worse: bool = False

    @property
    def is_told(self) -> bool:
        """Whether there is an effect to report, with an interval narrow enough to say something."""
        return self.outcome not in (ComparisonOutcome.NOTHING, ComparisonOutcome.NOT_YET)

    @property
    def is_decided_beside_its_interval(self) -> bool:
        """Whether it is better or worse although its interval contains zero; the note says why."""
        if self.outcome not in (ComparisonOutcome.BETTER, ComparisonOutcome.WORSE) or self.interval is None:
            return False
        return self.interval[0] <= 0 <= self.interval[1]

    @property
    def is_same(self) -> bool:
        """Whether it can't be judged because the metric has one and the same value everywhere."""
        if self.effect is None or self.outcome is not ComparisonOutcome.NOTHING:
            return False
        return isclose(self.effect.control, self.effect.treatment, rel_tol=1e-7)
