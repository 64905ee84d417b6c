"""Compiles a document into a flag with portable targeting: every engine gives a unit the same arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from windsock.errors import ConfigurationError
from windsock.experiments.documents import Experiment
from windsock.flag_names import EXPERIMENT as EXPERIMENT_FLAG
from windsock.flag_names import NO_CHANGE
from windsock.flags import JsonValue
from windsock.settings.arms import ALLOCATION, EXPERIMENT, FIELDS, SEGMENTS, UNIT, VERSION

WEIGHTS: Final = 10_000
"""Shares are whole numbers out of this total; each part is a hundredth of a percent."""

_VARIABLES: Final = {"user": "targetingKey", "request": "request_id"}


@dataclass(frozen=True, slots=True)
class Slot:
    """An experiment's part of its exclusion group, in parts of `WEIGHTS`.

    Attributes:
        start: Where it begins.
        stop: Where it ends.
    """

    start: int
    stop: int


GROUP_START: Final = "group_start"
GROUP_STOP: Final = "group_stop"
GROUP: Final = "exclusion_group"
"""Metadata that reserves an experiment's slot, so that no other experiment in the group gets it."""

OWN_ARMS: Final = "own_arms"
"""Metadata of a feature: a JSON list of the arms that were its variants before, and stay so afterwards."""

_METADATA: Final = frozenset(
    {EXPERIMENT, VERSION, UNIT, FIELDS, SEGMENTS, GROUP, GROUP_START, GROUP_STOP, OWN_ARMS}
)


def flag_key(experiment: Experiment) -> str:
    """The key of the flag that runs an experiment."""
    return experiment.feature or f"{experiment.settings}{EXPERIMENT_FLAG}"


def own_metadata(metadata: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A flag's metadata without what the experiment that runs on it says there."""
    return {
        name: value
        for name, value in metadata.items()
        if name not in _METADATA and not name.startswith(ALLOCATION)
    }


def compiled(
    experiment: Experiment,
    *,
    holdout: float | None = None,
    slot: Slot | None = None,
    feature: Mapping[str, JsonValue] | None = None,
) -> dict[str, JsonValue]:
    """Write the flag of an experiment.

    A unit takes part if it is in the audience, outside the holdout, and within the traffic; in a group,
    within the experiment's slot. Its arm is drawn with a key made of the experiment's name and version. More
    traffic keeps everybody who is in, because it only lengthens the first bucket.

    Args:
        experiment: The document; its arms are not profiles.
        holdout: The share of units, 0 to 1, that the named holdout keeps out.
        slot: The experiment's part of its exclusion group.
        feature: The feature's flag without the experiment.

    Raises:
        ConfigurationError: The arms are profiles, or the feature's flag can't carry an experiment.
    """
    if experiment.are_profiles:
        raise ConfigurationError(
            f"{experiment.name}: its arms are profiles, which are assigned and not targeted: run "
            f"`windsock experiment assign {experiment.name}`"
        )
    base = _without_arms(experiment, feature)
    found = base.get("variants")
    variants = found if isinstance(found, dict) else {}
    taken = [arm for arm, value in experiment.arms.items() if arm in variants and variants[arm] != value]
    if taken or NO_CHANGE in experiment.arms:
        raise ConfigurationError(
            f"{experiment.name}: rename the arm {taken[0] if taken else NO_CHANGE!r}; the flag has a "
            "variant of that name for those who take no part"
        )
    return {
        **base,
        "variants": {**variants, **experiment.arms},
        "targeting": {"if": [_takes_part(experiment, holdout, slot), _arms(experiment), None]},
        "metadata": _metadata(experiment, slot),
    }


def _without_arms(experiment: Experiment, feature: Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    if experiment.feature is None:
        return {"state": "ENABLED", "variants": {NO_CHANGE: {}}, "defaultVariant": NO_CHANGE}
    if feature is None or feature.get("targeting"):
        what = (
            "it is in no flag file"
            if feature is None
            else "it has a targeting rule, which arms would replace"
        )
        raise ConfigurationError(
            f"{experiment.name}: the feature {experiment.feature!r} can't carry it: {what}"
        )
    return dict(feature)


def _takes_part(experiment: Experiment, holdout: float | None, slot: Slot | None) -> JsonValue:
    unit: JsonValue = {"var": _VARIABLES.get(experiment.unit, experiment.unit)}
    conditions: list[JsonValue] = [{"!!": [unit]}]
    if experiment.audience is not None:
        conditions.append(experiment.audience)
    if holdout is not None:
        part = _within(f"holdout.{experiment.holdout}", unit, Slot(0, round(holdout * WEIGHTS)))
        conditions.append({"!": [part]})
    if slot is not None:
        conditions.append(_within(f"group.{experiment.exclusion_group}", unit, slot))
    elif experiment.traffic < 1:
        whole = Slot(0, round(experiment.traffic * WEIGHTS))
        conditions.append(_within(f"traffic.{experiment.name}.{experiment.version}", unit, whole))
    return conditions[0] if len(conditions) == 1 else {"and": conditions}


def _within(salt: str, unit: JsonValue, slot: Slot) -> JsonValue:
    """A rule for whether a unit's hash lies in a range of all hashes; empty buckets are left out."""
    parts: list[tuple[str, int]] = [
        ("out", slot.start),
        ("in", slot.stop - slot.start),
        ("out", WEIGHTS - slot.stop),
    ]
    buckets: list[JsonValue] = [[name, weight] for name, weight in parts if weight]
    return {"==": [{"fractional": [{"cat": [f"{salt}.", unit]}, *buckets]}, "in"]}


def _arms(experiment: Experiment) -> JsonValue:
    unit: JsonValue = {"var": _VARIABLES.get(experiment.unit, experiment.unit)}
    key: JsonValue = {"cat": [f"{experiment.name}.{experiment.version}.", unit]}
    buckets: list[JsonValue] = [[arm, weight] for arm, weight in weights(experiment).items()]
    return {"fractional": [key, *buckets]}


def weights(experiment: Experiment) -> dict[str, int]:
    """The arms' weights: whole numbers that add up to `WEIGHTS`."""
    shares = experiment.shares
    found = {arm: int(share * WEIGHTS) for arm, share in shares.items()}
    rest = sorted(shares, key=lambda arm: found[arm] - shares[arm] * WEIGHTS)
    for arm in rest[: WEIGHTS - sum(found.values())]:
        found[arm] += 1
    return found


def _metadata(experiment: Experiment, slot: Slot | None) -> dict[str, JsonValue]:
    fields = sorted({name for arm in experiment.arms.values() if isinstance(arm, dict) for name in arm})
    metadata: dict[str, JsonValue] = {EXPERIMENT: experiment.name, VERSION: experiment.version}
    if experiment.unit != "user":
        metadata[UNIT] = experiment.unit
    if fields:
        metadata[FIELDS] = " ".join(fields)
    if experiment.segments:
        metadata[SEGMENTS] = " ".join(experiment.segments)
    metadata |= {f"{ALLOCATION}{arm}": weight / WEIGHTS for arm, weight in weights(experiment).items()}
    if slot is not None and experiment.exclusion_group is not None:
        metadata |= {GROUP: experiment.exclusion_group, GROUP_START: slot.start, GROUP_STOP: slot.stop}
    return metadata
