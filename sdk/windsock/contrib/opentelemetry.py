"""OpenTelemetry: a service's metrics, observed on export."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from windsock.contrib._measurements import METRICS, EvaluationCounter, counting, measured
from windsock.errors import MissingExtraError

try:
    from opentelemetry import metrics
    from opentelemetry.metrics import CallbackOptions, Observation
except ImportError as missing:
    raise MissingExtraError("metrics for OpenTelemetry", "otel") from missing

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider


def instrument(provider: "MeterProvider | None" = None) -> None:
    """Create windsock's instruments: ``windsock.evaluations`` and the others in docs/operations.md.

    Call it once, before or after `windsock.start`. Evaluations are counted by an OpenFeature hook, and with
    a hook every read passes the client's four stages.

    Args:
        provider: The meter provider; by default the process's own.
    """
    meter = metrics.get_meter("windsock", meter_provider=provider)
    counter = counting()
    for name, metric in METRICS.items():
        create = meter.create_observable_counter if metric.grows else meter.create_observable_gauge
        unit = "s" if name.endswith(".seconds") else "1"
        shown = f"windsock.{name.removesuffix('.seconds')}"
        create(shown, [_Observed(name, counter)], unit=unit, description=metric.text)


class _Observed:
    """The values of one metric."""

    def __init__(self, name: str, counter: EvaluationCounter) -> None:
        self._name = name
        self._counter = counter

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG002 - a callback's
        """The values now."""
        values = measured(self._counter).get(self._name, [])
        return [Observation(value, dict(labels)) for labels, value in values]
