"""Parses an evaluation context and a time as people write them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from windsock.errors import ConfigurationError


def context_of(pairs: Sequence[str], user: str | None, environment: str) -> Mapping[str, object]:
    """Read ``name=value`` pairs, or one JSON object.

    A value is JSON where it reads as JSON (``age=5``, ``beta=true``) and text otherwise (``zip='"0123"'``).

    Raises:
        ConfigurationError: A pair has no ``=``.
    """
    context: dict[str, object] = {"environment": environment}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if pair.lstrip().startswith("{"):
            context.update(_object(pair))
        elif not equals or not name:
            raise ConfigurationError(f"{pair!r} is not an attribute; write name=value, or a JSON object")
        else:
            context[name] = _value(value)
    if user is not None:
        context["targetingKey"] = user
    return context


def moment(text: str) -> datetime:
    """Read a time in ISO 8601, such as ``2026-11-21T09:00+01:00``; without an offset it is in UTC.

    Raises:
        ConfigurationError: It is not such a time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is not a time; write it as 2026-11-21T09:00Z or 2026-11-21T09:00+01:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _object(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"the context is not a JSON object: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError("the context must be a JSON object")
    return found
