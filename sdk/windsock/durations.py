"""Durations as people write them: `30m`, `6h`, `1d`, `2w`."""

import re
from typing import Final

UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds in each unit."""

_WRITTEN: Final = re.compile(r"(\d{1,5})\s*([mhdw])")


def seconds_of(text: str) -> int | None:
    """The seconds of a duration such as ``90m`` or ``7d``; None for any other text."""
    found = _WRITTEN.fullmatch(text.strip())
    return None if found is None else int(found[1]) * UNITS[found[2]]
