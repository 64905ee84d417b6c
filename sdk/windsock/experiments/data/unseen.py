"""Says why a metric has no row: the name of its event or flag is unknown, or its source is empty."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

from windsock.errors import ConfigurationError
from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.data.sources import Scope, rows_of
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.metrics import EventSource, Metric
from windsock.text import did_you_mean, short

_NAMES: Final = 1_000
"""Names that are read to find the nearest one."""

_SECONDS: Final = 10
"""How long each query of a hint may take."""


def unseen(
    warehouse: Warehouse,
    scope: Scope,
    metrics: Mapping[str, Metric],
    sums: Mapping[str, Mapping[str, ArmSums]],
) -> Iterator[tuple[str, str]]:
    """Metrics without events because their source is empty, with the reason.

    Args:
        warehouse: Where the tables are.
        scope: The experiment and the environment.
        metrics: The metrics.
        sums: What was found of them, by metric and arm.

    Raises:
        ConfigurationError: A source can't be read.
    """
    for name, arms in sums.items():
        found = not arms or any(each.seen for each in arms.values())
        if not found and (why := why_unseen(warehouse, scope, name, metrics[name])):
            yield name, why


def why_unseen(warehouse: Warehouse, scope: Scope, name: str, metric: Metric) -> str:
    """Why a metric's source has no row in the environment; empty if it has one.

    Args:
        warehouse: Where the tables are.
        scope: The experiment and the environment.
        name: The metric.
        metric: Its declaration.

    Raises:
        ConfigurationError: The source can't be read.
    """
    where = scope.where(name)
    if warehouse.rows(rows_of(warehouse, scope, {name: metric}).select("unit").limit(1), where):
        return ""
    if isinstance(metric.source, EventSource):
        return _unknown(warehouse, scope, ("windsock.metric_events", "name"), metric.source.event)
    if metric.source == "requests":
        return _unknown(warehouse, scope, ("public.usage_logs", "flag"), scope.experiment.flag)
    return "its source has no row"


def _unknown(warehouse: Warehouse, scope: Scope, place: tuple[str, str], wanted: str) -> str:
    """Say that no row has this name, and suggest the nearest."""
    what = "event" if place[1] == "name" else "request of the flag"
    message = f"there is no {what} {short(wanted)} in {scope.environment}"
    with contextlib.suppress(ConfigurationError), warehouse.at_most(_SECONDS) as quick:
        return message + _hint(quick, scope, place, wanted)
    return message  # a hint that takes too long, or is refused, isn't worth an analysis


def _hint(warehouse: Warehouse, scope: Scope, place: tuple[str, str], wanted: str) -> str:
    """In which other environments the name is; if in none, the nearest name of this one."""
    table, column = warehouse.table(place[0]), place[1]
    pairs = table.select(name=table[column].cast("string"), environment=table.environment.cast("string"))
    same = pairs.filter(pairs.name == wanted).select("environment").distinct().order_by("environment")
    elsewhere = [str(row["environment"]) for row in warehouse.rows(same.limit(_NAMES), place[0])]
    if elsewhere and scope.environment not in elsewhere:
        return f", only in {', '.join(elsewhere[:3])}"
    here = pairs.filter(pairs.environment == scope.environment, pairs.name != wanted)
    names = here.select("name").distinct().order_by("name").limit(_NAMES)
    return did_you_mean(wanted, [str(row["name"]) for row in warehouse.rows(names, place[0])])
