"""Describes the latency of each arm's requests by a quantile, without an interval or a test."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir

from windsock.experiments.data.sources import Scope, rows_of
from windsock.experiments.data.warehouse import Warehouse
from windsock.experiments.metrics import BUILT_IN, Metric

QUANTILE: Final = 0.95
_LATENCY: Final = "latency_ms"


def is_described(metrics: Mapping[str, Metric]) -> bool:
    """Whether a metric is made of the latency of requests."""
    return any(each.source == "requests" and each.value == _LATENCY for each in metrics.values())


def slow_requests(warehouse: Warehouse, scope: Scope, kept: ir.Table, now: datetime) -> ir.Table:
    """The least latency that 95 % of each arm's requests don't exceed, in milliseconds, as `arm` and `slow`.

    Args:
        warehouse: Where the tables are.
        scope: The experiment and the environment.
        kept: The units that count.
        now: The time of the analysis.
    """
    latency = BUILT_IN[_LATENCY]
    rows = rows_of(warehouse, scope, {_LATENCY: latency})
    joined = kept.join(rows, kept.unit == rows.unit, rname="row_{name}")
    window = ibis.interval(seconds=round(latency.window.total_seconds()))
    after = joined.filter(
        joined.at >= joined.exposed_at,
        joined.at < joined.exposed_at + window,
        joined.at <= ibis.literal(now, type="timestamp('UTC')"),
    )
    latencies = after.select("arm", slow=after[f"value_{_LATENCY}"]).drop_null("slow")
    # by rank, because not every warehouse has quantiles
    ranked = latencies.mutate(
        rank=ibis.row_number().over(group_by="arm", order_by="slow") + 1,
        requests=latencies.slow.count().over(group_by="arm"),
    )
    return (
        ranked.filter(ranked.rank >= QUANTILE * ranked.requests)
        .group_by("arm")
        .aggregate(slow=ranked.slow.min())
    )
