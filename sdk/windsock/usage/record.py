"""The ``usage_logs`` row for one use."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Self, get_type_hints
from uuid import UUID


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One row of ``usage_logs``, cleaned: all its text can be stored, and all its JSON parses.

    Attributes:
        id: Created when the use was recorded; the key that makes replays harmless.
        requested_at: Aware, UTC.
        latency_ms: Milliseconds, as in the column; None outside a request.
        values_json: A JSON object of the values read.
        healed_json: A JSON list of ``{field, failed_value, error, fell_to}``.
        cost: The cost, in the caller's currency.
        trace_id: The OpenTelemetry trace, 32 hex digits.
        experiment: The experiment that the values exposed the user to, or None.
        arm: The user's variant in it, or None.
        status: ``ok`` or ``error``; None outside a request.
        error_class: The kind of error that ended the request, if any.
        answered_model: The model that answered.
        first_item_ms: Milliseconds to the first item of a stream.
        evaluation_error: The evaluation error, starting with OpenFeature's code; not a column, only for
            events.
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
        """The values read, parsed on each call; empty if a row of other software holds something else."""
        return dict(read_json(self.values_json, dict))

    @property
    def healed(self) -> Sequence[Mapping[str, object]]:
        """The healed fields, parsed on each call, without what other software may have written there."""
        return [each for each in read_json(self.healed_json, list) if isinstance(each, dict)]

    def to_dict(self) -> dict[str, object]:
        """The record as plain data, by column name."""
        row = dict(zip(_STORED, self.to_tuple(), strict=True))
        del row["values_json"], row["healed_json"]
        return {**row, "values": self.values, "healed": self.healed}

    def to_line(self) -> str:
        """Write the record as one line of JSON, for the spool and the structured log."""
        row = dict(zip(_FIELDS, _all_in_order(self), strict=True))
        return json.dumps(row, default=str, ensure_ascii=False, separators=(",", ":"))

    def to_tuple(self) -> tuple[object, ...]:
        """The fields in the order of `COLUMNS`."""
        return _in_order(self)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line that `to_line` wrote.

        Raises:
            ValueError: The line isn't JSON, lacks a field, or has a value of the wrong type.
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
                raise ValueError(f"not a usage record: {name} is of the type {kind}")  # noqa: TRY004 - as documented
        return record


def read_json(text: str, kind: type) -> Any:
    """A column's object or list; empty if other software wrote something else, or what Python can't read.

    Python can't read JSON that's nested deeper than its stack, nor a number of thousands of digits.
    """
    try:
        parsed = json.loads(text)
    except (RecursionError, ValueError):
        return kind()
    return parsed if isinstance(parsed, kind) else kind()


_FIELDS = tuple(each.name for each in fields(UsageRecord))
_KINDS = get_type_hints(UsageRecord) | dict.fromkeys(("latency_ms", "first_item_ms"), float | int | None)
# astuple() makes deep copies, which is 30 times slower.
_all_in_order: Callable[[UsageRecord], tuple[object, ...]] = attrgetter(*_FIELDS)
_STORED = tuple(name for name in _FIELDS if name != "evaluation_error")
_in_order: Callable[[UsageRecord], tuple[object, ...]] = attrgetter(*_STORED)

COLUMNS = tuple(name.removesuffix("_json") for name in _STORED)
"""The ``usage_logs`` columns that a record fills, in the order of `UsageRecord`'s fields."""
