"""A mirror's metrics in the Prometheus text format."""

from collections.abc import Iterator

from windsock.errors import MissingExtraError
from windsock.mirror.health import Status

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as missing:
    raise MissingExtraError("the mirror's metrics", "mirror") from missing


def metrics(status: Status) -> bytes:
    """Write the status for one scrape."""
    registry = CollectorRegistry()
    registry.register(_Collector(status))
    return generate_latest(registry)


class _Collector(Collector):
    """Metric families without a creation time: the status has none, and the scrape's would be false."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """The current metrics."""
        status = self._status
        for name, value, text in (
            ("leading", status.leading, "1 while this mirror publishes, 0 while it stands by"),
            ("ready", status.is_ready, "1 while the documents are right"),
            ("lag_seconds", status.age, "Seconds since the documents were last known to be right"),
            ("last_success_timestamp_seconds", status.last_success, "The time of that"),
            ("assignments", status.assigned, "Users with a profile"),
            ("lag_transactions", status.transactions_waiting, "Transactions read and not published yet"),
        ):
            yield GaugeMetricFamily(f"windsock_mirror_{name}", text, value=value)
        for name, value, text in (
            ("changes", status.changes, "Changed rows followed one by one"),
            ("files_written", status.files_written, "Documents written"),
            ("bytes_written", status.bytes_written, "Bytes of documents written"),
            ("failures", status.failures, "Attempts to publish that failed"),
            ("guard_stops", status.guard_stops, "Attempts to publish that a guard stopped"),
        ):
            yield CounterMetricFamily(f"windsock_mirror_{name}", text, value=value)
