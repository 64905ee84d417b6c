"""Reads what units did before the experiment, to compute power."""

from dataclasses import dataclass
from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from windsock.errors import ConfigurationError
from windsock.experiments.data.sources import Scope, requested_units, rows_of
from windsock.experiments.data.warehouse import Row, Warehouse
from windsock.experiments.metrics import Kind, Metric
from windsock.experiments.quantities import duration_words
from windsock.text import count

MAX_UNITS = 200_000
"""Maximum number of units read."""

_FEWEST = 2
"""Units with a row from which a deviation can be computed."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Units of the metric's last window.

    Attributes:
        numerators: One value per unit.
        denominators: One value per unit; all ones if the metric isn't a ratio.
        units_per_day: New units a day, estimated from the number of distinct ones.
        with_rows: Units that had a row of the metric.
        everybody: Whether units without a row are among them, as zeros.
    """

    numerators: npt.NDArray[np.float64]
    denominators: npt.NDArray[np.float64]
    units_per_day: float
    with_rows: int
    everybody: bool

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
    """Read the metric's values in the last window, of every unit that the experiment would expose.

    Those are the units with a request of its flag; one without a row of the metric counts as zero, as in the
    analysis. Where requests are not known, or fewer than two of their units have a row (as with a new flag),
    only units with a row are read, and `Baseline.everybody` says so.

    Raises:
        ConfigurationError: Fewer than two units had a row.
    """
    end = now or datetime.now(UTC)
    summed = _summed(_recent(rows_of(warehouse, scope, {name: metric}), metric, end), name, metric)
    found: list[Row] = []
    everybody = False
    if metric.source != "requests" and (requests := requested_units(warehouse, scope)) is not None:
        recent = _recent(requests, metric, end)
        units = recent.filter(recent.unit.notnull()).select("unit").distinct()
        found = _read(warehouse, units.left_join(summed, "unit"), scope.where(name))
        everybody = _with_rows(found) >= _FEWEST
    if not everybody:
        found = _read(warehouse, summed, scope.where(name))
    with_rows = _with_rows(found)
    if with_rows < _FEWEST:
        window = duration_words(metric.window)
        raise ConfigurationError(
            f"{scope.where(name)}: {count(with_rows, 'unit')} had a row in the last {window}; "
            "power needs past data, or an assumed mean and standard deviation (--mean and --deviation)"
        )
    numerators = np.array([float(str(row["n"])) for row in found])
    denominators = np.array([float(str(row["d"])) for row in found])
    if isinstance(metric.cap, float):
        numerators = np.minimum(numerators, metric.cap)
    if not metric.kind.is_ratio:
        denominators = np.ones_like(numerators)
    days = metric.window.total_seconds() / 86_400
    everybody |= metric.source == "requests"
    return Baseline(numerators, denominators, len(found) / days, with_rows, everybody)


def _with_rows(found: list[Row]) -> int:
    return sum(int(str(row["rows"])) > 0 for row in found)


def _read(warehouse: Warehouse, summed: ir.Table, where: str) -> list[Row]:
    """Each unit's sums; zero if it has no row."""
    columns = {name: summed[name].fill_null(0) for name in ("n", "d", "rows")}
    return warehouse.rows(summed.select(**columns).limit(MAX_UNITS), where)


def _recent(rows: ir.Table, metric: Metric, end: datetime) -> ir.Table:
    """The rows of the metric's last window."""
    since = ibis.literal(end - metric.window, type="timestamp('UTC')")
    return rows.filter(rows.at >= since, rows.at < ibis.literal(end, type="timestamp('UTC')"))


def _summed(recent: ir.Table, name: str, metric: Metric) -> ir.Table:
    """One row for each unit: numerator, denominator and the number of rows."""
    value, per = recent[f"value_{name}"], recent[f"per_{name}"]
    if metric.kind is Kind.PROPORTION:
        value = (value != 0).ifelse(1.0, 0.0)
    numerator = value.max() if metric.kind is Kind.PROPORTION else value.sum()
    return recent.group_by("unit").aggregate(
        n=numerator.fill_null(0.0), d=per.sum().fill_null(0.0), rows=recent.count()
    )
