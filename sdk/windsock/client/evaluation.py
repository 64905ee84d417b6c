"""The OpenFeature path: one place where windsock asks for the value of a flag.

Every evaluation means what `OpenFeatureClient` means: the same provider, contexts and hooks. Where no hook is
registered and the provider holds compiled rules in this process, the client's bookkeeping cannot be
observed, and the compiled rule is called directly; docs/benchmarks.md tells what that saves. With hooks
`windsock.client.hooks` makes the client's calls; for any other provider the client is used.
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
from openfeature.provider import ProviderStatus
from openfeature.provider._registry import provider_registry as _registry
from openfeature.transaction_context.no_op_transaction_context_propagator import (
    NoOpTransactionContextPropagator,
)

from windsock.client import hooks
from windsock.evaluator.outcome import Outcome
from windsock.providers.base import RuleProvider
from windsock.variables import environment_name

Attributes = Mapping[str, EvaluationContextAttribute]

SERVING = (ProviderStatus.READY, ProviderStatus.STALE, ProviderStatus.ERROR)
_INTERNED_MAX = 4096


class Evaluation:
    """The process's way to its flags: an OpenFeature client, and the environment every rule may target.

    Args:
        domain: OpenFeature domain whose provider serves, or None for the default provider.
        environment: Value of the attribute ``environment`` in every evaluation.

    Attributes:
        client: The OpenFeature client, of this object alone.
        domain: As given.
        environment: As given, else the process's.
        compiled: The provider seen last that holds compiled rules; `in_process` tells whether it is in force.
    """

    def __init__(self, domain: str | None = None, environment: str | None = None) -> None:
        self.client: OpenFeatureClient = api.get_client(domain)
        self.environment = environment or environment_name()
        self.domain = domain
        self.compiled: RuleProvider | None = None
        self._metadata = self.client.get_metadata()
        self._silent: object = None  # the transaction propagator last seen that propagates nothing
        self._interned: dict[tuple[object, ...], Outcome] = {}

    def provider(self) -> RuleProvider | None:
        """The provider in force if its rules may be called directly, else None.

        May be called directly: it holds compiled rules, serves, and no hook is registered anywhere.
        """
        return None if hook._hooks or self.client.hooks else self.in_process()  # noqa: SLF001

    def in_process(self) -> RuleProvider | None:
        """The provider in force if it holds compiled rules and serves, whatever hooks there are."""
        # This runs on every evaluation, and an accessor costs more than what it gives: so private names are
        # read. tests/evaluation proves that what is asked here is what the client would find.
        domain = self.domain
        provider = _registry._default_provider if domain is None else _registry.get_provider(domain)  # noqa: SLF001
        compiled = self.compiled
        if provider is not compiled:  # asked once of each, because isinstance takes a microsecond here
            if not isinstance(provider, RuleProvider) or provider.get_provider_hooks():
                return None
            compiled = self.compiled = provider
        return compiled if _registry._provider_status.get(provider) in SERVING else None  # noqa: SLF001

    def context(self, targeting_key: object, attributes: dict[str, Any]) -> dict[str, Any]:
        """What a rule sees: API, transaction, client and invocation attributes, as the client merges them.

        Args:
            targeting_key: The user's id, which becomes text; None or "" for nobody.
            attributes: The invocation's; completed in place, because copying them costs as much as the rule.
        """
        key = targeting_key if type(targeting_key) is str or targeting_key is None else str(targeting_key)
        outer = evaluation_context._evaluation_context  # noqa: SLF001 - as in `in_process`
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
            key = key or merged.targeting_key
        if "environment" not in attributes:
            attributes["environment"] = self.environment
        if key:
            attributes["targetingKey"] = key
        return attributes

    def _given(self, targeting_key: object, attributes: dict[str, Any]) -> EvaluationContext:
        """The whole context; the client merges the others into it to no effect."""
        given = self.context(targeting_key, attributes)
        return EvaluationContext(given.pop("targetingKey", None), given)

    def details(
        self, kind: FlagType, flag_key: str, default: Any, targeting_key: object, attributes: dict[str, Any]
    ) -> FlagEvaluationDetails[Any]:
        """Evaluate a flag with its hooks: as the client does, or by it where the provider is not ours.

        Args:
            kind: ``BOOLEAN`` or ``OBJECT``.
            flag_key: The flag's key.
            default: The caller's default.
            targeting_key: The user's id.
            attributes: The invocation's; completed in place.
        """
        context, client = self._given(targeting_key, attributes), self.client
        compiled = self.in_process()
        if compiled is None:
            return client.evaluate_flag_details(kind, flag_key, default, context)
        question = hooks.Question(flag_key, kind, default, context, self._metadata, compiled.get_metadata())
        return hooks.evaluate(compiled, hook._hooks + client.hooks, question)  # noqa: SLF001

    def object(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Outcome:
        """Evaluate an object flag with its hooks; equal results are one object, as compiled ones are."""
        return self._outcome(self.details(hooks.OBJECT, flag_key, {}, targeting_key, dict(attributes)))

    async def object_async(self, flag_key: str, targeting_key: str | None, attributes: Attributes) -> Outcome:
        """Do the same through the client's asynchronous call."""
        context = self._given(targeting_key, dict(attributes))
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
