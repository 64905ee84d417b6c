"""The row of ``usage_logs`` that one use leaves."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Self, get_type_hints
from uuid import UUID


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
        status: ``ok`` or ``error``; None outside a request.
        error_class: What the request ended in, where it was an error.
        answered_model: The model that answered.
        first_item_ms: Milliseconds to the first item of a stream.
        evaluation_error: What went wrong in an evaluation, OpenFeature's code first; no column, for events.
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
    status: str | None = None
    error_class: str | None = None
    answered_model: str | None = None
    first_item_ms: float | None = None
    evaluation_error: str | None = None

    @property
    def values(self) -> Mapping[str, object]:
        """The values that were read, parsed on each call."""
        parsed: dict[str, object] = json.loads(self.values_json)
        return parsed

    @property
    def healed(self) -> Sequence[Mapping[str, object]]:
        """The healed fields, parsed on each call."""
        parsed: list[dict[str, object]] = json.loads(self.healed_json)
        return parsed

    def to_dict(self) -> dict[str, object]:
        """The record as plain data, with the columns' names."""
        row = dict(zip(_STORED, self.to_tuple(), strict=True))
        del row["values_json"], row["healed_json"]
        return {**row, "values": self.values, "healed": self.healed}

    def to_line(self) -> str:
        """Write the record as one line of JSON, as the spool and the structured log keep it."""
        row = dict(zip(_FIELDS, _all_in_order(self), strict=True))
        return json.dumps(row, default=str, ensure_ascii=False, separators=(",", ":"))

    def to_tuple(self) -> tuple[object, ...]:
        """The fields in the order of `COLUMNS`."""
        return _in_order(self)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line that `to_line` wrote.

        Raises:
            ValueError: The line is not JSON, lacks a field, or holds a value of the wrong kind.
        """
        try:
            row = json.loads(line)
            record = cls(
                **row
                | {
                    "id": UUID(row["id"]),
                    "requested_at": datetime.fromisoformat(row["requested_at"]),
                    "config_id": row["config_id"] and UUID(row["config_id"]),
                    "cost": None if row["cost"] is None else Decimal(row["cost"]),
                }
            )
        except (AttributeError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"not a usage record: {error!r}") from error
        for name, value in zip(_FIELDS, _all_in_order(record), strict=True):
            if not isinstance(value, _KINDS[name]):
                kind = type(value).__name__
                raise ValueError(f"not a usage record: {name} is of the type {kind}")  # noqa: TRY004 - as above
        return record


_FIELDS = tuple(each.name for each in fields(UsageRecord))
_KINDS = get_type_hints(UsageRecord) | dict.fromkeys(("latency_ms", "first_item_ms"), float | int | None)
# astuple() copies deeply, which is 30 times slower.
_all_in_order: Callable[[UsageRecord], tuple[object, ...]] = attrgetter(*_FIELDS)
_STORED = tuple(name for name in _FIELDS if name != "evaluation_error")
_in_order: Callable[[UsageRecord], tuple[object, ...]] = attrgetter(*_STORED)

COLUMNS = tuple(name.removesuffix("_json") for name in _STORED)
"""The columns of ``usage_logs`` that a record fills, in the order of `UsageRecord`'s fields."""
