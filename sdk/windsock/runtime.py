"""`start`, `stop`, `reload` and `health`: the one place where the SDK does I/O on its own account."""

import atexit
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openfeature.provider import AbstractProvider, ProviderStatus
from openfeature.provider._registry import provider_registry

from windsock import exposures
from windsock.environment import environment_name
from windsock.healing.quarantine import Withdrawal, quarantine
from windsock.resolution import Resolver, process
from windsock.serving import Serving, ServingProvider
from windsock.use import UsageHealth

if TYPE_CHECKING:
    from windsock.running import Running
    from windsock.usage import Sink, UsageWriter

_running: "Running | None" = None

_NOT_EVALUATING = {ProviderStatus.NOT_READY, ProviderStatus.FATAL}
"""What OpenFeature's client answers with the caller's default, without asking the provider."""


@dataclass(frozen=True, slots=True)
class Health:
    """What serves at this moment; for a health page.

    Attributes:
        ready: A set of flags is loaded and serves, however old. A server that is away does not make a process
            unready that holds its last good set: `status` and `stale` tell of it.
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
    usage: UsageHealth | None = None


def start(
    *,
    flags: str | os.PathLike[str] | None = None,
    provider: AbstractProvider | None = None,
    environment: str | None = None,
    usage: "Sink | UsageWriter | str | None" = None,
    domain: str | None = None,
) -> None:
    """Begin to serve flags, and to record usage. A second call replaces what the first started.

    Args:
        flags: Folder of flagd files. By default ``FLAGD_*`` decides, and without it the folder ``flagd``.
        provider: An OpenFeature provider of your own, instead of files or flagd.
        environment: What base flags target. Default: ``ENVIRONMENT``, else ``production``.
        usage: Where ``usage_logs`` rows go: a PostgreSQL URL, a sink, or a writer with options of its own
            (`stop` stops it too). Default: ``DATABASE_URL``; unset, nowhere.
        domain: OpenFeature domain to serve. Default: the default provider, which plain OpenFeature calls use
            too.

    Raises:
        ConfigurationError: An argument or variable cannot be used. Unreadable flags or a flagd that is down
            are no error: code defaults serve, `health` and the log say so, and the provider goes on trying.
    """
    from windsock.running import Options, Running  # noqa: PLC0415 - see there

    global _running  # noqa: PLW0603 - one runtime per process is the point
    stop()
    _running = Running(Options(flags, provider, environment or environment_name(), usage, domain))
    atexit.register(stop)
    process.reload()


def stop() -> None:
    """Stop what `start` started: join the watcher, flush usage. Settings fall to the environment."""
    global _running
    running, _running = _running, None
    process.evaluation = None
    if running is None:
        quarantine.reset()
        return
    atexit.unregister(stop)
    running.stop()


def reload() -> None:
    """Read the environment, `.env` and the flag files again, now."""
    process.reload()
    if _running is not None:
        _running.reload()


def health() -> Health:
    """Tell what serves at this moment."""
    evaluation = process.evaluating()
    provider = evaluation.client.provider
    status = provider_registry.get_provider_status(provider)
    if isinstance(provider, ServingProvider):
        serving = provider.serving
        ready = status not in _NOT_EVALUATING and provider.ready()
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
        usage=None if (writer := exposures.installed()) is None else writer.health(),
    )
