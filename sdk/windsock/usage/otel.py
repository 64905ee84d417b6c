"""The OpenTelemetry sink: one event per record, following the feature-flag semantic conventions.

Attributes follow https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/; attributes
that the conventions don't cover are prefixed with ``windsock.``.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from windsock.errors import MissingExtraError
from windsock.usage.experiment_records import EventRecord, ExposureRecord
from windsock.usage.record import UsageRecord
from windsock.usage.request import EVALUATION

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context

EVENT = "feature_flag.evaluation"
EVALUATION_RESULT = "gen_ai.evaluation.result"
"""https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/"""
TRACKED = "windsock.metric_event"

AttributeValue: TypeAlias = str | int | float

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
        provider: The logger provider; by default the process's own.

    Raises:
        MissingExtraError: The OpenTelemetry API isn't installed.
    """

    def __init__(self, provider: "LoggerProvider | None" = None) -> None:
        try:
            from opentelemetry import _logs, trace  # noqa: PLC0415 - an extra
        except ImportError as missing:
            raise MissingExtraError("usage events for OpenTelemetry", "otel") from missing
        self._logs, self._trace = _logs, trace
        self._logger = _logs.get_logger("windsock.usage", logger_provider=provider)

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Emit the rows; the SDK behind the API batches and exports them."""
        for row in rows:
            self._emit(EVENT, row.requested_at, attributes(row), row.trace_id)

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Do nothing: an exposure's evaluation event already names the experiment and the arm."""

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Emit ratings as `gen_ai.evaluation.result`, and other events under our own name."""
        for row in rows:
            attributes = json.loads(row.attributes_json)
            rating = bool(attributes.pop(EVALUATION, False))
            name = EVALUATION_RESULT if rating else TRACKED
            self._emit(name, row.occurred_at, _of_event(row, attributes, rating=rating))

    def _emit(
        self, name: str, at: datetime, attributes: dict[str, AttributeValue], trace_id: str | None = None
    ) -> None:
        self._logger.emit(
            self._logs.LogRecord(
                timestamp=int(at.timestamp() * 1e9),
                context=None if trace_id is None else self._of_trace(trace_id),
                severity_number=self._logs.SeverityNumber.INFO,
                event_name=name,
                attributes=attributes,
            )
        )

    def _of_trace(self, trace_id: str) -> "Context":
        """The context of the request's trace, because another thread emits the event later."""
        span = self._trace.SpanContext(int(trace_id, 16), self._trace.INVALID_SPAN_ID, is_remote=False)
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(span))


def _of_event(
    row: EventRecord, attributes: Mapping[str, object], *, rating: bool
) -> dict[str, AttributeValue]:
    """An event's attributes. For a rating, the conventions cover `label` and `explanation`."""
    head = "gen_ai.evaluation." if rating else "windsock.event."
    known = ("label", "explanation") if rating else ()
    found = {
        f"{head}name": row.name,
        f"{head}score.value" if rating else f"{head}value": row.value,
        **{
            f"{head}score.label" if name == "label" else f"{head}{name}": attributes.get(name)
            for name in known
        },
        "feature_flag.context.id": row.user_id,
        "deployment.environment.name": row.environment,
        "windsock.unit": row.unit,
        "windsock.request_id": row.request_id,
        "windsock.record_id": str(row.id),
        **{f"windsock.event.{name}": str(value) for name, value in attributes.items() if name not in known},
    }
    return {name: value for name, value in found.items() if isinstance(value, str | int | float)}


def attributes(row: UsageRecord) -> dict[str, AttributeValue]:
    """A record's attributes, without unknown ones."""
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
        "error.type": _error_type(row),
        "feature_flag.error.message": _error_message(row),
        "windsock.request.error": row.error_class,
        "gen_ai.response.model": row.answered_model,
        "windsock.healed": None if row.healed_json == "[]" else row.healed_json,
        "windsock.record_id": str(row.id),
    }
    return {name: value for name, value in found.items() if value is not None}


def _error_type(row: UsageRecord) -> str | None:
    """OpenFeature's error code in lower case, as the conventions require; our own name for healed values."""
    if row.evaluation_error is not None:
        return row.evaluation_error.partition(":")[0].lower()
    return "windsock.healed" if row.healed else None


def _error_message(row: UsageRecord) -> str | None:
    """The evaluation error, and the values that failed in use, with their errors."""
    messages = [] if row.evaluation_error is None else [row.evaluation_error.partition(": ")[2]]
    messages += [f"{each['field']}={each['failed_value']}: {each['error']}" for each in row.healed]
    return "; ".join(messages) or None
