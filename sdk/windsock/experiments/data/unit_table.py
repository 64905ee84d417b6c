"""One row per unit: exposures joined to outcomes after the first exposure; zero if there are none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from windsock.experiments.data.sources import Scope, in_utc, with_columns
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.metrics import Kind, Metric
from windsock.experiments.statistics.effects import Columns

_COLUMNS = (
    "experiment",
    "version",
    "environment",
    "unit",
    "arm",
    "allocation",
    "excluded",
    "key_fingerprint",
)


def columns_of(name: str, metric: Metric) -> Columns:
    """The columns that a metric has in the unit table."""
    before = metric.covariate > timedelta(0)
    ratio = metric.kind.is_ratio
    return Columns(
        f"n_{name}",
        f"d_{name}" if ratio else None,
        f"n0_{name}" if before else None,
        f"d0_{name}" if ratio and before else None,
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of an analysis.

    Attributes:
        now: Units exposed later are left out, and so are outcomes.
        until: Units first exposed after this are beyond the declared maximum.
    """

    now: datetime
    until: datetime | None = None


def exposures(warehouse: Warehouse, scope: Scope, version: int) -> ir.Table:
    """The exposures of one version in one environment, with the time in UTC."""
    table = with_columns(warehouse.table("windsock.exposures"), "exposures", *_COLUMNS)
    chosen = table.filter(
        table.experiment == scope.experiment.name,
        table.environment == scope.environment,
        table.version == version,
    )
    return chosen.mutate(
        unit=chosen.unit.cast("string"), first_exposed_at=in_utc(chosen, "first_exposed_at", "exposures")
    )


def units(chosen: ir.Table, *, split: bool = False) -> ir.Table:
    """Each unit once: its arm, whether it was in two, why it is excluded, and when it was first exposed.

    Args:
        chosen: From `exposures`.
        split: Also keep the attributes, as text.
    """
    attributes = {"attributes": chosen.attributes.cast("string").max()} if split else {}
    return chosen.group_by("unit").aggregate(
        arm=chosen.arm.min(),
        crossed=chosen.arm.min() != chosen.arm.max(),
        excluded=chosen.excluded.cast("string").max(),
        exposed_at=chosen.first_exposed_at.min(),
        **attributes,
    )


def analysed(every: ir.Table, moment: Moment) -> ir.Table:
    """The units that count: in one arm, not excluded, exposed by now and within the maximum."""
    kept = every.filter(~every.crossed, every.excluded.isnull(), every.exposed_at <= _at(moment.now))
    if moment.until is not None:
        kept = kept.filter(kept.exposed_at <= _at(moment.until))
    return kept.select("unit", "exposed_at", *grouping(kept))


def grouping(table: ir.Table) -> list[str]:
    """The columns that sums are grouped by: the arm, and the attributes if units are split by them."""
    return [name for name in ("arm", "attributes") if name in table.columns]


def _at(moment: datetime) -> ir.Value:
    return ibis.literal(moment, type="timestamp('UTC')")


def outcomes(kept: ir.Table, rows: ir.Table, metrics: Mapping[str, Metric], now: datetime) -> ir.Table:
    """The unit table of metrics with the same source and maturity: matured units, zero-filled.

    Args:
        kept: The units that count.
        rows: The source's rows, from `rows_of`.
        metrics: Metrics of one source with the same delay + window.
        now: The time of the analysis.
    """
    first = next(iter(metrics.values()))
    horizon = first.delay + first.window
    back = max(metric.covariate for metric in metrics.values())
    matured = kept.filter(kept.exposed_at <= _at(now - horizon))
    joined = matured.join(rows, matured.unit == rows.unit, rname="row_{name}")
    near = joined.filter(
        joined.at >= joined.exposed_at - _interval(back), joined.at < joined.exposed_at + _interval(horizon)
    )
    sums = {key: value for name, metric in metrics.items() for key, value in _per_unit(near, name, metric)}
    summed = near.group_by("unit").aggregate(**sums)
    table = matured.left_join(summed, "unit")
    return table.select("unit", *grouping(table), **{key: table[key].fill_null(0.0) for key in sums})


def _interval(length: timedelta) -> ir.Value:
    return ibis.interval(seconds=round(length.total_seconds()))


def _per_unit(near: ir.Table, name: str, metric: Metric) -> Iterator[tuple[str, ir.Value]]:
    """A unit's sums, after and before the exposure."""
    start = near.exposed_at + _interval(metric.delay) if metric.delay else near.exposed_at
    periods = {"": near.at >= start}
    if metric.covariate > timedelta(0):
        since = near.exposed_at - _interval(metric.covariate)
        periods["0"] = (near.at < near.exposed_at) & (near.at >= since)
    value, per = near[f"value_{name}"], near[f"per_{name}"]
    for suffix, period in periods.items():
        if metric.kind is Kind.PROPORTION:
            yield f"n{suffix}_{name}", (value != 0).ifelse(1.0, 0.0).max(where=period)
        elif metric.kind is Kind.COUNT:
            yield f"n{suffix}_{name}", per.sum(where=period)
        else:
            yield f"n{suffix}_{name}", value.sum(where=period)
        if metric.kind.is_ratio:
            yield f"d{suffix}_{name}", per.sum(where=period)
    yield f"seen_{name}", value.count(where=periods[""]).cast("float64")


def capped(table: ir.Table, caps: Mapping[str, float]) -> ir.Table:
    """The unit table with each capped metric's numerators capped, both before and after the exposure."""
    cut = {
        column: ibis.least(table[column], ibis.literal(cap))
        for name, cap in caps.items()
        for column in (f"n_{name}", f"n0_{name}")
        if column in table.columns
    }
    return table.mutate(**cut) if cut else table


def pairs(columns: Columns) -> list[tuple[str, str]]:
    """The products that a metric's variances and covariances need."""
    names = columns.names
    return [(names[i], names[j]) for i in range(len(names)) for j in range(i, len(names))]


def sums(table: ir.Table, columns: Sequence[Columns], shifts: Mapping[str, float]) -> ir.Table:
    """One row per arm, or per arm and attributes: the number of units, and the sums for the moments."""
    wanted: dict[str, ir.Value] = {"units": table.unit.count()}

    def shifted(name: str) -> ir.Value:
        return table[name] - shifts[name] if shifts.get(name) else table[name]

    for metric in columns:
        name = metric.numerator.partition("_")[2]
        wanted[f"events_{name}"] = (table[metric.numerator] != 0).ifelse(1, 0).sum()
        wanted[f"seen_{name}"] = table[f"seen_{name}"].sum()
        for column in metric.names:
            wanted[f"s__{column}"] = shifted(column).sum()
        for one, other in pairs(metric):
            wanted[f"p__{one}__{other}"] = (shifted(one) * shifted(other)).sum()
    return table.group_by(*grouping(table)).aggregate(**wanted)
