"""The data of usage logging: what a view was used for, what its request measured, how the writer does.

Apart from `windsock.usage`, because that is loaded by `windsock.start` only.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

OVERRIDDEN = "windsock.override"
"""The attribute of an event that was reported under `windsock.testing.override`; no analysis counts it."""


@dataclass(frozen=True, slots=True)
class Healed:
    """One field whose value failed in use and was replaced for this call.

    Attributes:
        field: The settings field.
        failed_value: The value that failed, already redacted where the field is secret.
        error: What the call said, as text.
        fell_to: The layer whose value answered instead: ``last good``, ``base`` or ``code default``.
    """

    field: str
    failed_value: object
    error: str
    fell_to: str


@dataclass(frozen=True, slots=True)
class Arm:
    """The arm that targeting gave a unit, and what the flag's metadata says of the experiment.

    Attributes:
        experiment: The experiment's name: the metadata `experiment`, else the flag's key.
        name: The arm: the flag's variant.
        flag: Key of the flag that decided.
        reason: OpenFeature's reason.
        version: Counts changes of arms, audience or allocation.
        allocation: The arm's share of the traffic, 0 to 1; None where the metadata doesn't say.
        unit: What is randomised: `user`, `request`, or an attribute of the evaluation context.
        segments: Attributes that the report explores by.
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


@dataclass(frozen=True, slots=True)
class Use:
    """What one settings view was used for: the flag that decided, and the values that were read.

    Attributes:
        flag: The settings class's flag.
        variant: The variant of the strongest layer that set anything, or None for code defaults.
        config_id: The profile's UUID, or None without a profile.
        revision: The revision of the flag set that decided.
        reason: OpenFeature's reason for the variant.
        environment: The deployment environment.
        user_id: The user the view was made for, or None for the process's own values.
        values: Field to value, for the fields that were read. JSON-able, secrets already redacted.
        healed: The fields that failed in use.
        experiment: The experiment that the user is in, where a field that its arms set was read.
        arm: The experiment's variant that the user has.
        exposed_to: The same arm with all that an exposure says; also for a user who doesn't count.
        attributes: The evaluation context that decided.
        evaluation_error: What went wrong in an evaluation, OpenFeature's code first: ``TYPE_MISMATCH: …``.
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
    attributes: Mapping[str, object] = field(default_factory=dict)
    evaluation_error: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a request knows about itself, the same on each of its rows.

    Attributes:
        request_id: Joins the rows of one request.
        latency: Seconds from the start of the request to its end.
        input_tokens: Tokens sent, summed over the request's calls.
        output_tokens: Tokens received, summed over the request's calls.
        cost: In the currency the caller counts in.
        trace_id: The OpenTelemetry trace, 32 hex digits.
        status: ``ok`` or ``error``; None outside a request.
        error_class: What the request ended in, where it was an error.
        answered_model: The model that answered, as the caller was told by its vendor.
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


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a service reports of a user or a request: a purchase, a rating, a judge's score.

    Attributes:
        id: Made when it was reported, so that an event written twice is one row.
        name: What happened.
        value: How much; None where it only happened.
        occurred_at: Aware, UTC.
        environment: The deployment environment.
        user_id: The user, or None.
        request_id: The request, or None.
        unit: What an experiment is randomised by, if that is neither the user nor the request.
        attributes: Whatever else is known. JSON-able.
    """

    id: UUID
    name: str
    value: float | None
    occurred_at: datetime
    environment: str
    user_id: str | None = None
    request_id: str | None = None
    unit: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """One row as the request path leaves it: identified and dated, not yet cleaned.

    The id is made here, before anything can fail, so that a row written twice is one row.
    """

    id: UUID
    requested_at: datetime
    use: Use
    measured: Measured


@dataclass(frozen=True, slots=True)
class UsageHealth:
    """What a writer has done in this process, in records.

    Attributes:
        queued: Waiting in memory now.
        written: Stored by the sink straight from memory.
        spooled: Written to disk because the sink was unreachable or too slow.
        replayed: Read back from disk and stored; also those that another process had left.
        refused: Rows that the sink can never store; they are in ``refused.jsonl`` of the spool's folder.
        dropped: Lost, because the queue was full or neither the sink nor the disk could be written.
        last_error: The sink's or the disk's last complaint, or None while all is well.
    """

    queued: int
    written: int
    spooled: int
    replayed: int
    refused: int
    dropped: int
    last_error: str | None


def hashed_user_id(user_id: str, key: bytes) -> str:
    """A user id's keyed hash: the first 32 hex digits of HMAC-SHA256, after ``hmac:``.

    The same id and key give the same text, so rows of one user still join; without the key it can't be told
    which user it is, nor try ids.
    """
    text = str(user_id).encode("utf-8", "surrogatepass")
    return f"hmac:{hmac.digest(key, text, 'sha256').hex()[:32]}"


def stored_user_id(user_id: str, key: bytes | None) -> str:
    """A user id as stored in our tables: hashed if there is a key."""
    return user_id if key is None else hashed_user_id(user_id, key)


def key_fingerprint(key: bytes) -> str:
    """Tell keys apart without telling them: 16 hex digits that depend on the key alone."""
    return hmac.digest(key, b"windsock: which key is this?", "sha256").hex()[:16]
