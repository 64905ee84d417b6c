"""The result of evaluating one flag, and the protocol for evaluators.

Kept apart from the evaluator and the providers, which only `windsock.start` loads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

if TYPE_CHECKING:
    from windsock.flags import Flag, JsonValue


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The result of an evaluation, shared by all evaluations of the flag with the same result.

    Outcomes compare by identity, so data derived from one (such as a validated settings object) can be
    cached with it.

    Attributes:
        value: The variant's value; it's shared, so never change it. None to use the caller's default.
        variant: The variant's name; None if none was chosen.
        reason: OpenFeature's reason: STATIC, DEFAULT, TARGETING_MATCH, DISABLED or ERROR.
        error_code: OpenFeature's error code, or None.
        error_message: A readable error message, or None.
        flag_metadata: The flag's metadata merged over the set's; shared.
        flag_key: The flag's key.
    """

    value: "JsonValue"
    variant: str | None
    reason: str
    error_code: ErrorCode | None
    error_message: str | None
    flag_metadata: "Mapping[str, JsonValue]"
    flag_key: str

    @property
    def error(self) -> str | None:
        """The error, starting with OpenFeature's code: ``TYPE_MISMATCH: …``; None if there was none."""
        return None if self.error_code is None else f"{self.error_code.value}: {self.error_message or ''}"


class Rule(Protocol):
    """A flag evaluated in this process."""

    @property
    def flag(self) -> "Flag":
        """The flag as its document defines it; for a sharded flag, its first shard."""

    @property
    def constant(self) -> Outcome | None:
        """The outcome, the same for every user, if the flag has no rule; else None."""

    @property
    def decided_by(self) -> str | None:
        """The only attribute that the rule reads, or None."""

    @property
    def rule(self) -> Callable[[Mapping[str, object]], Outcome]:
        """Maps attributes to the outcome; raises if the rule can't be evaluated for their values."""

    @property
    def evaluate(self) -> Callable[[Mapping[str, object]], Outcome]:
        """The same, but returns an error outcome in that case; never raises."""


def attributes_of(context: EvaluationContext | None) -> Mapping[str, object]:
    """The attributes that rules see: the context's, plus its targeting key as ``targetingKey``."""
    if context is None:
        return {}
    if context.targeting_key is None:
        return context.attributes
    return {**context.attributes, "targetingKey": context.targeting_key}


def copy_json(value: "JsonValue") -> "JsonValue":
    """Copy all objects and lists, for callers that may change them."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value
