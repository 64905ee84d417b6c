"""`start`, `stop`, `reload` and `wait_for`: the one place where the SDK does I/O on its own account."""

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
    """Begin to serve flags, and to record usage. A second call replaces what the first started.

    ``with windsock.start():`` stops at the end of its block. Else `stop` does, or the end of the process.

    Args:
        flags: Folder of flagd files. By default ``FLAGD_*`` decides, and without it the folder ``flagd``.
        provider: An OpenFeature provider of your own, instead of files or flagd.
        environment: What base flags target. Default: ``ENVIRONMENT``, else ``production``.
        usage: Where ``usage_logs`` rows go: a PostgreSQL URL, a sink, or a writer with options of its own
            (`stop` stops it too). Default: ``DATABASE_URL`` if that is PostgreSQL's, else nowhere; ``False``
            and ``WINDSOCK_USAGE=off`` keep it from being used.
        domain: OpenFeature domain to serve. Default: the default provider, which plain OpenFeature calls use
            too.

    Raises:
        ConfigurationError: An argument or variable cannot be used. Unreadable flags or a flagd that is down
            don't fail: code defaults serve, `health` and the log say so, and the provider goes on trying.
    """
    from windsock.runtime.parts import Running, StartOptions  # noqa: PLC0415 - see there

    global _running  # noqa: PLW0603 - one runtime per process is the point
    stop()
    _running = Running(StartOptions(flags, provider, environment or environment_name(), usage, domain))
    atexit.register(stop)
    process.reload()
    return Started()


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


def wait_for(revision: str, timeout: float = 5.0) -> bool:
    """Wait until this process has served a revision of a flag file.

    The answer of the configuration API to a `PUT` has the ``revision`` that it wrote. Whoever must have that
    change in the next thing it does, in this process, waits for it here; other processes have theirs a little
    earlier or later. In asyncio: ``await asyncio.to_thread(windsock.wait_for, revision)``.

    Args:
        revision: Twelve hexadecimal digits: of one file, or the whole set's, as `windsock.health` has it.
        timeout: Seconds to wait.

    Returns:
        Whether it serves now or has served since the start. False also if a newer version replaced the file
        before this process looked.

    Raises:
        ConfigurationError: This process doesn't read flag files: a flagd server passes on no file's
            revision, so wait there until the value itself is as it should be.
    """
    from windsock.runtime.revisions import wait  # noqa: PLC0415 - few processes wait

    return wait(revision, timeout)
