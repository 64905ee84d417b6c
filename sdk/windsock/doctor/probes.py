"""Finds out which bucketing an evaluator uses, from its answers where v2 and v3 differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from windsock.evaluator import CompiledFlag
from windsock.flags import Flag, JsonValue
from windsock.flags.model import BUCKETINGS, Bucketing

Ask: TypeAlias = Callable[[Flag, Mapping[str, object]], str | None]
"""Returns the variant that an evaluator chooses for a flag and a context, or None."""

Answered: TypeAlias = Literal["v2", "v3", "neither"]

_KEYS: Final = 400
"""Number of targeting keys tried; on a 50/50 split, one in two tells v2 from v3; on 1/99, one in fifty."""

_PROBES: Final = 12
"""Probes per flag; on a 50/50 split, an unrelated hash answers all of them right by chance once in 4096."""

SAMPLE: Final = Flag(
    key="windsock.bucketing",
    enabled=True,
    variants={"on": "on", "off": "off"},
    default_variant="off",
    targeting={"fractional": [["on", 50], ["off", 50]]},
    metadata={},
)
"""A flag with known answers, for evaluators that accept a flag."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One context, and the answer of each bucketing.

    Attributes:
        context: Attributes and ``targetingKey``.
        expected: Variant by bucketing; the two differ.
    """

    context: Mapping[str, object]
    expected: Mapping[Bucketing, str | None]


def buckets(flag: Flag) -> bool:
    """Whether a flag's rule uses ``fractional`` anywhere."""
    return flag.enabled and _uses_fractional(flag.targeting)


def probes(flag: Flag, attributes: Mapping[str, object]) -> tuple[Probe, ...]:
    """Find contexts where v2 and v3 answer differently; none if the rule never reaches its split.

    Args:
        flag: The flag.
        attributes: Attributes that every context has besides the targeting key.
    """
    compiled = {each: CompiledFlag(_pinned(flag, each)) for each in BUCKETINGS}
    found = []
    for number in range(_KEYS):
        context = {**attributes, "targetingKey": f"windsock-doctor-{number}"}
        expected = {each: compiled[each].evaluate(context).variant for each in BUCKETINGS}
        if len(set(expected.values())) > 1:
            found.append(Probe(context, expected))
        if len(found) == _PROBES:
            break
    return tuple(found)


def answered(flag: Flag, probed: tuple[Probe, ...], ask: Ask) -> Answered:
    """Which bucketing an evaluator uses: the one that agrees with all of its answers."""
    answers = [ask(flag, probe.context) for probe in probed]
    for each in BUCKETINGS:
        if all(answer == probe.expected[each] for answer, probe in zip(answers, probed, strict=True)):
            return each
    return "neither"


def _pinned(flag: Flag, bucketing: Bucketing) -> Flag:
    return replace(flag, metadata={**flag.metadata, "bucketing": bucketing})


def _uses_fractional(rule: JsonValue) -> bool:
    if isinstance(rule, Mapping):
        return "fractional" in rule or any(_uses_fractional(each) for each in rule.values())
    if isinstance(rule, list):
        return any(_uses_fractional(each) for each in rule)
    return False
