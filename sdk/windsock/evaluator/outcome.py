"""What evaluating one flag gives."""

from collections.abc import Mapping
from dataclasses import dataclass

from openfeature.exception import ErrorCode

from windsock.flags import JsonValue


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

    value: JsonValue
    variant: str | None
    reason: str
    error_code: ErrorCode | None
    error_message: str | None
    flag_metadata: Mapping[str, JsonValue]
    flag_key: str
