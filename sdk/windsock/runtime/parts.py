"""What `windsock.start` starts: a provider, a usage writer, and the sharing of withdrawals.

Imported only by `start`, so that `import windsock` loads no provider, evaluator or writer; and imported
completely, so that no request is the first to need a part of it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from openfeature import api
from openfeature.evaluation_context import EvaluationContextAttribute
from openfeature.exception import OpenFeatureError
from openfeature.provider import AbstractProvider
from openfeature.provider.no_op_provider import NoOpProvider

from windsock.client.evaluation import Evaluation
from windsock.errors import ConfigurationError
from windsock.healing.boards import Board, FileBoard
from windsock.healing.quarantine import quarantine
from windsock.healing.sharing import Sharing
from windsock.logs import get_logger
from windsock.providers import forking
from windsock.providers.choice import choose
from windsock.providers.compiled import CompiledProvider
from windsock.providers.files import FilesProvider
from windsock.providers.greenlets import refuse_eventlet
from windsock.settings.process import process
from windsock.usage.request import install
from windsock.variables import usage_is_off, user_id_key

if TYPE_CHECKING:
    from windsock.usage import Sink, UsageWriter

logger = get_logger("windsock")


@dataclass(frozen=True, slots=True)
class StartOptions:
    """The arguments of `windsock.start`; see there."""

    flags: str | os.PathLike[str] | None
    provider: AbstractProvider | None
    environment: str
    usage: "Sink | UsageWriter | str | Literal[False] | None"
    domain: str | None


class Running:
    """Everything that a `start` started and `stop` stops.

    Args:
        options: The arguments of `start`.

    Raises:
        ConfigurationError: An argument or variable is invalid.
    """

    def __init__(self, options: StartOptions) -> None:
        refuse_eventlet()
        if (given := options.provider) is not None and (
            isinstance(given, type) or not hasattr(given, "attach")
        ):
            raise ConfigurationError(
                f"windsock.start(provider=…) takes an OpenFeature provider, not {given!r:.80}"
            )
        usage = options.usage if options.usage is not None else _database_url()
        self._writer = _writer(usage)
        context: Mapping[str, EvaluationContextAttribute] = {"environment": options.environment}
        self._domain = options.domain
        self._provider = options.provider or choose(options.flags, context)
        try:
            _set_provider(self._provider, options.domain)
        except (OpenFeatureError, OSError) as error:
            logger.error("flags cannot be served yet (%s); code defaults serve", error)  # noqa: TRY400
        self._before = None if self._writer is None else install(self._writer, options.environment)
        process.evaluation = Evaluation(options.domain, options.environment)
        self._sharing = Sharing(_board(usage))
        forking.register(self._sharing)

    def reload(self) -> None:
        """Reread the flag files."""
        if isinstance(self._provider, FilesProvider):
            self._provider.reload()

    def stop(self) -> None:
        """Share remaining withdrawals, flush usage, and restore OpenFeature's previous provider."""
        self._sharing.stop()
        quarantine.reset()
        if self._writer is not None:
            install(self._before)
            self._writer.stop()
        if isinstance(self._provider, CompiledProvider):
            self._provider.shutdown()  # now: OpenFeature shuts a replaced provider down later
        if api.get_client(self._domain).provider is self._provider:
            _set_provider(NoOpProvider(), self._domain)


def _set_provider(provider: AbstractProvider, domain: str | None) -> None:
    """Register and wait until initialized; since OpenFeature 0.10, `set_provider` doesn't wait."""
    try:
        api.set_provider_and_wait(provider, *(() if domain is None else (domain,)))
    except RuntimeError as error:
        # OpenFeature uses threads to shut down the replaced provider and to call event handlers: starting one
        # may fail now, and always does while the process is ending.
        logger.debug("OpenFeature did less than it wanted to: %s", error)


def _database_url() -> str | None:
    """``DATABASE_URL``, if it's a PostgreSQL URL and usage isn't switched off.

    The variable may be meant for something else, so another kind of database doesn't prevent the start.
    """
    url = os.environ.get("DATABASE_URL") or None
    if url is None or usage_is_off():
        return None
    if not _is_postgres(url):
        logger.warning(
            "DATABASE_URL is not a PostgreSQL URL (postgresql://…), so no usage is recorded; pass"
            " windsock.start(usage=…), or set WINDSOCK_USAGE=off to silence this"
        )
        return None
    try:
        from windsock.postgres.urls import check_url  # noqa: PLC0415 - only with a database

        check_url(url)
    except ConfigurationError as error:
        logger.warning("DATABASE_URL: %s; no usage is recorded until then", error)
        return None
    except ImportError:
        pass  # the missing extra is reported below
    return url


def _is_postgres(url: str) -> bool:
    """Whether libpq can parse it: a URL with one of its two schemes, or ``key=value`` pairs."""
    scheme, found, _ = url.partition("://")
    return scheme in {"postgres", "postgresql"} if found else "=" in url


def _board(usage: object) -> Board:
    """The tables if usage goes to a database, else a file."""
    if not isinstance(usage, str):
        return FileBoard()
    from windsock.healing.postgres_board import PostgresBoard  # noqa: PLC0415 - only with a database

    return PostgresBoard(usage)


def _writer(usage: "Sink | UsageWriter | str | Literal[False] | None") -> "UsageWriter | None":
    if usage is None or usage is False:
        return None
    if not (
        _is_postgres(usage) if isinstance(usage, str) else hasattr(usage, "write") or hasattr(usage, "put")
    ):
        raise ConfigurationError(
            "windsock.start(usage=…): this is not a PostgreSQL URL; write postgresql://user@host/database,"
            " without the name of a driver such as +asyncpg, or pass a sink or False"
        )
    # not loaded by a service that records nothing
    from windsock.usage import UsageOptions, UsageWriter  # noqa: PLC0415
    from windsock.usage.postgres import PostgresSink  # noqa: PLC0415

    if isinstance(usage, UsageWriter):
        return usage
    sink = PostgresSink(usage) if isinstance(usage, str) else usage
    return UsageWriter(sink, options=UsageOptions(user_id_key=user_id_key()))
