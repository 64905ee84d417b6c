"""The common base of providers that evaluate in this process: compiled rules, including the sentinel."""

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.event import ProviderEventDetails
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import Metadata

from windsock.evaluator import CompiledFlag, FlagEvaluator
from windsock.flag_names import COUNT, SENTINEL
from windsock.flags import Flag, FlagSet
from windsock.providers.base import RuleProvider, Serving
from windsock.usage.request import current_request

if TYPE_CHECKING:
    from windsock.providers.shards import ShardedFlag
    from windsock.providers.sync_context import FlagInContext

AnyFlag: TypeAlias = "CompiledFlag | ShardedFlag | FlagInContext"


def _sharded(compiled: Mapping[str, CompiledFlag]) -> "dict[str, ShardedFlag]":
    """The flags that the mirror split across several files."""
    if not any(key.endswith(COUNT) for key in compiled):
        return {}
    from windsock.providers.shards import sharded  # noqa: PLC0415 - only where a mirror writes

    return sharded(compiled)


def _in_context(
    flags: "Mapping[str, CompiledFlag | ShardedFlag]", below: Mapping[str, EvaluationContextAttribute]
) -> "Mapping[str, CompiledFlag | ShardedFlag | FlagInContext]":
    """Flags evaluated with the attributes, if any, that a server lays below every context."""
    if not below:
        return flags
    from windsock.providers.sync_context import FlagInContext  # noqa: PLC0415 - only a stream's server does

    return {key: FlagInContext(flag, below) for key, flag in flags.items()}


class CompiledProvider(RuleProvider):
    """An OpenFeature provider over `FlagEvaluator`; subclasses supply the flags.

    Args:
        name: Provider name in OpenFeature's metadata.
        source: Where flags come from, for `Serving`.
        context: Attributes laid below every evaluation context, such as ``environment``.

    Attributes:
        compiled: The flags in use by key, including `SENTINEL`; replaced as a whole after each change, never
            changed in place.
    """

    __slots__ = ("compiled",)  # `copy` makes other attributes slow: their dictionary is no longer inline

    def __init__(self, name: str, source: str, context: Mapping[str, EvaluationContextAttribute]) -> None:
        super().__init__(source)
        self._metadata = Metadata(name)
        self._own_context = EvaluationContext(attributes=dict(context))
        self._context = self._own_context
        self._below: Mapping[str, EvaluationContextAttribute] = {}
        self._evaluator = FlagEvaluator()
        self.compiled: Mapping[str, AnyFlag] = {}
        self._sharded: Mapping[str, ShardedFlag] = {}

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return self._metadata

    def ready(self) -> bool:
        """Whether a set is loaded, so that its sentinel, evaluated like any flag, answers."""
        try:
            return self.resolve_string_details(SENTINEL, "").value != ""
        except OpenFeatureError:
            return False

    def _serve(
        self,
        flag_set: FlagSet,
        stale: str = "",
        *,
        below: Mapping[str, EvaluationContextAttribute] | None = None,
        loaded_at: float | None = None,
    ) -> None:
        """Put a new set into use and tell OpenFeature's listeners what changed.

        Args:
            flag_set: The set.
            stale: Why it isn't the newest, or empty.
            below: Attributes that a server lays below every context and below the provider's own attributes.
            loaded_at: Unix time at which it came into use, in seconds; now, unless it was saved earlier.
        """
        below = below or {}
        if flag_set.revision != self.serving.revision or below != self._below:
            changed = self._evaluator.load(_with_sentinel(flag_set))
            self._sharded = _sharded(self._evaluator.compiled)
            self._below = below
            self._context = EvaluationContext(attributes=dict(below)).merge(self._own_context)
            flags: dict[str, CompiledFlag | ShardedFlag] = {**self._evaluator.compiled, **self._sharded}
            self.compiled = _in_context(flags, below)
            self.serving = Serving(
                self.serving.source,
                flag_set.revision,
                time.time() if loaded_at is None else loaded_at,
                self.serving.stale,
                flag_set.problems,
            )
            keys = sorted(changed - {SENTINEL})
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=keys))
        self.serving = replace(self.serving, stale=stale)
        self.current = frozen = copy(self)  # for the requests that have already used it
        frozen.current, frozen._evaluator = frozen, copy(self._evaluator)  # noqa: SLF001 - of the same class
        self._tell()

    def _asked(
        self, context: EvaluationContext | None
    ) -> "tuple[FlagEvaluator, Mapping[str, ShardedFlag], EvaluationContext]":
        """What evaluates for the whole of the current request, and the complete context."""
        request = current_request()
        seen = self if request is None else request.pinned(self)
        own = seen._context  # noqa: SLF001 - of the same class
        return seen._evaluator, seen._sharded, own if context is None else own.merge(context)  # noqa: SLF001

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean flag."""
        evaluator, _, context = self._asked(evaluation_context)
        return evaluator.resolve_boolean_value(flag_key, default_value, context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a string flag."""
        evaluator, _, context = self._asked(evaluation_context)
        return evaluator.resolve_string_value(flag_key, default_value, context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer flag."""
        evaluator, _, context = self._asked(evaluation_context)
        return evaluator.resolve_integer_value(flag_key, default_value, context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a float flag; integer variants are returned as floats."""
        evaluator, _, context = self._asked(evaluation_context)
        return evaluator.resolve_float_value(flag_key, default_value, context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Resolve an object flag; the value is the caller's own copy."""
        evaluator, shards, context = self._asked(evaluation_context)
        whole = shards.get(flag_key)
        key = flag_key if whole is None else whole.shard(context.targeting_key).key
        return evaluator.resolve_object_value(key, default_value, context)


def _with_sentinel(flag_set: FlagSet) -> FlagSet:
    """Add the sentinel to a flag set, unless the set is empty or has no usable flag."""
    if not flag_set.revision or (flag_set.problems and not flag_set.flags):
        return flag_set
    sentinel = Flag(
        key=SENTINEL,
        enabled=True,
        variants={"revision": flag_set.revision},
        default_variant="revision",
        targeting=None,
        metadata={},
    )
    return replace(flag_set, flags={**flag_set.flags, SENTINEL: sentinel})
