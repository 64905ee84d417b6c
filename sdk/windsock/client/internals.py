"""The only place that uses OpenFeature's private names.

On a path that takes a fifth of a microsecond, accessors are too expensive, so private names are read if the
SDK has them. If it doesn't, nothing here finds a provider or a status, and every call goes through the
ordinary client.
"""

from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from openfeature import evaluation_context, hook, transaction_context
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import FeatureProvider, ProviderStatus

_SERVING = (ProviderStatus.READY, ProviderStatus.STALE, ProviderStatus.ERROR)

P = TypeVar("P", bound=FeatureProvider)


class DirectPath(Generic[P]):
    """A bypass around an OpenFeature client, for providers that may be called directly.

    Args:
        client: The client whose hooks and context apply.
        domain: Its domain, or None for the default provider.
        kind: The class of providers that may be called directly.
    """

    __slots__ = ("_client", "_domain", "_kind", "_registry", "_seen", "_silent")

    def __init__(self, client: OpenFeatureClient, domain: str | None, kind: type[P]) -> None:
        self._client = client
        self._domain = domain
        self._kind = kind
        self._registry = _registry()
        self._seen: P | None = None  # cached, because isinstance takes a microsecond here
        self._silent: object = None  # the last transaction propagator seen that propagates nothing

    def provider(self) -> P | None:
        """The current provider if it may be called directly, else None.

        It may if it's of our kind, it's serving, and no hook is registered anywhere.
        """
        if hook._hooks or self._client.hooks:  # noqa: SLF001
            return None
        # the usual case of `in_process`, inlined because the call would double the cost
        registry, seen = self._registry, self._seen
        if registry._default_provider is seen and self._domain is None:  # noqa: SLF001
            return seen if registry._provider_status.get(seen) in _SERVING else None  # noqa: SLF001
        return self.in_process()

    def alone(self) -> P | None:
        """The same if all contexts but the call's own are empty: the usual case, in one call."""
        # what `provider` and `outer` do, inlined because calling them would double the cost
        client, seen = self._client, self._seen
        common, own = evaluation_context._evaluation_context, client.context  # noqa: SLF001
        if (
            self._registry._default_provider is not seen  # noqa: SLF001
            or self._domain is not None
            or transaction_context._evaluation_transaction_context_propagator is not self._silent  # noqa: SLF001
            or hook._hooks  # noqa: SLF001
            or client.hooks
            or common.attributes
            or common.targeting_key
            or own.attributes
            or own.targeting_key
        ):
            return None
        return seen if self._registry._provider_status.get(seen) in _SERVING else None  # noqa: SLF001

    def in_process(self) -> P | None:
        """The same as `provider`, regardless of hooks."""
        registry, domain = self._registry, self._domain
        provider = registry._default_provider if domain is None else registry.get_provider(domain)  # noqa: SLF001
        if provider is not self._seen:
            if not isinstance(provider, self._kind) or provider.get_provider_hooks():
                return None
            self._seen = provider
        return self._seen if registry._provider_status.get(provider) in _SERVING else None  # noqa: SLF001

    def outer(self) -> EvaluationContext | None:
        """The API, transaction and client contexts, merged; None if all are empty."""
        common, own = evaluation_context._evaluation_context, self._client.context  # noqa: SLF001
        propagator = transaction_context._evaluation_transaction_context_propagator  # noqa: SLF001
        if (
            propagator is self._silent
            and not common.attributes
            and not common.targeting_key
            and not own.attributes
            and not own.targeting_key
        ):
            return None
        if type(propagator).__name__ == "NoOpTransactionContextPropagator":
            self._silent = propagator
        return common.merge(propagator.get_transaction_context()).merge(own)


@cache
def missing_names() -> tuple[str, ...]:
    """The private names that this version of the SDK lacks; empty for known versions."""
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
    """OpenFeature's status for a provider; None if this version of the SDK doesn't reveal it."""
    if missing_names():
        return None
    status: ProviderStatus = _registry().get_provider_status(provider)
    return status


def path_of(client: OpenFeatureClient, domain: str | None, kind: type[P]) -> DirectPath[P]:
    """The path to a client's provider: around the client, or through it if the SDK's private names differ.

    Args:
        client: The client whose hooks and context apply.
        domain: Its domain, or None for the default provider.
        kind: The class of providers that may be called directly.
    """
    if missing_names():
        from windsock.client.public_calls import ClientPath  # noqa: PLC0415 - the versions we know don't need it

        return ClientPath(client)
    return DirectPath(client, domain, kind)


def _registry() -> Any:
    return import_module("openfeature.provider._registry").provider_registry
