"""Which experiment a flag's targeting put a user in, according to the flag's metadata."""

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
"""Metadata of an experiment's flag. flagd allows only text and numbers there, so lists are space-separated
words, and ``allocation.<arm>`` is an arm's share of the traffic."""

HAS_PROFILE: Final = "profile"
"""Why a user who already has a profile when the experiment reaches them doesn't count."""

_NOT_TARGETED: Final = frozenset({"STATIC", "DEFAULT", "DISABLED", "ERROR"})


def arm_of(outcome: Outcome, *, excluded: str | None) -> Arm | None:
    """The arm assigned by targeting; None for a flag's default, which puts no user into an experiment.

    Args:
        outcome: The outcome of the experiment's flag.
        excluded: Why the unit doesn't count; None if it does.
    """
    metadata = outcome.flag_metadata
    if outcome.variant is None or outcome.reason in _NOT_TARGETED:
        return None
    allocation, version = metadata.get(f"{ALLOCATION}{outcome.variant}"), metadata.get(VERSION)
    return Arm(
        experiment=str(metadata.get(EXPERIMENT, outcome.flag_key)),
        name=outcome.variant,
        flag=outcome.flag_key,
        reason=outcome.reason,
        version=int(version) if isinstance(version, int | float) else 1,
        allocation=float(allocation) if isinstance(allocation, int | float) else None,
        unit=str(metadata.get(UNIT, "user")),
        segments=tuple(str(metadata.get(SEGMENTS, "")).split()),
        excluded=excluded,
    )


def contaminated(fields: Iterable[str]) -> str:
    """Why units of an arm with withdrawn values don't count: the arm is no longer what was declared."""
    return f"contaminated: {', '.join(fields)} was withdrawn"


def arm_fields(experiment: Outcome, compiled: Mapping[str, Rule]) -> frozenset[str] | None:
    """Fields that any arm sets, from the metadata, else from the variants if this process has the rules."""
    if FIELDS in experiment.flag_metadata:
        return frozenset(str(experiment.flag_metadata[FIELDS]).split())
    flag = compiled.get(experiment.flag_key)
    if flag is None:
        return frozenset() if experiment.variant is None else None
    return frozenset(
        name for value in flag.flag.variants.values() if isinstance(value, Mapping) for name in value
    )
