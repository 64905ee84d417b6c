"""Prometheus: a service's metrics, collected on scrape."""

from collections.abc import Iterator

from windsock.contrib._measurements import METRICS, counting, measured
from windsock.errors import MissingExtraError

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry
except ImportError as missing:
    raise MissingExtraError("metrics for Prometheus", "mirror") from missing


def register(registry: CollectorRegistry = REGISTRY) -> None:
    """Add windsock's metrics to a registry: ``windsock_evaluations_total`` and others (docs/operations.md).

    Call it once, before or after `windsock.start`. Evaluations are counted by an OpenFeature hook, and with
    a hook every read passes the client's four stages.

    Args:
        registry: The registry; by default the process's.
    """
    registry.register(_Collector())


class _Collector(Collector):
    def __init__(self) -> None:
        self._counter = counting()

    def describe(self) -> Iterator[Metric]:
        """Return nothing; otherwise a registry would collect before the service has started."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The current metrics."""
        found = measured(self._counter)
        for name, metric in METRICS.items():
            values = found.get(name)
            if values:
                make = CounterMetricFamily if metric.grows else GaugeMetricFamily
                family = make(f"windsock_{name.replace('.', '_')}", metric.text, labels=list(values[0][0]))
                for labels, value in values:
                    family.add_metric(list(labels.values()), value)
                yield family
