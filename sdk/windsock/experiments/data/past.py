"""Reads what units did before the experiment, to compute power."""

from dataclasses import dataclass
from datetime import UTC, datetime

import ibis
import numpy as np
import numpy.typing as npt

from windsock.errors import ConfigurationError
from windsock.experiments.data.sources import Scope, rows_of
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.metrics import Kind, Metric
from windsock.experiments.quantities import duration_words
from windsock.text import count

MAX_UNITS = 200_000
"""Maximum number of units read."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Units of the metric's last window.

    Attributes:
        numerators: One value per unit.
        denominators: One value per unit; all ones if the metric isn't a ratio.
        units_per_day: New units a day, estimated from the number of distinct ones.
    """

    numerators: npt.NDArray[np.float64]
    denominators: npt.NDArray[np.float64]
    units_per_day: float

    @property
    def mean(self) -> float:
        """The metric over all units."""
        return float(self.numerators.mean() / self.denominators.mean())

    @property
    def linear(self) -> npt.NDArray[np.float64]:
        """Values per unit whose mean is the metric: for a ratio, the delta method's linearisation."""
        linear: npt.NDArray[np.float64] = (
            self.mean + (self.numerators - self.mean * self.denominators) / self.denominators.mean()
        )
        return linear


def read_past(
    warehouse: Warehouse, scope: Scope, name: str, metric: Metric, now: datetime | None = None
) -> Baseline:
    """Read the metric's values of every unit with a row in the last window.

    Raises:
        ConfigurationError: There were fewer than two units.
    """
    end = now or datetime.now(UTC)
    rows = rows_of(warehouse, scope, {name: metric})
    since = ibis.literal(end - metric.window, type="timestamp('UTC')")
    recent = rows.filter(rows.at >= since, rows.at < ibis.literal(end, type="timestamp('UTC')"))
    value, per = recent[f"value_{name}"], recent[f"per_{name}"]
    if metric.kind is Kind.PROPORTION:
        value = (value != 0).ifelse(1.0, 0.0)
    numerator = value.max() if metric.kind is Kind.PROPORTION else value.sum()
    grouped = recent.group_by("unit").aggregate(n=numerator.fill_null(0.0), d=per.sum().fill_null(0.0))
    found = warehouse.rows(grouped.select("n", "d").limit(MAX_UNITS), scope.where(name))
    if len(found) < 2:
        window = duration_words(metric.window)
        raise ConfigurationError(
            f"{scope.where(name)}: {count(len(found), 'unit')} had a row in the last {window}; "
            "power needs past data: give the mean and the standard deviation instead"
        )
    numerators = np.array([float(str(row["n"])) for row in found])
    denominators = np.array([float(str(row["d"])) for row in found])
    if isinstance(metric.cap, float):
        numerators = np.minimum(numerators, metric.cap)
    if not metric.kind.is_ratio:
        denominators = np.ones_like(numerators)
    days = metric.window.total_seconds() / 86_400
    return Baseline(numerators, denominators, len(found) / days)
