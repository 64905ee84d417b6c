"""Which experiment a flag's targeting put somebody in, as the flag's metadata declares it."""

from collections.abc import Iterable, Mapping
from typing import Final

from windsock.evaluator.outcome import Outcome, Rule
from windsock.usage.data import Arm

EXPERIMENT: Final = "experiment"
VERSION: Final = "version"
UNIT: Final = "unit"
FIELDS: Final = "fields"
SEGMENTS: Final = "segments"
ALLOCATION: Final = "allocation."
"""Metadata of an experiment's flag. flagd allows text and numbers there, so lists are words with spaces
between, and ``allocation.<arm>`` is an arm's share of the traffic."""

HAS_PROFILE: Final = "profile"
"""Why somebody doesn't count who has an assigned profile when the experiment meets them."""

_NOT_TARGETED: Final = frozenset({"STATIC", "DEFAULT", "DISABLED", "ERROR"})


def arm_of(outcome: Outcome, *, excluded: str | None) -> Arm | None:
    """The arm that targeting gave; None for a flag's default, which puts no user into an experiment.

    Args:
        outcome: What the experiment's flag gave.
        excluded: Why the unit doesn't count; None if it does.
    """
    said = outcome.flag_metadata
    if outcome.variant is None or outcome.reason in _NOT_TARGETED:
        return None
    allocation, version = said.get(f"{ALLOCATION}{outcome.variant}"), said.get(VERSION)
    return Arm(
        experiment=str(said.get(EXPERIMENT, outcome.flag_key)),
        name=outcome.variant,
        flag=outcome.flag_key,
        reason=outcome.reason,
        version=int(version) if isinstance(version, int | float) else 1,
        allocation=float(allocation) if isinstance(allocation, int | float) else None,
        unit=str(said.get(UNIT, "user")),
        segments=tuple(str(said.get(SEGMENTS, "")).split()),
        excluded=excluded,
    )


def contaminated(fields: Iterable[str]) -> str:
    """Why units of an arm that lost values don't count: the version is no longer what was declared."""
    return f"contaminated: {', '.join(fields)} was withdrawn"


def arm_fields(experiment: Outcome, compiled: Mapping[str, Rule]) -> frozenset[str] | None:
    """Fields that any arm sets: by the metadata, else by the variants, if the rules are in this process."""
    if FIELDS in experiment.flag_metadata:
        return frozenset(str(experiment.flag_metadata[FIELDS]).split())
    flag = compiled.get(experiment.flag_key)
    if flag is None:
        return frozenset() if experiment.variant is None else None
    return frozenset(
        name for value in flag.flag.variants.values() if isinstance(value, Mapping) for name in value
    )
