"""The OpenFeature path: one place where windsock asks for the value of a flag.

Every evaluation means what `OpenFeatureClient` means: the same provider, contexts and hooks. Where no hook is
registered and the provider holds compiled rules in this process, the client's bookkeeping cannot be
observed, and the compiled rule is called directly; that is about sixty times faster. With hooks
`windsock.hooked` makes the client's calls; for any other provider the client is used.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from openfeature import api, evaluation_context, hook, transaction_context
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext, EvaluationContextAttribute
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagType, Reason
from openfeature.provider import FeatureProvider, ProviderStatus
from openfeature.provider._registry import provider_registry as _registry
from openfeature.transaction_context.no_op_transaction_context_propagator import (
    NoOpTransactionContextPropagator,
)

from windsock import hooked
from windsock.environment import environment_name
from windsock.evaluator import Outcome
from windsock.providers.compiled import CompiledProvider

Attributes = Mapping[str, EvaluationContextAttribute]

_READY, _STALE, _ERROR = ProviderStatus.READY, ProviderStatus.STALE, ProviderStatus.ERROR
_INTERNED_MAX = 4096


class Evaluation:
    """The process's way to its flags: an OpenFeature client, and the environment every rule may target.

    Args:
        domain: OpenFeature domain whose provider serves, or None for the default provider.
        environment: Value of the attribute ``environment`` in every evaluation.
    """

    def __init__(self, domain: str | None = None, environment: str | None = None) -> None:
        self.client: OpenFeatureClient = api.get_client(domain)
        self.environment = environment or environment_name()
        self._domain = domain
        self._seen: FeatureProvider | None = None
        self._compiled: CompiledProvider | None = None
        self._silent: object = None  # the transaction propagator last seen that propagates nothing
        self._interned: dict[tuple[object, ...], Outcome] = {}

    def provider(self) -> CompiledProvider | None:
        """The provider in force if its rules may be called directly, else None.

        May be called directly: it holds compiled rules, serves, and no hook is registered anywhere.
        """
        # This runs on every evaluation, and an accessor or an isinstance costs more than the check behind it:
        # so private names are read, and what a provider is is asked once. tests/evaluation proves both equal.
        domain = self._domain
        provider = _registry._default_provider if domain is None else _registry.get_provider(domain)  # noqa: SLF001
        if provider is not self._seen:
            self._see(provider)
        if hook._hooks or self.client.hooks:  # noqa: SLF001
            return None
        return self._serving(provider)

    def _serving(self, provider: FeatureProvider) -> CompiledProvider | None:
        """The provider seen last, if it holds compiled rules and serves."""
        status = _registry._provider_status.get(provider)  # noqa: SLF001
        return self._compiled if status is _READY or status is _STALE or status is _ERROR else None

    def _see(self, provider: FeatureProvider) -> None:
        self._compiled = provider if isinstance(provider, CompiledProvider) else None
        self._seen = provider

    def context(self, targeting_key: str | None, attributes: dict[str, Any]) -> dict[str, Any]:
        """What a rule sees: API, transaction, client and invocation attributes, as the client merges them.

        Args:
            targeting_key: The user's id.
            attributes: The invocation's; completed in place, because copying them costs as much as the rule.
        """
        outer = evaluation_context._evaluation_context  # noqa: SLF001 - as in `provider`
        own = self.client.context
        propagator = transaction_context._evaluation_transaction_context_propagator  # noqa: SLF001 - likewise
        if (
            propagator is not self._silent
            or outer.attributes
            or outer.targeting_key
            or own.attributes
            or own.targeting_key
        ):
            if type(propagator) is NoOpTransactionContextPropagator:
                self._silent = propagator
            merged = outer.merge(propagator.get_transaction_context()).merge(own)
            attributes = {**merged.attributes, **attributes}
            targeting_key = targeting_key or merged.targeting_key
        if "environment" not in attributes:
            attributes["environment"] = self.environment
        attributes["targetingKey"] = targeting_key
        return attributes

    def outcome(self, key: str, targeting_key: str | None, attributes: dict[str, Any]) -> Outcome | None:
        """Evaluate one flag directly; None where `provider` is None. `attributes` are completed in place."""
        # `provider` and `context` once more, in one frame: two calls less are a sixth of a feature's time.
        domain, client = self._domain, self.client
        provider = _registry._default_provider if domain is None else _registry.get_provider(domain)  # noqa: SLF001
        if provider is not self._seen:
            self._see(provider)
        compiled = self._compiled
        if compiled is None or hook._hooks or client.hooks:  # noqa: SLF001
            return None
        status = _registry._provider_status.get(provider)  # noqa: SLF001
        if status is not _READY and status is not _STALE and status is not _ERROR:
            return None
        flag = compiled.compiled.get(key)
        if flag is None:
            return missing(key)
        constant = flag.constant
        if constant is not None:
            return constant
        outer, own = evaluation_context._evaluation_context, client.context  # noqa: SLF001
        if (
            transaction_context._evaluation_transaction_context_propagator is not self._silent  # noqa: SLF001
            or outer.attributes
            or outer.targeting_key
            or own.attributes
            or own.targeting_key
        ):
            attributes = self.context(targeting_key, attributes)
        else:
            if "environment" not in attributes:
                attributes["environment"] = self.environment
            attributes["targetingKey"] = targeting_key
        evaluate = flag.evaluate  # a variable, because Python calls a slot's function slower in one step
        return evaluate(attributes)

    def invocation(self, targeting_key: str | None, attributes: Attributes) -> EvaluationContext:
        """The same for a call of the client, which merges it once more to no effect."""
        context = self.context(targeting_key, dict(attributes))
        key = context.pop("targetingKey")
        return EvaluationContext(key, context)

    def object(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Outcome:
        """Evaluate an object flag with its hooks; equal results are one object, as compiled ones are."""
        context = self.invocation(targeting_key, attributes)
        return self._outcome(self._details(FlagType.OBJECT, flag_key, {}, context))

    def boolean(
        self, flag_key: str, targeting_key: str | None, attributes: Attributes, *, default: bool
    ) -> bool:
        """Evaluate a boolean flag with its hooks."""
        context = self.invocation(targeting_key, attributes)
        value: bool = self._details(FlagType.BOOLEAN, flag_key, default, context).value
        return value

    def _details(
        self, kind: FlagType, flag_key: str, default: Any, context: EvaluationContext
    ) -> FlagEvaluationDetails[Any]:
        """Make the calls that the client makes, by the client where the provider is not ours."""
        client = self.client
        provider = client.provider
        if provider is not self._seen or (compiled := self._serving(provider)) is None:
            return client.evaluate_flag_details(kind, flag_key, default, context)
        resolve = (
            compiled.resolve_boolean_details if kind is FlagType.BOOLEAN else compiled.resolve_object_details
        )
        return hooked.evaluate(client, compiled, hooked.Question(kind, flag_key, default, context, resolve))

    async def object_async(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Outcome:
        """Do the same through the client's asynchronous call."""
        context = self.invocation(targeting_key, attributes)
        return self._outcome(await self.client.get_object_details_async(flag_key, {}, context))

    def _outcome(self, details: FlagEvaluationDetails[Any]) -> Outcome:
        """Intern what the client answered by its content, so that settings are validated once per variant."""
        served = details.variant is not None and details.error_code is None
        value = details.value if served else None
        key = (details.flag_key, details.variant, details.reason, details.error_code, _fingerprint(value))
        known = self._interned.get(key)
        if known is None:
            if len(self._interned) >= _INTERNED_MAX:
                self._interned = {}
            known = Outcome(
                flag_key=details.flag_key,
                value=value,
                variant=details.variant,
                reason=str(details.reason or Reason.UNKNOWN),
                error_code=details.error_code,
                error_message=details.error_message,
                flag_metadata=details.flag_metadata,
            )
            self._interned[key] = known
        return known


@lru_cache(maxsize=_INTERNED_MAX)
def missing(flag_key: str) -> Outcome:
    """The outcome of a flag that is nowhere: the code default serves."""
    return Outcome(
        flag_key=flag_key,
        value=None,
        variant=None,
        reason=str(Reason.ERROR),
        error_code=ErrorCode.FLAG_NOT_FOUND,
        error_message=f"flag {flag_key!r} is in no flag file",
        flag_metadata={},
    )


def _fingerprint(value: object) -> str | None:
    if value is None:
        return None
    return json.dumps(value, sort_keys=True, default=repr)
