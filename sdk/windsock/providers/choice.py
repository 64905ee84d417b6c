"""Which provider serves, decided by the environment as flagd's own providers read it."""

import os
from collections.abc import Mapping
from pathlib import Path

from openfeature.evaluation_context import EvaluationContextAttribute
from openfeature.provider import AbstractProvider

from windsock.errors import ConfigurationError, MissingExtraError
from windsock.providers.files import FilesProvider

DEFAULT_FOLDER = "flagd"


def choose(
    flags: str | os.PathLike[str] | None, context: Mapping[str, EvaluationContextAttribute]
) -> AbstractProvider:
    """Choose the provider: the folder named in code, else what ``FLAGD_*`` says, else the folder ``flagd``.

    ``FLAGD_OFFLINE_FLAG_SOURCE_PATH`` (or ``FLAGD_RESOLVER=file``) means files; ``FLAGD_RESOLVER=rpc`` a
    flagd that evaluates, ``in-process`` a flagd that sends its flags here; ``FLAGD_HOST`` alone means
    ``rpc``.

    Raises:
        ConfigurationError: A folder that was named is not there, or ``FLAGD_RESOLVER`` is none of these.
        MissingExtraError: A flagd server is named and the extra ``flagd`` is not installed.
    """
    path = flags or os.environ.get("FLAGD_OFFLINE_FLAG_SOURCE_PATH")
    if path:
        if not Path(path).exists():
            raise ConfigurationError(
                f"{path}: no such folder of flags; name one with `windsock.start(flags=…)`"
                " or FLAGD_OFFLINE_FLAG_SOURCE_PATH, or make it"
            )
        return FilesProvider(path, context)
    resolver = os.environ.get("FLAGD_RESOLVER", "").lower()
    if resolver in {"", "file"} and not (resolver == "" and os.environ.get("FLAGD_HOST")):
        return FilesProvider(DEFAULT_FOLDER, context)
    if resolver in {"", "rpc", "in-process"}:
        return _flagd()
    raise ConfigurationError(f"FLAGD_RESOLVER={resolver!r}: use file, rpc or in-process")


def _flagd() -> AbstractProvider:
    """The stock provider, which reads every other ``FLAGD_*`` variable itself."""
    try:
        from openfeature.contrib.provider.flagd import FlagdProvider  # noqa: PLC0415 - loads gRPC
    except ImportError as missing:
        raise MissingExtraError("a flagd server", "flagd") from missing
    try:
        provider: AbstractProvider = FlagdProvider()
    except ValueError as error:
        raise ConfigurationError(
            f"a FLAGD_* variable cannot be used: {error}. In Kubernetes a service named flagd sets"
            " FLAGD_PORT=tcp://…; rename the service or set enableServiceLinks: false"
        ) from error
    return provider
