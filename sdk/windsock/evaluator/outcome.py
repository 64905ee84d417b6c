"""The result of evaluating one flag, and the protocol of what evaluates it.

Separate from the evaluator and the providers, which only `windsock.start` loads.
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
    """The result of one evaluation, shared by every evaluation of the flag that ends the same way.

    Two outcomes are the same when they are the same object, so what is derived from one (a validated
    settings object) can be kept beside it.

    Attributes:
        value: The variant's value, shared: never change it. None when the caller's default is to be used.
        variant: The variant's name, or None where none was chosen.
        reason: OpenFeature's reason: STATIC, DEFAULT, TARGETING_MATCH, DISABLED or ERROR.
        error_code: What went wrong, or None.
        error_message: What went wrong, for a person, or None.
        flag_metadata: The flag's metadata over the set's, shared.
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
        """What went wrong, OpenFeature's code first: ``TYPE_MISMATCH: …``; None if nothing did."""
        return None if self.error_code is None else f"{self.error_code.value}: {self.error_message or ''}"


class Rule(Protocol):
    """One flag that is evaluated in this process."""

    @property
    def flag(self) -> "Flag":
        """The flag as its document defines it; of a sharded one, the first shard."""

    @property
    def constant(self) -> Outcome | None:
        """The outcome of a flag without a rule, which is the same for every user; else None."""

    @property
    def decided_by(self) -> str | None:
        """The one attribute that the rule reads, or None."""

    @property
    def rule(self) -> Callable[[Mapping[str, object]], Outcome]:
        """From attributes to the outcome; raises if the rule cannot be evaluated for their values."""

    @property
    def evaluate(self) -> Callable[[Mapping[str, object]], Outcome]:
        """The same, but gives an outcome in that case too; never raises."""


def attributes_of(context: EvaluationContext | None) -> Mapping[str, object]:
    """The attributes that rules see: those of the context, and its targeting key as ``targetingKey``."""
    if context is None:
        return {}
    if context.targeting_key is None:
        return context.attributes
    return {**context.attributes, "targetingKey": context.targeting_key}


def copy_json(value: "JsonValue") -> "JsonValue":
    """A copy with new objects and lists, for callers that may change it."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value
