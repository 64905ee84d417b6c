"""`start`, `stop`, `reload` and `wait_for`: the only place where the SDK does I/O of its own accord."""

import atexit
import os
from typing import TYPE_CHECKING, Literal, Self

from openfeature.provider import AbstractProvider

from windsock.healing.quarantine import quarantine
from windsock.settings.process import process
from windsock.variables import environment_name

if TYPE_CHECKING:
    from windsock.runtime.parts import Running
    from windsock.usage import Sink, UsageWriter

_running: "Running | None" = None


class Started:
    """What `start` returns; as a context manager it calls `stop` at the end of its block."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stop()


def start(
    *,
    flags: str | os.PathLike[str] | None = None,
    provider: AbstractProvider | None = None,
    environment: str | None = None,
    usage: "Sink | UsageWriter | str | Literal[False] | None" = None,
    domain: str | None = None,
) -> Started:
    """Start serving flags and recording usage. A second call replaces what the first started.

    ``with windsock.start():`` stops at the end of the block. Otherwise, call `stop` or let the process end.

    Args:
        flags: Folder of flagd files. By default, ``FLAGD_*`` decides; without it, the folder ``flagd``.
        provider: Your own OpenFeature provider, instead of files or flagd.
        environment: The environment that base flags target. Default: ``ENVIRONMENT``, else ``production``.
        usage: Where ``usage_logs`` rows go: a PostgreSQL URL, a sink, or a writer with its own options
            (`stop` stops it too). Default: ``DATABASE_URL`` if it's a PostgreSQL URL, else nowhere; ``False``
            and ``WINDSOCK_USAGE=off`` disable that default.
        domain: OpenFeature domain to serve. Default: the default provider, which plain OpenFeature calls also
            use.

    Raises:
        ConfigurationError: An argument or variable is invalid. Unreadable flags or an unavailable flagd don't
            raise: code defaults apply, `health` and the log report it, and the provider keeps trying.
    """
    from windsock.runtime.parts import Running, StartOptions  # noqa: PLC0415 - see there

    global _running  # noqa: PLW0603 - one runtime per process is the point
    stop()
    _running = Running(StartOptions(flags, provider, environment or environment_name(), usage, domain))
    atexit.register(stop)
    process.reload()
    return Started()


def stop() -> None:
    """Stop what `start` started: join the watcher, flush usage. Settings fall back to the environment."""
    global _running
    running, _running = _running, None
    process.evaluation = None
    if running is None:
        quarantine.reset()
        return
    atexit.unregister(stop)
    running.stop()


def reload() -> None:
    """Reread the environment, `.env` and the flag files now."""
    process.reload()
    if _running is not None:
        _running.reload()


def wait_for(revision: str, timeout: float = 5.0) -> bool:
    """Wait until this process has served a revision of a flag file.

    The configuration API's response to a `PUT` contains the ``revision`` that it wrote. If your next step in
    this process needs that change, wait for it here; other processes pick it up slightly earlier or later. In
    asyncio: ``await asyncio.to_thread(windsock.wait_for, revision)``.

    Args:
        revision: Twelve hexadecimal digits, of one file or, as in `windsock.health`, of the whole set.
        timeout: Seconds to wait.

    Returns:
        Whether it's served now or has been served since the start. Also False if a newer version replaced the
        file before this process read it.

    Raises:
        ConfigurationError: This process doesn't read flag files. A flagd server doesn't pass on file
            revisions, so wait for the value itself to change instead.
    """
    from windsock.runtime.revisions import wait  # noqa: PLC0415 - few processes wait

    return wait(revision, timeout)
