"""The one place that reads OpenFeature's private names.

An accessor costs more than what it returns on a path of a fifth of a microsecond, so private names are read
where the SDK has them. Where it doesn't, nothing here finds a provider or a status, and every call goes
through the ordinary client.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from openfeature import api, evaluation_context, hook, transaction_context
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import FeatureProvider, ProviderStatus

_SERVING = (ProviderStatus.READY, ProviderStatus.STALE, ProviderStatus.ERROR)

P = TypeVar("P", bound=FeatureProvider)


@dataclass(frozen=True, slots=True)
class DirectPath(Generic[P]):
    """Ways past one OpenFeature client, for a provider that may be asked directly.

    Attributes:
        provider: The provider in force if it may be asked directly: it is of our kind, it serves, and no hook
            is registered anywhere; else None.
        in_process: The same, whatever hooks there are.
        outer: The API's, the transaction's and the client's contexts, merged; None where all are empty.
    """

    provider: Callable[[], P | None]
    in_process: Callable[[], P | None]
    outer: Callable[[], EvaluationContext | None]


@cache
def moved() -> tuple[str, ...]:
    """The private names that this version of the SDK lacks; empty for the versions we know."""
    expected: dict[str, tuple[str, tuple[str, ...]]] = {
        "openfeature.hook": ("", ("_hooks",)),
        "openfeature.evaluation_context": ("", ("_evaluation_context",)),
        "openfeature.transaction_context": ("", ("_evaluation_transaction_context_propagator",)),
        "openfeature.provider._registry": ("provider_registry", ("_default_provider", "_provider_status")),
    }
    missing = []
    for module, (holder, names) in expected.items():
        try:
            found: object = import_module(module)
            found = getattr(found, holder) if holder else found
        except (ImportError, AttributeError):
            missing.append(f"{module}.{holder}".rstrip("."))
            continue
        missing += [f"{module}.{name}" for name in names if not hasattr(found, name)]
    return tuple(missing)


def status_of(provider: FeatureProvider) -> ProviderStatus | None:
    """The status that OpenFeature holds of a provider; None where this version of the SDK doesn't tell."""
    if moved():
        return None
    status: ProviderStatus = _registry().get_provider_status(provider)
    return status


def direct_path(client: OpenFeatureClient, domain: str | None, kind: type[P]) -> DirectPath[P]:
    """Find the ways past a client.

    Args:
        client: The client whose hooks and context count.
        domain: Its domain, or None for the default provider.
        kind: The class of the providers that may be asked directly.
    """
    if moved():
        return DirectPath(_nothing, _nothing, lambda: _merged(client))
    registry = _registry()
    seen: P | None = None  # what was asked once, because isinstance takes a microsecond here

    def in_process() -> P | None:
        nonlocal seen
        provider = registry._default_provider if domain is None else registry.get_provider(domain)  # noqa: SLF001
        if provider is not seen:
            if not isinstance(provider, kind) or provider.get_provider_hooks():
                return None
            seen = provider
        return seen if registry._provider_status.get(provider) in _SERVING else None  # noqa: SLF001

    def provider() -> P | None:
        if hook._hooks or client.hooks:  # noqa: SLF001
            return None
        # the usual case of `in_process`, whose call costs as much as it does
        if seen is not None and registry._default_provider is seen and domain is None:  # noqa: SLF001
            return seen if registry._provider_status.get(seen) in _SERVING else None  # noqa: SLF001
        return in_process()

    return DirectPath(provider, in_process, _outer(client))


def _outer(client: OpenFeatureClient) -> Callable[[], EvaluationContext | None]:
    silent: object = None  # the transaction propagator last seen that propagates nothing

    def outer() -> EvaluationContext | None:
        nonlocal silent
        common, own = evaluation_context._evaluation_context, client.context  # noqa: SLF001
        propagator = transaction_context._evaluation_transaction_context_propagator  # noqa: SLF001
        if (
            propagator is silent
            and not common.attributes
            and not common.targeting_key
            and not own.attributes
            and not own.targeting_key
        ):
            return None
        if type(propagator).__name__ == "NoOpTransactionContextPropagator":
            silent = propagator
        return common.merge(propagator.get_transaction_context()).merge(own)

    return outer


def _merged(client: OpenFeatureClient) -> EvaluationContext:
    return api.get_evaluation_context().merge(api.get_transaction_context()).merge(client.context)


def _nothing() -> None:
    return None


def _registry() -> Any:
    return import_module("openfeature.provider._registry").provider_registry
