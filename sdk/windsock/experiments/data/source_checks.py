"""Asks the place where the data is whether every metric can be computed, before an analysis needs to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import ibis.expr.types as ir

from windsock.errors import ConfigurationError
from windsock.experiments.data.sources import Scope, rows_of, time_without_zone
from windsock.experiments.data.unit_table import exposures
from windsock.experiments.data.unseen import why_unseen
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.documents import Experiment
from windsock.experiments.metrics import Metric
from windsock.experiments.reading import DeclaredExperiment, DeclaredMetrics

_SAMPLE: Final = 5
_SHAPES: Final = {
    "whole numbers": re.compile(r"-?\d{1,19}"),
    "UUIDs": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "UUIDs in capitals": re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
    "hashes": re.compile(r"hmac:[0-9a-f]{32}"),
}


@dataclass(frozen=True, slots=True)
class SourceFinding:
    """What is wrong with a metric's source, or worth knowing.

    Attributes:
        text: File and line, the metric, what is wrong, and what to do.
        is_fault: Whether the analysis fails, or would join nothing.
    """

    text: str
    is_fault: bool = True


def check_sources(
    warehouse: Warehouse, declared: DeclaredExperiment, environment: str
) -> Iterator[SourceFinding]:
    """Run the source of each metric as the analysis does, without its rows.

    Args:
        warehouse: Where the tables are.
        declared: The experiment and its metrics.
        environment: The environment whose exposures and outcomes count.

    Raises:
        UnreachableError: The connection was lost.
    """
    scope = Scope(declared.experiment, environment, declared.places)
    exposed: list[str] = []
    try:
        exposed = _sample(warehouse, exposures(warehouse, scope, declared.experiment.version), "exposures")
    except ConfigurationError as error:
        yield SourceFinding(str(error))
    yield from _each(warehouse, scope, declared.metrics, exposed)


def check_unused(
    warehouse: Warehouse, unused: DeclaredMetrics, experiment: Experiment, environment: str
) -> Iterator[SourceFinding]:
    """Run the sources of declared metrics that no experiment names yet, as an experiment on users would.

    Args:
        warehouse: Where the tables are.
        unused: The metrics.
        experiment: Any experiment; its flag is taken for metrics of requests.
        environment: The environment whose outcomes count.

    Raises:
        UnreachableError: The connection was lost.
    """
    scope = Scope(experiment.model_copy(update={"unit": "user"}), environment, unused.places)
    yield from _each(warehouse, scope, unused.metrics, [])


def _each(
    warehouse: Warehouse, scope: Scope, metrics: Mapping[str, Metric], exposed: list[str]
) -> Iterator[SourceFinding]:
    for name, metric in metrics.items():
        try:
            yield from _check(warehouse, scope, name, metric, exposed)
        except ConfigurationError as error:
            yield SourceFinding(str(error))


def _check(
    warehouse: Warehouse, scope: Scope, name: str, metric: Metric, exposed: list[str]
) -> Iterator[SourceFinding]:
    where = scope.where(name)
    rows = rows_of(warehouse, scope, {name: metric})
    warehouse.rows(rows.limit(0), where)
    sample = _sample(warehouse, rows, where)
    if not sample and (why := why_unseen(warehouse, scope, name, metric)):
        yield SourceFinding(f"{where}: {why}", is_fault=False)
    ours, theirs = _shapes(exposed), _shapes(sample)
    if ours and theirs and not ours & theirs:
        yield SourceFinding(
            f"{where}: its units are {_listed(theirs)}, but the exposed ones are {_listed(ours)}, so nothing "
            "joins; give the unit as the application passes it to for_user"
            + (", hashed with `windsock usage hash`" if "hashes" in ours else "")
        )
    if column := time_without_zone(warehouse, scope, name, metric):
        yield SourceFinding(
            f"{where}: the column {column!r} has no time zone and is read as UTC; if it is another zone's, "
            "convert it in a SELECT: paid_at at time zone 'Europe/Paris' as at",
            is_fault=False,
        )


def _sample(warehouse: Warehouse, table: ir.Table, where: str) -> list[str]:
    """A few units, to see what ids look like; they are never printed."""
    found = warehouse.rows(table.filter(table.unit.notnull()).select("unit").limit(_SAMPLE), where)
    return [str(row["unit"]) for row in found]


def _shapes(units: list[str]) -> set[str]:
    return {
        next((shape for shape, pattern in _SHAPES.items() if pattern.fullmatch(unit)), "other text")
        for unit in units
    }


def _listed(shapes: set[str]) -> str:
    return " and ".join(sorted(shapes))
