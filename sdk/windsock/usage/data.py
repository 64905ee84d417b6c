"""The data of usage logging: what a view was used for, what its request measured, and the writer's state.

Kept apart from the rest of `windsock.usage`, which only `windsock.start` loads.
"""

import contextlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from windsock.text import bounded

MAX_TEXT = 1_000
"""Bytes of UTF-8 kept of an id, a variant or a reason, because an index entry, which contains two of them,
is limited to 2,704; also the characters kept of a field's name."""

OVERRIDDEN = "windsock.override"
"""The attribute of events reported under `windsock.testing.override`; analyses ignore them."""


class Healed(NamedTuple):
    """One field whose value failed in use and was replaced for this call.

    Attributes:
        field: The settings field.
        failed_value: The value that failed, already redacted if the field is secret.
        error: The call's error message.
        fell_to: The layer whose value worked instead: ``last good``, ``base`` or ``code default``.
    """

    field: str
    failed_value: object
    error: str
    fell_to: str


class Arm(NamedTuple):
    """The arm that targeting assigned to a unit, and the flag's metadata about the experiment.

    Attributes:
        experiment: The experiment's name: the metadata `experiment`, else the flag's key.
        name: The arm, which is the flag's variant.
        flag: Key of the deciding flag.
        reason: OpenFeature's reason.
        version: Counts changes to arms, audience or allocation.
        allocation: The arm's share of the traffic, 0 to 1; None if the metadata doesn't state it.
        unit: What is randomised: `user`, `request`, or an attribute of the evaluation context.
        segments: Attributes by which the report is broken down.
        excluded: Why the unit doesn't count; None if it does.
    """

    experiment: str
    name: str
    flag: str
    reason: str
    version: int = 1
    allocation: float | None = None
    unit: str = "user"
    segments: tuple[str, ...] = ()
    excluded: str | None = None


class Use(NamedTuple):
    """The use of a settings view: the deciding flag, and the values read.

    Attributes:
        flag: The settings class's flag.
        variant: The variant of the strongest layer that set anything, or None for code defaults.
        config_id: The profile's UUID, or None without a profile.
        revision: The revision of the deciding flag set.
        reason: OpenFeature's reason for the variant.
        environment: The deployment environment.
        user_id: The user that the view was created for, or None for the process's own values.
        values: The values of the fields read, by field. JSON-serializable, with secrets already redacted.
        healed: The fields that failed in use.
        experiment: The user's experiment, if a field that its arms set was read.
        arm: The user's variant in the experiment.
        exposed_to: The same arm with all exposure data; also set for a user who doesn't count.
        attributes: The evaluation context that decided.
        evaluation_error: The evaluation error, starting with OpenFeature's code: ``TYPE_MISMATCH: …``.
    """

    flag: str
    variant: str | None
    config_id: str | UUID | None
    revision: str | None
    reason: str | None
    environment: str
    user_id: str | None
    values: Mapping[str, object]
    healed: Sequence[Healed] = ()
    experiment: str | None = None
    arm: str | None = None
    exposed_to: Arm | None = None
    attributes: Mapping[str, object] = {}
    evaluation_error: str | None = None


class Measured(NamedTuple):
    """A request's measurements, the same on each of its rows.

    Attributes:
        request_id: Joins the rows of one request.
        latency: Seconds from the start of the request to its end.
        input_tokens: Tokens sent, summed over the request's calls.
        output_tokens: Tokens received, summed over the request's calls.
        cost: The cost, in the caller's currency.
        trace_id: The OpenTelemetry trace, 32 hex digits.
        status: ``ok`` or ``error``; None outside a request.
        error_class: The kind of error that ended the request, if any.
        answered_model: The model that answered, as passed to `Request.tokens`.
        first_item: Seconds from the start of the request to the first item of a stream.
    """

    request_id: str | None = None
    latency: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    trace_id: str | None = None
    status: str | None = None
    error_class: str | None = None
    answered_model: str | None = None
    first_item: float | None = None


class Event(NamedTuple):
    """An event that a service reports for a user or a request: a purchase, a rating, a judge's score.

    Attributes:
        id: Created when the event was reported, so that an event written twice is one row.
        name: What happened.
        value: The amount; None if there's none.
        occurred_at: Aware, UTC.
        environment: The deployment environment.
        user_id: The user, or None.
        request_id: The request, or None.
        unit: The experiment's randomisation unit, if it's neither the user nor the request: any object with a
            text, as the attribute had it.
        attributes: Any further data. JSON-serializable.
    """

    id: UUID
    name: str
    value: float | None
    occurred_at: datetime
    environment: str
    user_id: str | None = None
    request_id: str | None = None
    unit: object = None
    attributes: Mapping[str, object] = {}


class Pending(NamedTuple):
    """A row as recorded by the request path: with id and time, but not yet cleaned.

    The id is created here, before anything can fail, so that a row written twice is one row.
    """

    id: UUID
    requested_at: datetime
    use: Use
    measured: Measured


@dataclass(frozen=True, slots=True)
class UsageHealth:
    """A writer's record counts in this process.

    Attributes:
        queued: Currently waiting in memory.
        written: Stored by the sink directly from memory.
        spooled: Written to disk because the sink was unreachable or too slow.
        replayed: Read back from disk and stored, including records left by other processes.
        refused: Rows that the sink can never store; they're in ``refused.jsonl`` in the spool's folder.
        dropped: Lost because the queue was full, or neither the sink nor the disk could be written.
        last_error: The last error of the sink or the disk, or None while all is well.
    """

    queued: int
    written: int
    spooled: int
    replayed: int
    refused: int
    dropped: int
    last_error: str | None


def hashed_user_id(user_id: str, key: bytes) -> str:
    """A user id's keyed hash: ``hmac:`` and the first 32 hex digits of HMAC-SHA256.

    The same id and key yield the same text, so a user's rows still join. Without the key, the user can't be
    identified, not even by trying ids.

    Args:
        user_id: The plain id.
        key: The secret, such as ``WINDSOCK_USER_ID_KEY`` has.

    Returns:
        37 ASCII characters.
    """
    text = str(user_id).encode("utf-8", "surrogatepass")
    return f"hmac:{hmac.digest(key, text, 'sha256').hex()[:32]}"


def stored_user_id(user_id: str, key: bytes | None) -> str:
    """A user id as stored in our tables: hashed if there's a key, else cut to what can be indexed."""
    return bounded(user_id, MAX_TEXT) if key is None else hashed_user_id(user_id, key)


def stored_user_ids(user_id: str, key: bytes | None) -> frozenset[str]:
    """Every form in which a person's id may be stored: a UUID may have been given in any of its spellings.

    Flags and tables compare ids as text, so a service that passes a UUID in capitals stores it in capitals,
    while `profiles` has it in lower case.
    """
    spellings = {user_id}
    with contextlib.suppress(ValueError):
        same = UUID(user_id)
        spellings |= {
            form
            for each in (str(same), str(same).upper(), same.hex, same.hex.upper())
            for form in (each, f"{{{each}}}", f"urn:uuid:{each}")
        }
    return frozenset(stored_user_id(each, key) for each in spellings)


def key_fingerprint(key: bytes) -> str:
    """Identify a key without revealing it: 16 hex digits that depend only on the key."""
    return hmac.digest(key, b"windsock: which key is this?", "sha256").hex()[:16]
