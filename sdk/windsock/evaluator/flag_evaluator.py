"""The evaluator protocol of flagd's Python providers, implemented with compiled flags."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar, cast

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    ErrorCode,
    FlagNotFoundError,
    GeneralError,
    OpenFeatureError,
    ParseError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType

from windsock.errors import FlagFileError
from windsock.evaluator.compiled import Clock, CompiledFlag, unix_time
from windsock.evaluator.membership import LiteralSets
from windsock.evaluator.outcome import attributes_of, copy_json
from windsock.flags import Flag, FlagSet, JsonValue, merge, read_document
from windsock.flags.values import kind

T = TypeVar("T")

_RAISED: Final[Mapping[ErrorCode, Callable[[str | None], OpenFeatureError]]] = {
    ErrorCode.PARSE_ERROR: ParseError,
    ErrorCode.TYPE_MISMATCH: TypeMismatchError,
}


class _UnfitError(Exception):
    """The value isn't of the requested type."""


class _Served(NamedTuple):
    """A set and its compiled flags, replaced together."""

    flag_set: FlagSet
    compiled: Mapping[str, CompiledFlag]


class FlagEvaluator:
    """Evaluates flags; a drop-in replacement for ``openfeature.contrib.tools.flagd.core.FlagdCore``.

    It needs no lock: a single assignment swaps in a newly compiled set, so readers see either the old set or
    the new one. If two loads run concurrently, the last to finish wins.

    Args:
        source: The name used in problem reports for a set passed as text or a mapping.
        clock: Unix seconds, for ``$flagd.timestamp``.
    """

    def __init__(self, source: str = "flags", clock: Clock = unix_time) -> None:
        self._source = source
        self._clock = clock
        self._served = _Served(FlagSet({}, ""), {})

    @property
    def compiled(self) -> Mapping[str, CompiledFlag]:
        """The compiled flags by key; a load replaces the mapping rather than changing it."""
        return self._served.compiled

    @property
    def flag_set(self) -> FlagSet:
        """The set being served."""
        return self._served.flag_set

    def load(self, flag_set: FlagSet) -> frozenset[str]:
        """Serve a new set.

        Unchanged flags keep their compiled form, and with it the identity of their outcomes.

        Returns:
            The keys that were added, removed or changed.
        """
        before = self._served.compiled
        sets = LiteralSets()
        compiled = {key: self._compile(flag, before.get(key), sets) for key, flag in flag_set.flags.items()}
        changed = {key for key, flag in compiled.items() if flag is not before.get(key)}
        self._served = _Served(flag_set, compiled)
        return frozenset(changed | (before.keys() - compiled.keys()))

    def _compile(self, flag: Flag, before: CompiledFlag | None, sets: LiteralSets) -> CompiledFlag:
        if before is not None and before.flag.same_as(flag):
            return before
        return CompiledFlag(flag, sets, self._clock)

    def set_flags(self, flag_configuration: str | dict[str, object]) -> None:
        """Serve the flags of one flagd document, given as JSON text or decoded.

        Raises:
            ParseError: None of it can be read; the previous set stays in use.
        """
        self.set_flags_and_get_changed_keys(flag_configuration)

    def set_flags_and_get_changed_keys(self, flag_configuration: str | dict[str, object]) -> list[str]:
        """Do what ``set_flags`` does; return the sorted keys that were added, removed or changed.

        Raises:
            ParseError: See ``set_flags``.
        """
        try:
            text = (
                flag_configuration if isinstance(flag_configuration, str) else json.dumps(flag_configuration)
            )
            document = read_document(text.encode(errors="surrogatepass"), self._source)
        except (TypeError, ValueError, RecursionError) as error:
            raise ParseError(f"{self._source}: the flags cannot be written as JSON: {error}") from error
        except FlagFileError as error:
            raise ParseError(str(error)) from error
        return sorted(self.load(merge([document])))

    def get_flag_set_metadata(self) -> Mapping[str, float | int | str | bool]:
        """A copy of the set's metadata."""
        return cast("dict[str, float | int | str | bool]", copy_json(self._served.flag_set.metadata))

    def resolve_boolean_value(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - the protocol's signature
        ctx: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Evaluate a boolean flag; raises OpenFeature's errors as the protocol's reference does."""
        return self._resolve(flag_key, default_value, ctx, _boolean)

    def resolve_string_value(
        self, flag_key: str, default_value: str, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Evaluate a text flag."""
        return self._resolve(flag_key, default_value, ctx, _string)

    def resolve_integer_value(
        self, flag_key: str, default_value: int, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Evaluate a whole-number flag; 1.0 is whole, 1.5 is a type mismatch rather than a silent 1."""
        return self._resolve(flag_key, default_value, ctx, _integer)

    def resolve_float_value(
        self, flag_key: str, default_value: float, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Evaluate a number flag."""
        return self._resolve(flag_key, default_value, ctx, _float)

    def resolve_object_value(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        ctx: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Evaluate an object or list flag; the value is the caller's own copy."""
        return self._resolve(flag_key, default_value, ctx, _object)

    def _resolve(
        self, key: str, default: T, context: EvaluationContext | None, fit: Callable[[JsonValue], T]
    ) -> FlagResolutionDetails[T]:
        compiled = self._served.compiled.get(key)
        if compiled is None:
            raise FlagNotFoundError(f"flag {key!r} is not in the set that is served ({self._source})")
        outcome = compiled.evaluate(attributes_of(context))
        if outcome.error_code is not None:
            raise _RAISED.get(outcome.error_code, GeneralError)(outcome.error_message)
        try:
            value = default if outcome.value is None else fit(outcome.value)
        except _UnfitError as error:
            raise TypeMismatchError(f"flag {key!r}: variant {outcome.variant!r} is {error}") from None
        return FlagResolutionDetails(
            value=value,
            variant=outcome.variant,
            reason=outcome.reason,
            flag_metadata=cast("dict[str, bool | int | float | str]", copy_json(outcome.flag_metadata)),
        )


def _boolean(value: JsonValue) -> bool:
    if isinstance(value, bool):
        return value
    raise _unfit("a boolean", value)


def _string(value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    raise _unfit("text", value)


def _integer(value: JsonValue) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _unfit("a whole number", value)


def _float(value: JsonValue) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise _unfit("a number", value)


def _object(value: JsonValue) -> Sequence[FlagValueType] | Mapping[str, FlagValueType]:
    if isinstance(value, (dict, list)):
        return cast("Mapping[str, FlagValueType]", copy_json(value))
    raise _unfit("an object or a list", value)


def _unfit(wanted: str, value: JsonValue) -> _UnfitError:
    return _UnfitError(f"{kind(value)}, but {wanted} is requested")
