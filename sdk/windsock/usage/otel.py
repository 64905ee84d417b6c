"""The OpenTelemetry sink: an event for each record, by the feature-flag semantic conventions.

Attributes are those of https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/; what
the conventions have no name for stands below ``windsock.``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from windsock.errors import MissingExtraError
from windsock.usage.record import UsageRecord

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

EVENT = "feature_flag.evaluation"

_REASONS = {
    "STATIC": "static",
    "DEFAULT": "default",
    "TARGETING_MATCH": "targeting_match",
    "SPLIT": "split",
    "CACHED": "cached",
    "DISABLED": "disabled",
    "STALE": "stale",
    "ERROR": "error",
}


class OpenTelemetrySink:
    """Emits records as events through OpenTelemetry's logs; put `ExposureSink` before it for exposures.

    Args:
        provider: Where the events go; by default the process's own logger provider.

    Raises:
        MissingExtraError: The OpenTelemetry API is not installed.
    """

    def __init__(self, provider: "LoggerProvider | None" = None) -> None:
        try:
            from opentelemetry import _logs  # noqa: PLC0415 - an extra
        except ImportError as missing:
            raise MissingExtraError("usage events for OpenTelemetry", "otel") from missing
        self._logs = _logs
        self._logger = _logs.get_logger("windsock.usage", logger_provider=provider)

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Emit the rows; the SDK behind the API batches and exports them."""
        for row in rows:
            self._logger.emit(
                self._logs.LogRecord(
                    timestamp=int(row.requested_at.timestamp() * 1e9),
                    severity_number=self._logs.SeverityNumber.INFO,
                    event_name=EVENT,
                    attributes=attributes(row),
                )
            )


def attributes(row: UsageRecord) -> dict[str, str]:
    """Give a record's attributes; what it does not know is left out."""
    found = {
        "feature_flag.key": row.flag,
        "feature_flag.result.variant": row.variant,
        "feature_flag.result.reason": _REASONS.get((row.reason or "").upper(), "unknown"),
        "feature_flag.result.value": row.values_json,
        "feature_flag.context.id": row.user_id,
        "feature_flag.version": row.revision,
        "feature_flag.provider.name": "windsock",
        "deployment.environment.name": row.environment,
        "windsock.config_id": None if row.config_id is None else str(row.config_id),
        "windsock.experiment": row.experiment,
        "windsock.arm": row.arm,
        "windsock.request_id": row.request_id,
        "windsock.healed": None if row.healed_json == "[]" else row.healed_json,
        "windsock.trace_id": row.trace_id,  # the event itself is emitted after the span, by another thread
        "windsock.record_id": str(row.id),
    }
    return {name: value for name, value in found.items() if value is not None}
