"""Sums by segment: by the declared attributes at a unit's first exposure.

Warehouses share no JSON operator, so units are grouped by the text of their attributes, and groups
that share a value are added up here.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from windsock.experiments.statistics.moments import ShiftedSums
from windsock.text import printable

MAX_COMBINATIONS: Final = 1_000
"""Maximum number of value combinations; above it, units aren't split."""

MAX_VALUES: Final = 12
"""Values of one attribute that are kept apart, the most frequent ones; the rest become `OTHER`."""

OTHER: Final = "all others"
UNKNOWN: Final = "unknown"
_MAX_TEXT: Final = 60


@dataclass(frozen=True, slots=True)
class ArmSums:
    """One arm's sums for one metric.

    Attributes:
        sums: Shifted sums over the arm's matured units.
        events: Units with a nonzero value.
        seen: Events that have a value.
    """

    sums: ShiftedSums
    events: int
    seen: int

    def __add__(self, other: "ArmSums") -> "ArmSums":
        """Add sums that have the same shifts."""
        return ArmSums(self.sums + other.sums, self.events + other.events, self.seen + other.seen)


@dataclass(frozen=True, slots=True)
class SegmentSums:
    """The units that have one value of an attribute.

    Attributes:
        attribute: The attribute.
        value: Its value as text; `UNKNOWN` where a unit has none, `OTHER` for the rarer ones.
        metrics: By metric and arm.
    """

    attribute: str
    value: str
    metrics: Mapping[str, Mapping[str, ArmSums]]


Groups = Mapping[str, Mapping[tuple[str, str], ArmSums]]
"""By metric: the sums of each arm and text of attributes."""


def total(groups: Mapping[tuple[str, str], ArmSums]) -> dict[str, ArmSums]:
    """One metric's sums by arm, over all attributes."""
    found: dict[str, ArmSums] = {}
    for (arm, _), sums in groups.items():
        found[arm] = found[arm] + sums if arm in found else sums
    return found


def parts(groups: Groups, attributes: Sequence[str]) -> Iterator[SegmentSums]:
    """Return each attribute's segments, the most frequent value first.

    Args:
        groups: The metrics that are split.
        attributes: The attributes that the experiment names.
    """
    for attribute in attributes:
        found: defaultdict[str, defaultdict[str, dict[str, ArmSums]]]
        found = defaultdict(lambda: defaultdict(dict))
        values = _values(groups, attribute)
        for metric, each in groups.items():
            for (arm, text), sums in each.items():
                by_arm = found[values[text]][metric]
                by_arm[arm] = by_arm[arm] + sums if arm in by_arm else sums
        ranked = sorted(found, key=lambda value: (value == OTHER, -_units(found[value]), value))
        for value in ranked:
            yield SegmentSums(attribute, value, {metric: dict(arms) for metric, arms in found[value].items()})


def _values(groups: Groups, attribute: str) -> dict[str, str]:
    """The value that each text of attributes counts as."""
    units: defaultdict[str, int] = defaultdict(int)
    values: dict[str, str] = {}
    for each in groups.values():
        for (_, text), sums in each.items():
            values[text] = _value(text, attribute)
            units[values[text]] += sums.sums.units
    kept = sorted(units, key=lambda value: (-units[value], value))[:MAX_VALUES]
    return {text: value if value in kept else OTHER for text, value in values.items()}


def _value(text: str, attribute: str) -> str:
    try:
        read = json.loads(text)
        value = read.get(attribute) if isinstance(read, dict) else None
        if value is None:
            return UNKNOWN
        return printable(value if isinstance(value, str) else json.dumps(value), _MAX_TEXT)
    except (ValueError, RecursionError):  # any service may write thousands of levels, or of digits
        return UNKNOWN


def _units(metrics: Mapping[str, Mapping[str, ArmSums]]) -> int:
    return max(sum(arm.sums.units for arm in arms.values()) for arms in metrics.values())
