"""OpenFeature's `client.track()`: an event becomes a row of ``windsock.metric_events``."""

from datetime import UTC, datetime
from uuid import uuid4

from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from windsock.logs import get_logger
from windsock.usage.data import Event
from windsock.usage.request import current_request, environment, marked, track

log = get_logger("windsock.usage")

UNIT = "unit"
"""The attribute of the event or its context that contains an experiment's unit, if it isn't a user."""


def track_event(name: str, context: EvaluationContext | None, details: TrackingEventDetails | None) -> None:
    """Record an event for the context's user. Never raises, so that an event can't break a request.

    Args:
        name: What happened, as named in the metric's source.
        context: The user. Its attributes aren't stored, except for `environment` and `unit`.
        details: The amount, and any further data.
    """
    try:
        track(_event(name, context or EvaluationContext(), details or TrackingEventDetails()))
    except Exception:
        log.exception("the event %r could not be recorded", name)


def _event(name: str, context: EvaluationContext, details: TrackingEventDetails) -> Event:
    request = current_request()
    attributes = dict(details.attributes)
    unit = attributes.pop(UNIT, context.attributes.get(UNIT))
    return Event(
        id=uuid4(),
        name=name,
        value=details.value,
        occurred_at=datetime.now(UTC),
        environment=str(context.attributes.get("environment") or environment()),
        user_id=context.targeting_key or None,
        request_id=None if request is None else request.request_id,
        unit=unit,
        attributes=marked(attributes),
    )
