"""Where the data ends: a folder that was exported days ago has no rows since, and its zeros mean nothing."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import ibis
import ibis.expr.types as ir

from windsock.errors import ConfigurationError
from windsock.experiments.data.sources import Scope, in_utc, rows_of
from windsock.experiments.data.warehouse import Warehouse, utc
from windsock.experiments.metrics import EventSource, Metric, SqlSource, TableSource

_TIMES: Final = {
    "windsock.exposures": "first_exposed_at",
    "public.usage_logs": "requested_at",
    "windsock.metric_events": "occurred_at",
}
_INDEXED: Final = ("public.usage_logs", "windsock.metric_events")
"""Tables of a database whose newest row is found without reading them."""

_QUIET: Final = timedelta(days=1)


def newest(
    warehouse: Warehouse, scope: Scope, metrics: Mapping[str, Metric], clock: datetime
) -> dict[str, datetime]:
    """The newest row of windsock's tables and of each metric's own source; empty for a live database.

    Args:
        warehouse: Where the tables are.
        scope: The experiment and the environment.
        metrics: The metrics.
        clock: The time now; later rows are due to a wrong clock and don't count.

    Raises:
        ConfigurationError: A metric's source can't be read.
    """
    if warehouse.connection is not None:
        return {}
    limit = ibis.literal(clock, type="timestamp('UTC')")
    found = {}
    for name, where, times in _times(warehouse, scope, metrics):
        rows = warehouse.rows(times.filter(times.at <= limit).aggregate(newest=times.at.max()), where)
        if rows[0]["newest"] is not None:
            found[name] = utc(rows[0]["newest"])
    return found


def quiet_since(warehouse: Warehouse, at: datetime) -> datetime | None:
    """The newest row of a database, if it is more than a day before the analysis: it may be a restored copy.

    Args:
        warehouse: Where the tables are; None is returned for data that isn't a live database.
        at: The time of the analysis; later rows don't count.
    """
    if warehouse.connection is None:
        return None
    found = []
    for name in _INDEXED:
        table, column = warehouse.find(name), _TIMES[name]
        if table is None or column not in table.columns:
            continue
        earlier = table.filter(table[column] <= ibis.literal(at, type="timestamp('UTC')"))
        with contextlib.suppress(ConfigurationError):  # a table that this user may not read tells nothing
            (row,) = warehouse.rows(earlier.aggregate(newest=earlier[column].max()), name)
            found += [utc(row["newest"])] if row["newest"] is not None else []
    last = max(found, default=at)
    return last if last < at - _QUIET else None


def _times(
    warehouse: Warehouse, scope: Scope, metrics: Mapping[str, Metric]
) -> Iterator[tuple[str, str, ir.Table]]:
    """Each source: how an error message about it begins, and its times in a column `at`."""
    for name, column in _TIMES.items():
        table = warehouse.find(name)
        if table is not None:
            with contextlib.suppress(ConfigurationError):  # reported where a metric needs it
                yield name.rpartition(".")[2], name, table.select(at=in_utc(table, column, name))
    for name, metric in metrics.items():
        if isinstance(metric.source, TableSource | SqlSource):
            yield name, scope.where(name), rows_of(warehouse, scope, {name: metric}).select("at")


def source_name(name: str, metric: Metric) -> str:
    """How `newest` names the source of a metric.

    Args:
        name: The metric.
        metric: Its declaration.
    """
    if metric.source == "requests":
        return "usage_logs"
    return "metric_events" if isinstance(metric.source, EventSource) else name
