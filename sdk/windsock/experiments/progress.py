"""How far an experiment has come, and which design applies to its looks."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from windsock.experiments.data.collecting import Collected
from windsock.experiments.documents import PlannedLooks
from windsock.experiments.metrics import Metric
from windsock.experiments.reading import DeclaredExperiment
from windsock.experiments.statistics import calendar, designs
from windsock.experiments.statistics.effects import Effect

TIGHT_AT: Final = 10_000
"""Units at which an open-ended interval is tightest; fixed, because it must not depend on the data."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an experiment has come at the time of its analysis.

    Attributes:
        declared: The experiment and its metrics.
        collected: The data collected on them.
    """

    declared: DeclaredExperiment
    collected: Collected

    @property
    def fraction(self) -> float | None:
        """Matured units over the maximum, or the time in which units matured over the longest duration."""
        maximum = self.declared.experiment.maximum
        if maximum is None:
            return None
        if maximum.units is not None:
            matured = (
                sum(arm.sums.units for arm in arms.values()) for arms in self.collected.metrics.values()
            )
            return min(1.0, min(matured, default=0) / maximum.units)
        if maximum.duration is None or self.collected.exposed.first is None:
            return 0.0
        elapsed = self.collected.now - self._horizon - self.collected.exposed.first
        return min(1.0, max(0.0, elapsed / maximum.duration))

    def design(self, name: str, effect: Effect) -> designs.Design:
        """The design that sets how wide a metric's interval has to be now.

        Args:
            name: The metric that is compared.
            effect: Its effect.
        """
        metric = self.declared.metrics[name]
        fraction, declared = self.fraction, self.declared.experiment.design
        if fraction is None:
            matured = sum(arm.sums.units for arm in self.collected.metrics[name].values())
            return designs.OpenEnded(max(1, matured), TIGHT_AT)
        if declared == "fixed":
            return (
                designs.FixedHorizon(effect.freedom) if fraction >= 1 else designs.GroupSequential((1.0,), 0)
            )
        if isinstance(declared, PlannedLooks):
            done = [look for look in declared.looks if look <= fraction]
            return designs.GroupSequential(declared.looks, len(done), self._matured(metric, done))
        now = max(fraction, 1e-6)
        if not self.collected.exposed.arrived:
            return designs.UpToMaximum(now)
        shares = [
            part / calendar.COUNTS for part in range(1, calendar.COUNTS) if part / calendar.COUNTS < now
        ]
        shares.append(now)
        units = self._matured(metric, shares)
        return designs.UntilDate(calendar.history(zip(shares, units, strict=True)))

    @property
    def _horizon(self) -> timedelta:
        """How long a unit takes to mature in the slowest metric."""
        return max(
            (each.delay + each.window for each in self.declared.metrics.values()), default=timedelta(0)
        )

    def _matured(self, metric: Metric, shares: list[float]) -> tuple[float, ...]:
        """Units that a metric had at these shares of the duration; empty if the maximum is in units."""
        exposed, maximum = self.collected.exposed, self.declared.experiment.maximum
        if not exposed.arrived or exposed.first is None or maximum is None or maximum.duration is None:
            return ()
        ahead = (self._horizon - metric.delay - metric.window) / maximum.duration
        parts = np.arange(len(exposed.arrived) + 1) / calendar.COUNTS
        parts[-1] = min(parts[-1], (self.collected.now - exposed.first) / maximum.duration)
        found = np.interp(np.array(shares) + ahead, parts, (0, *np.cumsum(exposed.arrived)))
        return tuple(map(float, found))
