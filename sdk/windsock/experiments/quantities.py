"""Quantities as people write them in a document: `7d`, `5%`."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from windsock.text import count

_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST: Final = timedelta(days=3650)
_DURATION: Final = re.compile(r"(\d{1,5})\s*([mhdw])")
_PERCENT: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*%")


def _duration(value: object) -> object:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            raise ValueError("a duration is written as 30m, 12h, 7d or 2w")
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
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
        raise ValueError(f"a duration is between nothing and {_LONGEST.days:,} days")
    return value


def duration_text(value: timedelta) -> str:
    """Write a duration with the largest unit that divides it."""
    seconds = round(value.total_seconds())
    for unit in "wdhm":
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds // 60}m"


def duration_words(value: timedelta) -> str:
    """Write a duration for a sentence, with the largest unit that divides it: ``7 days``, ``90 minutes``."""
    seconds = round(value.total_seconds())
    for unit in ("day", "hour", "minute"):
        if seconds and seconds % _UNITS[unit[0]] == 0:
            return count(seconds // _UNITS[unit[0]], unit)
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
