"""Says why a metric has no row: the name of its event or flag is unknown, or its source is empty."""

from collections.abc import Iterator, Mapping
from typing import Final

from windsock.experiments.data.segment_sums import ArmSums
from windsock.experiments.data.sources import Scope, rows_of
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.metrics import EventSource, Metric
from windsock.text import did_you_mean, short

_NAMES: Final = 1_000
"""Names that are read to find the nearest one."""


def unseen(
    warehouse: Warehouse,
    scope: Scope,
    metrics: Mapping[str, Metric],
    sums: Mapping[str, Mapping[str, ArmSums]],
) -> Iterator[tuple[str, str]]:
    """Each metric of which no unit has an event because its source has no row, and why.

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
    """That no row has a name in the environment, and the nearest name that some row has."""
    table, column = warehouse.table(place[0]), place[1]
    pairs = table.select(name=table[column].cast("string"), environment=table.environment.cast("string"))
    found = warehouse.rows(pairs.distinct().order_by("name", "environment").limit(_NAMES), place[0])
    what = "event" if column == "name" else "request of the flag"
    told = f"there is no {what} {short(wanted)} in {scope.environment}"
    elsewhere = [str(row["environment"]) for row in found if row["name"] == wanted]
    if elsewhere and scope.environment not in elsewhere:
        return f"{told}, only in {', '.join(elsewhere[:3])}"
    known = {str(row["name"]) for row in found if row["environment"] == scope.environment and row["name"]}
    return f"{told}{did_you_mean(wanted, sorted(known - {wanted}))}"
