"""Make rows that a database accepts: no NUL, no lone surrogates, no NaN, nothing huge."""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from uuid import UUID

from windsock.text import UNSTORABLE, bounded, printable
from windsock.usage.data import (
    MAX_TEXT,
    Arm,
    Event,
    Healed,
    Measured,
    Pending,
    Use,
    key_fingerprint,
    stored_user_id,
)
from windsock.usage.experiment_records import EventRecord, ExposureRecord
from windsock.usage.record import UsageRecord

MAX_ERROR = 2_000
"""Characters kept of an exception message."""
MAX_FIELD = 4_096
"""Characters of JSON kept of a field's value; longer values are truncated."""
MAX_FIELDS = 200
"""Fields, and healed fields, kept of one use."""
_MAX_DEPTH = 20
_MAX_ITEMS = 1_000
_MAX_BIGINT = 2**63 - 1
_MAX_COST = Decimal("1e30")
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def clean(pending: Pending, user_id_key: bytes | None = None) -> UsageRecord:
    """Make the row for a use. Never raises: data that can't be kept is replaced with text that says so.

    Args:
        pending: The data recorded by the request.
        user_id_key: If given, the row contains the user id's keyed hash instead of the id.
    """
    user_id = _id(pending.use.user_id, user_id_key)
    try:
        return _clean(pending, user_id)
    except BaseException as error:  # noqa: BLE001 - a use that is no `Use` still leaves a row
        values = {"windsock_unreadable": printable(error, MAX_ERROR)}
        bare = pending.use._replace(values=values, healed=())
        return _clean(pending._replace(use=bare, measured=Measured()), user_id)


def clean_exposure(pending: Pending, key: bytes | None = None) -> ExposureRecord | None:
    """Make the exposure for a use; None if it wasn't one or the unit is unknown. Never raises.

    Args:
        pending: The data recorded by the request.
        key: If given, the exposure contains the unit's keyed hash instead of the unit, unless it's a request.
    """
    use, arm = pending.use, pending.use.exposed_to
    if arm is None:
        return None
    hashed = key is not None and arm.unit != "request"
    unit = _id(_unit(use, arm, pending.measured.request_id), key if hashed else None)
    if unit is None:
        return None
    segments = {name: use.attributes[name] for name in arm.segments if name in use.attributes}
    return ExposureRecord(
        experiment=_text(arm.experiment) or "",
        version=arm.version,
        environment=_text(use.environment) or "",
        unit=unit,
        arm=_text(arm.name) or "",
        first_exposed_at=pending.requested_at,
        allocation=arm.allocation,
        flag=_text(arm.flag),
        revision=_text(use.revision),
        reason=_text(arm.reason),
        key_fingerprint=key_fingerprint(key) if hashed and key is not None else None,
        attributes_json=_values(segments),
        excluded=arm.excluded,
    )


def clean_event(event: Event, key: bytes | None = None) -> EventRecord:
    """Make the row for an event. Never raises.

    Args:
        event: The reported event.
        key: If given, the row contains the keyed hashes of its user and its unit.
    """
    return EventRecord(
        id=event.id,
        name=_text(event.name) or "",
        unit=_id(event.unit, key),
        user_id=_id(event.user_id, key),
        value=_number(event.value),
        occurred_at=event.occurred_at,
        environment=_text(event.environment) or "",
        request_id=_text(event.request_id),
        attributes_json=_values(event.attributes),
    )


def _unit(use: Use, arm: Arm, request_id: str | None) -> object:
    if arm.unit == "user":
        return use.user_id
    return (
        use.attributes.get("request_id", request_id)
        if arm.unit == "request"
        else use.attributes.get(arm.unit)
    )


def _id(given: object, key: bytes | None) -> str | None:
    """An id of a user or a unit as it's stored: any object has a text. None for None and empty text."""
    if given is None:
        return None
    text = str.__str__(given) if issubclass(type(given), str) else printable(given, MAX_FIELD)
    return stored_user_id(text, key) if text else None


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, (int, float, Decimal)) else math.nan
    except BaseException:  # noqa: BLE001 - as above, and an integer may be too large
        return None
    return number if math.isfinite(number) else None


def _clean(pending: Pending, user_id: str | None) -> UsageRecord:
    use, measured = pending.use, pending.measured
    return UsageRecord(
        id=pending.id,
        requested_at=pending.requested_at,
        user_id=user_id,
        request_id=_text(measured.request_id),
        environment=_text(use.environment) or "",
        flag=_text(use.flag) or "",
        variant=_text(use.variant),
        config_id=_uuid(use.config_id),
        revision=_text(use.revision),
        reason=_text(use.reason),
        values_json=_values(use.values),
        healed_json=_healed(use.healed),
        latency_ms=_milliseconds(measured.latency),
        input_tokens=_count(measured.input_tokens),
        output_tokens=_count(measured.output_tokens),
        cost=_cost(measured.cost),
        trace_id=_text(measured.trace_id),
        experiment=_text(use.experiment),
        arm=_text(use.arm),
        status=measured.status,
        error_class=_text(measured.error_class),
        answered_model=_text(measured.answered_model),
        first_item_ms=_milliseconds(measured.first_item),
        evaluation_error=None if use.evaluation_error is None else printable(use.evaluation_error, MAX_ERROR),
    )


def _values(values: Mapping[str, object]) -> str:
    try:
        whole = _ENCODER.encode(values)
    except BaseException:  # noqa: BLE001 - besides json's own errors, a mapping of the caller's may raise anything
        whole = ""
    # json.dumps writes NUL as `\u0000`; text that merely looks like that continues below too.
    if 2 <= len(whole) <= MAX_FIELD and "\\u0000" not in whole and _is_storable(whole):
        return whole
    try:
        first = islice(values.items(), MAX_FIELDS)
        kept: dict[str, object] = {printable(name, MAX_TEXT): _field(value) for name, value in first}
    except BaseException as error:  # noqa: BLE001 - as above
        kept = {"windsock_unreadable": printable(error, MAX_ERROR)}
    return json.dumps(kept, ensure_ascii=False)


def _healed(healed: Sequence[Healed]) -> str:
    if not healed:
        return "[]"
    return json.dumps(
        [
            {
                "field": printable(each.field, MAX_TEXT),
                "failed_value": _field(each.failed_value),
                "error": printable(each.error, MAX_ERROR),
                "fell_to": printable(each.fell_to, MAX_TEXT),
            }
            for each in healed[:MAX_FIELDS]
        ],
        ensure_ascii=False,
    )


def _field(value: object) -> object:
    """Keep a field's whole value if its JSON is short enough, else its beginning."""
    try:
        plain = _plain(value, _MAX_DEPTH)
        text = json.dumps(plain, ensure_ascii=False)
    except BaseException as error:  # noqa: BLE001 - a caller's object may raise anything while it is read
        return {"windsock_unreadable": printable(error, MAX_ERROR)}
    if len(text) <= MAX_FIELD:
        return plain
    return {"windsock_cut": text[:200]}


def _plain(value: object, depth: int) -> object:
    """Rebuild a value from JSON types."""
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if depth == 0:
            return "windsock_cut: nested too deep"
        if isinstance(value, Mapping):
            items = islice(value.items(), _MAX_ITEMS)
            return {printable(key, MAX_TEXT): _plain(item, depth - 1) for key, item in items}
        return [_plain(item, depth - 1) for item in islice(value, _MAX_ITEMS)]
    return _scalar(value)


def _scalar(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and issubclass(type(value), str):  # not a proxy, which says it's text
        # One character more than is kept, so that the caller can tell that it's too long.
        return UNSTORABLE.sub("�", str.__getitem__(value, slice(MAX_FIELD + 1)))
    if isinstance(value, int):
        return int(value) if abs(value) < 10**300 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return printable(value, MAX_FIELD)


def _is_storable(encoded: str) -> bool:
    return encoded.isascii() or not UNSTORABLE.search(encoded)


def _text(value: object) -> str | None:
    return None if value is None else bounded(value, MAX_TEXT)


def _uuid(value: object) -> UUID | None:
    if value is None or isinstance(value, UUID):
        return value
    try:
        return _parsed(str(value))
    except BaseException:  # noqa: BLE001 - the variant column still holds the name
        return None


@lru_cache(maxsize=1024)
def _parsed(config_id: str) -> UUID:
    return UUID(config_id)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None or not math.isfinite(seconds * 1000) else seconds * 1000


def _count(value: object) -> int | None:
    """Read a number of tokens; None for anything that isn't a count or is out of range."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return int(value) if 0 <= value <= _MAX_BIGINT else None


def _cost(value: Decimal | None) -> Decimal | None:
    if value is None or not value.is_finite() or abs(value) > _MAX_COST:
        return None
    exponent = value.as_tuple().exponent
    # 1e-400 has 400 decimal places: money needs fewer.
    return value if isinstance(exponent, int) and exponent >= -12 else round(value, 12)
