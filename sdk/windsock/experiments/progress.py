"""How far each metric of an experiment has come, and which design applies to a look at it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from windsock.experiments.data.collected import Collected
from windsock.experiments.documents import Maximum, PlannedLooks
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics import calendar, designs
from windsock.experiments.statistics.effects import Effect


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an experiment has come at the time of its analysis.

    A metric's clock counts the units whose window in that metric has passed, so that a short window need not
    wait for a long one. Planned looks are taken at all metrics at once: there the slowest clock counts.

    Attributes:
        declared: The experiment and its metrics.
        collected: The data collected on them.
        whole: The data of all units if `collected` is of a segment; it says whether a planned
            look has come, and whether more units will.
    """

    declared: DeclaredExperiment
    collected: Collected
    whole: Collected | None = None

    def fraction(self, *names: str) -> float | None:
        """Share of the maximum that the slowest of these metrics has come to; None without a maximum.

        Of a segment it's the share of all units: once these have reached the maximum, no more will come.
        """
        return self._reached(self._all, names)

    def design(self, effect: Effect, *names: str) -> designs.Design | None:
        """The design that sets how wide an interval has to be now; None if this look decides nothing.

        Args:
            effect: The effect of the metric that is compared.
            names: The metric, and another one if it should not be ahead of that one.
        """
        fraction, declared = self.fraction(*names), self.declared.experiment.design
        own = self._reached(self.collected, names)
        if fraction is None or own is None:
            fewest = min(_units(self.collected, name) for name in names)
            return designs.OpenEnded(max(1, fewest), designs.TIGHT_AT)
        if declared == "fixed":
            return designs.FixedHorizon(effect.freedom) if fraction >= 1 else None
        if isinstance(declared, PlannedLooks):
            done = [look for look in declared.looks if look <= fraction]
            if not done:
                return None
            return designs.GroupSequential(declared.looks, len(done), self._arrived(names[0], done))
        now = max(own, 1e-6)
        if not self.collected.exposed.arrived:
            return designs.UpToMaximum(now)
        shares = [
            part / calendar.COUNTS for part in range(1, calendar.COUNTS) if part / calendar.COUNTS < now
        ]
        shares.append(now)
        units = self._arrived(names[0], shares)
        return designs.UntilDate(calendar.history(zip(shares, units, strict=True)))

    def expected(self, name: str, factor: float) -> datetime | None:
        """When a metric's clock will show this many times what it shows now, at the pace so far.

        None if it has not begun, or the maximum comes before.
        """
        fraction, first = self.fraction(name), self.collected.exposed.first
        if first is None or (fraction is not None and fraction * factor > 1 + 1e-9):
            return None
        began = first + self._horizon(name)
        passed = self.collected.now - began
        return began + passed * factor if passed > timedelta(0) and factor < 1_000 else None

    def reaches(self, name: str, share: float) -> datetime | None:
        """When a metric's clock will show a share of the maximum; in units, at the pace so far."""
        maximum, first = self.declared.experiment.maximum, self.collected.exposed.first
        if maximum is not None and maximum.duration is not None and first is not None:
            return first + self._horizon(name) + share * maximum.duration
        fraction = self.fraction(name)
        return self.expected(name, share / fraction) if fraction else None

    def begins(self, name: str) -> datetime | None:
        """When the first unit's window in a metric ends, if that has yet to come."""
        first, horizon = self.collected.exposed.first, self.lasts(name)
        return first + horizon if first is not None and first + horizon > self.collected.now else None

    def lasts(self, name: str) -> timedelta:
        """How long a unit takes to mature in a metric."""
        metric = self.declared.metrics[name]
        return metric.delay + metric.window

    @property
    def _together(self) -> bool:
        """Whether all metrics are looked at by the clock of the slowest one."""
        return isinstance(self.declared.experiment.design, PlannedLooks)

    def _horizon(self, name: str) -> timedelta:
        """How long a unit takes to move a metric's clock."""
        return max(map(self.lasts, self.declared.metrics)) if self._together else self.lasts(name)

    @property
    def _all(self) -> Collected:
        return self.collected if self.whole is None else self.whole

    def _reached(self, counted: Collected, names: tuple[str, ...]) -> float | None:
        """Share of the maximum that the slowest of these metrics has come to in a collection."""
        maximum = self.declared.experiment.maximum
        if maximum is None:
            return None
        together = self.declared.metrics if self._together else names
        return min(self._share(counted, maximum, name) for name in together)

    def _share(self, counted: Collected, maximum: Maximum, name: str) -> float:
        """Matured units over the maximum, or the time in which units matured over the longest duration."""
        if maximum.units is not None:
            return min(1.0, _units(counted, name) / maximum.units)
        assert maximum.duration is not None  # noqa: S101 - the model has one of the two
        if counted.exposed.first is None:
            return 0.0
        elapsed = counted.now - self.lasts(name) - counted.exposed.first
        return min(1.0, max(0.0, elapsed / maximum.duration))

    def _arrived(self, name: str, shares: list[float]) -> tuple[float, ...]:
        """Units that a metric had at these shares of the duration; empty if the maximum is in units."""
        exposed, maximum = self.collected.exposed, self.declared.experiment.maximum
        if not exposed.arrived or exposed.first is None or maximum is None or maximum.duration is None:
            return ()
        ahead = (self._horizon(name) - self.lasts(name)) / maximum.duration
        parts = np.arange(len(exposed.arrived) + 1) / calendar.COUNTS
        parts[-1] = min(parts[-1], (self.collected.now - exposed.first) / maximum.duration)
        found = np.interp(np.array(shares) + ahead, parts, (0, *np.cumsum(exposed.arrived)))
        return tuple(map(float, found))


def _units(counted: Collected, name: str) -> int:
    """Matured units over all arms."""
    return sum(arm.sums.units for arm in counted.metrics.get(name, {}).values())
