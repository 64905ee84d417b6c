"""Quantities as people write them in a document: `7d`, `5%`."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from windsock.durations import UNITS, seconds_of
from windsock.text import count

_LONGEST: Final = timedelta(days=3650)
_PERCENT: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*%")


def _duration(value: object) -> object:
    if isinstance(value, str):
        seconds = seconds_of(value)
        if seconds is None:
            raise ValueError("a duration is written as 30m, 12h, 7d or 2w")
        return timedelta(seconds=seconds)
    if isinstance(value, (int, float)):
        raise ValueError("a duration needs its unit: 30m, 12h, 7d or 2w")  # noqa: TRY004 - pydantic reads ValueError
    return value


def _share(value: object) -> object:
    if isinstance(value, str):
        found = _PERCENT.fullmatch(value.strip())
        if found is None:
            raise ValueError("a share is written as 5% or 0.05")
        return float(found[1]) / 100
    return value


def _in_range(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= _LONGEST:
        raise ValueError(f"a duration is longer than zero and at most {_LONGEST.days:,} days")
    return value


def duration_text(value: timedelta) -> str:
    """Write a duration with the largest unit that divides it."""
    seconds = round(value.total_seconds())
    for unit in "wdhm":
        if seconds and seconds % UNITS[unit] == 0:
            return f"{seconds // UNITS[unit]}{unit}"
    return f"{seconds // 60}m"


def duration_words(value: timedelta) -> str:
    """Write a duration for a sentence, with the largest unit that divides it: ``7 days``, ``90 minutes``."""
    seconds = round(value.total_seconds())
    for unit in ("day", "hour", "minute"):
        if seconds and seconds % UNITS[unit[0]] == 0:
            return count(seconds // UNITS[unit[0]], unit)
    return count(seconds, "second")


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_in_range),
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": r"^\d+[mhdw]$"}),
]
"""A length of time: `30m`, `12h`, `7d`, `2w`."""

Share = Annotated[
    float,
    BeforeValidator(_share),
    Field(ge=0, le=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)?%$"},
            ]
        }
    ),
]
"""A share, or a relative change: `5%` or `0.05`."""
