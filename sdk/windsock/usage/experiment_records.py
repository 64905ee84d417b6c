"""The rows of ``windsock.exposures`` and ``windsock.metric_events``, cleaned like usage rows."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Self, TypeAlias, get_type_hints
from uuid import UUID

from windsock.usage.record import UsageRecord


@dataclass(frozen=True, slots=True)
class ExposureRecord:
    """A unit's exposure to an arm of an experiment.

    It's identified by `key`: writing it again, from any process, writes the same row.

    Attributes:
        unit: The user, the request, or another randomisation unit; hashed if user ids are.
        first_exposed_at: Aware, UTC.
        allocation: The arm's share of the traffic at that time, 0 to 1.
        key_fingerprint: Identifies the key that hashes units; None if they're plain.
        attributes_json: A JSON object of the experiment's segment attributes.
        excluded: Why the unit doesn't count; None if it does.
    """

    experiment: str
    version: int
    environment: str
    unit: str
    arm: str
    first_exposed_at: datetime
    allocation: float | None = None
    flag: str | None = None
    revision: str | None = None
    reason: str | None = None
    key_fingerprint: str | None = None
    attributes_json: str = "{}"
    excluded: str | None = None

    @property
    def key(self) -> tuple[str, int, str, str, str]:
        """The key by which two exposures count as the same."""
        return self.experiment, self.version, self.environment, self.unit, self.arm

    @property
    def id(self) -> str:
        """The key as text."""
        return "/".join(map(str, self.key))

    def to_line(self) -> str:
        """Write the record as one line of JSON."""
        return _line("exposure", _EXPOSURE, self.to_tuple())

    def to_tuple(self) -> tuple[object, ...]:
        """The fields in order."""
        return _exposure_in_order(self)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line that `to_line` wrote.

        Raises:
            ValueError: The line isn't one.
        """
        return cls(**_parsed(line, _EXPOSURE, _EXPOSURE_KINDS))


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event reported by a service.

    Attributes:
        id: Created when the event was reported; the key that makes replays harmless.
        occurred_at: Aware, UTC.
        attributes_json: A JSON object.
    """

    id: UUID
    name: str
    unit: str | None
    user_id: str | None
    value: float | None
    occurred_at: datetime
    environment: str
    request_id: str | None = None
    attributes_json: str = "{}"

    def to_line(self) -> str:
        """Write the record as one line of JSON."""
        return _line("event", _EVENT, self.to_tuple())

    def to_tuple(self) -> tuple[object, ...]:
        """The fields in order."""
        return _event_in_order(self)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line that `to_line` wrote.

        Raises:
            ValueError: The line isn't one.
        """
        return cls(**_parsed(line, _EVENT, _EVENT_KINDS))


_EXPOSURE = tuple(each.name for each in fields(ExposureRecord))
_FLOAT = {"allocation": float | int | None, "value": float | int | None}
_EXPOSURE_KINDS = get_type_hints(ExposureRecord) | _FLOAT
_EVENT_KINDS = get_type_hints(EventRecord) | _FLOAT
_EVENT = tuple(each.name for each in fields(EventRecord))
_exposure_in_order: Callable[[ExposureRecord], tuple[object, ...]] = attrgetter(*_EXPOSURE)
_event_in_order: Callable[[EventRecord], tuple[object, ...]] = attrgetter(*_EVENT)


def _line(kind: str, names: tuple[str, ...], values: tuple[object, ...]) -> str:
    row = {"kind": kind, **dict(zip(names, values, strict=True))}
    return json.dumps(row, default=str, ensure_ascii=False, separators=(",", ":"))


def _parsed(line: str, names: tuple[str, ...], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Parse a line's fields, including times and UUIDs.

    Raises:
        ValueError: The line isn't JSON, lacks a field, or has a value of the wrong type.
    """
    try:
        row = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(row, dict) or {"kind", *names} != row.keys():
        raise ValueError(f"not a record of {', '.join(names)}")
    del row["kind"]
    for name, value in row.items():
        if kinds[name] is datetime:
            row[name] = datetime.fromisoformat(str(value))
        elif kinds[name] is UUID:
            row[name] = UUID(str(value))
        if not isinstance(row[name], kinds[name]):
            raise ValueError(f"{name} is of the type {type(value).__name__}")  # noqa: TRY004 - as documented
    return row


EXPOSURE_COLUMNS = tuple(name.removesuffix("_json") for name in _EXPOSURE)
"""The columns of ``windsock.exposures``, in the order of `ExposureRecord`'s fields."""
EVENT_COLUMNS = tuple(name.removesuffix("_json") for name in _EVENT)
"""The columns of ``windsock.metric_events``, in the order of `EventRecord`'s fields."""

Record: TypeAlias = UsageRecord | ExposureRecord | EventRecord
"""A record that a sink stores and the spool keeps."""


def read_line(line: str) -> Record:
    """Parse a line written by a record's `to_line`.

    Raises:
        ValueError: The line isn't a record, or the record is damaged.
    """
    if line.startswith('{"kind":"exposure"'):
        return ExposureRecord.from_line(line)
    if line.startswith('{"kind":"event"'):
        return EventRecord.from_line(line)
    return UsageRecord.from_line(line)
