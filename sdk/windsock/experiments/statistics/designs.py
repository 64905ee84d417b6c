"""When results may be looked at, and how much wider that makes intervals: one class for each design."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log
from typing import Final, Protocol

from windsock.experiments.statistics import calendar, confidence_sequences, continuous_looks, group_sequential
from windsock.experiments.statistics.normal import upper_quantile, upper_tail
from windsock.experiments.statistics.roots import bisect

TIGHT_AT: Final = 10_000
"""Units at which an open-ended interval is tightest; fixed, because it must not depend on the data."""

_SMALLEST = 1e-15


class Design(Protocol):
    """How wide an interval has to be at this look for its promise to hold over all looks."""

    def multiplier(self, alpha: float, *, two_sided: bool = True) -> float:
        """Half the width in standard errors; infinite if this look decides nothing.

        Args:
            alpha: One minus the confidence over all looks that the design allows.
            two_sided: Both ends; else one bound.
        """

    def p_value(self, z: float, *, two_sided: bool = True) -> float:
        """The smallest alpha at which an estimate of `z` standard errors is significant at this look."""


@dataclass(frozen=True, slots=True)
class UpToMaximum:
    """Any number of looks until a declared maximum is reached: the continuous O'Brien-Fleming boundary.

    Attributes:
        fraction: Units so far over the declared maximum, in (0, 1].
    """

    fraction: float

    def multiplier(self, alpha: float, *, two_sided: bool = True) -> float:
        """See `continuous_looks.multiplier`."""
        return continuous_looks.multiplier(alpha, self.fraction, two_sided=two_sided)

    def p_value(self, z: float, *, two_sided: bool = True) -> float:
        """The probability that a Brownian motion gets this far before the maximum."""
        reached = z * self.fraction**0.5
        return continuous_looks.leaves_band(abs(reached)) if two_sided else continuous_looks.exceeds(reached)


@dataclass(frozen=True, slots=True)
class UntilDate:
    """Any number of looks until a date, however many units arrive by then.

    Attributes:
        so_far: From `calendar.history`.
    """

    so_far: calendar.History

    def multiplier(self, alpha: float, *, two_sided: bool = True) -> float:
        """See `calendar.multiplier`."""
        return calendar.multiplier(self.so_far, alpha, two_sided=two_sided)

    def p_value(self, z: float, *, two_sided: bool = True) -> float:
        """See `calendar.p_value`."""
        return calendar.p_value(self.so_far, z, two_sided=two_sided)


@dataclass(frozen=True, slots=True)
class OpenEnded:
    """Any number of looks and no end: an asymptotic confidence sequence.

    Attributes:
        units: Units so far.
        tight_at: Units at which the sequence is tightest; it holds everywhere.
    """

    units: int
    tight_at: int

    @property
    def _mixture(self) -> float:
        """One mixture for every level, so that p-values and intervals agree; tightest at 95 %."""
        return confidence_sequences.tightest_at(0.05) * self.units / self.tight_at

    def multiplier(self, alpha: float, *, two_sided: bool = True) -> float:
        """See `confidence_sequences.multiplier`."""
        return confidence_sequences.multiplier(alpha, self._mixture, two_sided=two_sided)

    def p_value(self, z: float, *, two_sided: bool = True) -> float:
        """The reciprocal of the e-value."""
        return min(1.0, 1 / self.evidence(z, two_sided=two_sided))

    def evidence(self, z: float, *, two_sided: bool = True) -> float:
        """See `confidence_sequences.evidence`."""
        return confidence_sequences.evidence(z, self._mixture, two_sided=two_sided)


@dataclass(frozen=True, slots=True)
class FixedHorizon:
    """One look, at the end: Welch's test (Biometrika 34, 1947).

    Attributes:
        freedom: Degrees of freedom of Student's distribution; infinity gives the normal.
    """

    freedom: float = inf

    def multiplier(self, alpha: float, *, two_sided: bool = True) -> float:
        """The quantile of Student's distribution."""
        from scipy.special import stdtrit  # noqa: PLC0415 - takes 0.3 s to import

        tail = alpha / 2 if two_sided else alpha
        return upper_quantile(tail) if self.freedom == inf else -float(stdtrit(self.freedom, tail))

    def p_value(self, z: float, *, two_sided: bool = True) -> float:
        """The tail of Student's distribution, or both tails if two-sided."""
        from scipy.special import stdtr  # noqa: PLC0415 - takes 0.3 s to import

        distance = abs(z) if two_sided else z
        tail = upper_tail(distance) if self.freedom == inf else float(stdtr(self.freedom, -distance))
        return 2 * tail if two_sided else tail


@dataclass(frozen=True, slots=True)
class GroupSequential:
    """One look at each declared share of the maximum, with Lan and DeMets' O'Brien-Fleming-type spending.

    A look that comes late keeps the limit of its planned share. Its estimate is more correlated with the next
    one's than planned, so less error is spent: a maximum of normal variables crosses less often the more they
    correlate (Sidak, Annals of Mathematical Statistics 39, 1968). Moving only one of several close looks can
    spend 0.01 points more.

    Attributes:
        fractions: Fractions of all looks, increasing, the last one 1.
        look: Which of them this is, from 1; 0 before the first.
        units: Units at each look so far, if the maximum is a duration; else the fractions are of units.
    """

    fractions: Sequence[float]
    look: int
    units: Sequence[float] = ()

    def multiplier(self, alpha: float, *, two_sided: bool = True) -> float:
        """The critical value of this look; infinite before the first."""
        if self.look == 0:
            return inf
        spent = alpha if two_sided else 2 * alpha
        return group_sequential.critical_values(self.fractions[: self.look], spent, self.units)[-1]

    def p_value(self, z: float, *, two_sided: bool = True) -> float:
        """The repeated p-value (Jennison and Turnbull 2000, section 9.5): the alpha whose boundary is `z`."""
        distance, highest = (abs(z), 0.999) if two_sided else (z, 0.4995)
        if self.look == 0 or distance <= self.multiplier(highest, two_sided=two_sided):
            return 1.0

        def reached(log_alpha: float) -> float:
            return distance - self.multiplier(exp(log_alpha), two_sided=two_sided)

        return exp(bisect(reached, log(_SMALLEST), log(highest), tolerance=1e-8))
