"""What serves at this moment."""

from dataclasses import dataclass

from openfeature.provider import ProviderStatus
from openfeature.provider.no_op_provider import NoOpProvider

from windsock import threads
from windsock.healing.mirrors import MirrorReport, heard
from windsock.healing.quarantine import Withdrawal, quarantine
from windsock.providers.base import Serving, ServingProvider
from windsock.settings.process import process
from windsock.settings.resolution import Resolver
from windsock.usage.data import UsageHealth
from windsock.usage.request import installed

_NOT_EVALUATING = {ProviderStatus.NOT_READY, ProviderStatus.FATAL}
"""What OpenFeature's client answers with the caller's default, without asking the provider."""


@dataclass(frozen=True, slots=True)
class Health:
    """What serves at this moment; for a health page.

    Attributes:
        ready: A set of flags is loaded and serves, however old. An unreachable server does not make a process
            unready that holds its last good set: `status` and `stale` say so.
        status: OpenFeature's provider status: ``READY``, ``STALE``, ``ERROR``, ``NOT_READY``, ``FATAL``.
        provider: Name of the provider.
        environment: What base flags target.
        source: Where the flags come from; empty for a provider that does not tell.
        revision: Content hash of the set; likewise.
        age: Seconds since the set began to serve; 0.0 where unknown.
        stale: Why a newer set could not be taken, or empty.
        problems: Flags that turned themselves off, one message each.
        shadowed: Fields of a base flag that the environment overrides, as ``flag.field``.
        withdrawn: Values that are not served because they failed in use.
        mirrors: What `windsock mirror` last reported to the database, group by group: how old its word is,
            and what is wrong with it. Empty without a database, and until the first exchange with it.
        usage: What the usage writer has done; None where nothing is recorded.
    """

    ready: bool
    status: str
    provider: str
    environment: str
    source: str = ""
    revision: str = ""
    age: float = 0.0
    stale: str = ""
    problems: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    withdrawn: tuple[Withdrawal, ...] = ()
    mirrors: tuple[MirrorReport, ...] = ()
    usage: UsageHealth | None = None


def health() -> Health:
    """Tell what serves at this moment."""
    threads.begin_waiting()
    evaluation = process.evaluating()
    provider = evaluation.client.provider
    status = evaluation.client.get_provider_status()
    if isinstance(provider, ServingProvider):
        serving = provider.serving
        ready = status not in _NOT_EVALUATING and provider.ready()
    elif isinstance(provider, NoOpProvider):  # OpenFeature's own, which it calls ready
        status, ready = ProviderStatus.NOT_READY, False
        serving = Serving("", stale="no flags are served: call windsock.start()")
    else:
        serving = Serving("", revision="unknown")
        ready = status in {ProviderStatus.READY, ProviderStatus.STALE}
    resolvers = [reader for reader in process.readers if isinstance(reader, Resolver)]
    return Health(
        ready=ready,
        status=status.value,
        provider=provider.get_metadata().name,
        environment=evaluation.environment,
        source=serving.source,
        revision=serving.revision,
        age=serving.age,
        stale=serving.stale,
        problems=tuple(str(problem) for problem in serving.problems),
        shadowed=tuple(sorted({name for resolver in resolvers for name in resolver.shadowed()})),
        withdrawn=quarantine.in_force(),
        mirrors=heard.reports,
        usage=None if (writer := installed()) is None else writer.health(),
    )
