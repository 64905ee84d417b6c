"""The data of usage logging: what a view used, what a request measured, and the row that is written."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Self
from uuid import UUID


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
    """

    request_id: str | None = None
    latency: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    trace_id: str | None = None


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
class UsageRecord:
    """One row of ``usage_logs``, cleaned: any text in it can be stored and any JSON in it parses.

    Attributes:
        id: Made when the use was recorded; the key that makes a replay harmless.
        requested_at: Aware, UTC.
        latency_ms: Milliseconds, because the column is; None outside a request.
        values_json: A JSON object of the values that were read.
        healed_json: A JSON list of ``{field, failed_value, error, fell_to}``.
        cost: In the currency the caller counts in.
        trace_id: The OpenTelemetry trace, 32 hex digits.
        experiment: The experiment that the values exposed the user to, or None.
        arm: Its variant that the user has, or None.
    """

    id: UUID
    requested_at: datetime
    user_id: str | None
    request_id: str | None
    environment: str
    flag: str
    variant: str | None
    config_id: UUID | None
    revision: str | None
    reason: str | None
    values_json: str = "{}"
    healed_json: str = "[]"
    latency_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    trace_id: str | None = None
    experiment: str | None = None
    arm: str | None = None

    @property
    def values(self) -> Mapping[str, object]:
        """The values that were read, parsed anew on each call."""
        parsed: dict[str, object] = json.loads(self.values_json)
        return parsed

    @property
    def healed(self) -> Sequence[Mapping[str, object]]:
        """The healed fields, parsed anew on each call."""
        parsed: list[dict[str, object]] = json.loads(self.healed_json)
        return parsed

    def to_line(self) -> str:
        """Write the record as one line of JSON, as the spool and the structured log keep it."""
        row = dict(zip(_FIELDS, self.to_tuple(), strict=True))
        return json.dumps(row, default=str, ensure_ascii=False, separators=(",", ":"))

    def to_tuple(self) -> tuple[object, ...]:
        """Give the fields in their order, which is that of `COLUMNS`."""
        return _in_order(self)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line that `to_line` wrote.

        Raises:
            ValueError: The line is not JSON, lacks a field, or holds a value of the wrong kind.
        """
        try:
            row = json.loads(line)
            return cls(
                **row
                | {
                    "id": UUID(row["id"]),
                    "requested_at": datetime.fromisoformat(row["requested_at"]),
                    "config_id": row["config_id"] and UUID(row["config_id"]),
                    "cost": None if row["cost"] is None else Decimal(row["cost"]),
                }
            )
        except (AttributeError, KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(f"not a usage record: {error!r}") from error


_FIELDS = tuple(each.name for each in fields(UsageRecord))
# astuple() copies deeply, which is 30 times slower.
_in_order: Callable[[UsageRecord], tuple[object, ...]] = attrgetter(*_FIELDS)

COLUMNS = tuple(name.removesuffix("_json") for name in _FIELDS)
"""The columns of ``usage_logs`` that a record fills, in the order of `UsageRecord`'s fields."""
