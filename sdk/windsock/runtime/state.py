"""What serves at this moment."""

from dataclasses import dataclass

from openfeature.provider import ProviderStatus
from openfeature.provider.no_op_provider import NoOpProvider

from windsock import threads
from windsock.healing.mirrors import MirrorReport, mirror_reports
from windsock.healing.quarantine import Withdrawal, quarantine
from windsock.providers.base import Serving, ServingProvider
from windsock.settings.process import process
from windsock.settings.resolver import Resolver
from windsock.usage.data import UsageHealth
from windsock.usage.request import installed

_NOT_EVALUATING = {ProviderStatus.NOT_READY, ProviderStatus.FATAL}
"""What OpenFeature's client answers with the caller's default, without asking the provider."""


@dataclass(frozen=True, slots=True)
class Health:
    """The current serving state, for a health page.

    Attributes:
        ready: A set of flags is loaded and served, however old. If the server is unreachable, a process with
            its last good set stays ready; `status` and `stale` report the problem.
        status: OpenFeature's provider status: ``READY``, ``STALE``, ``ERROR``, ``NOT_READY``, ``FATAL``.
        provider: Name of the provider.
        environment: The environment that base flags target.
        source: Where the flags come from; empty if the provider doesn't report it.
        revision: Content hash of the set; empty if the provider doesn't report it.
        age: Seconds since the set came into use; 0.0 if unknown.
        stale: Why a newer set couldn't be loaded, or empty.
        problems: Flags turned off because of errors, one message each.
        shadowed: Fields of a base flag that the environment overrides, as ``flag.field``.
        withdrawn: Values that aren't served because they failed in use.
        mirrors: The last reports of `windsock mirror` to the database, per group: their age and any
            problem. Empty without a database, and until the first exchange with it.
        usage: The usage writer's counts; None if nothing is recorded.
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
    elif isinstance(provider, NoOpProvider):  # OpenFeature's own provider, which it calls ready
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
        mirrors=mirror_reports.latest,
        usage=None if (writer := installed()) is None else writer.health(),
    )
