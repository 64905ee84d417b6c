"""Choose a provider by the environment variables that flagd's own providers use."""

import os
from collections.abc import Mapping
from pathlib import Path

from openfeature.evaluation_context import EvaluationContextAttribute
from openfeature.provider import AbstractProvider

from windsock.errors import ConfigurationError
from windsock.flag_names import FLAG_FOLDER
from windsock.providers.files import FilesProvider

_SERVER_VARIABLES = ("FLAGD_HOST", "FLAGD_TARGET_URI", "FLAGD_SOCKET_PATH")


def choose(
    flags: str | os.PathLike[str] | None, context: Mapping[str, EvaluationContextAttribute]
) -> AbstractProvider:
    """Choose the provider: the folder given in code, else by ``FLAGD_*``, else the folder ``flagd``.

    ``FLAGD_OFFLINE_FLAG_SOURCE_PATH`` (or ``FLAGD_RESOLVER=file``) selects files, ``FLAGD_RESOLVER=rpc`` a
    flagd that evaluates, and ``in-process`` a flagd that sends its flags here. A server without a resolver
    evaluates, as with flagd's own providers. ``WINDSOCK_OFFLINE_COPY`` is the folder for the last set that
    flagd sent, or ``off``.

    Raises:
        ConfigurationError: A given folder doesn't exist, or a ``FLAGD_*`` variable is invalid.
        MissingExtraError: A flagd server is configured but the extra ``flagd`` isn't installed.
    """
    path = flags or os.environ.get("FLAGD_OFFLINE_FLAG_SOURCE_PATH")
    if path:
        if not Path(path).exists():
            raise ConfigurationError(
                f"{path}: no such folder of flags; name one with `windsock.start(flags=…)`"
                " or FLAGD_OFFLINE_FLAG_SOURCE_PATH, or make it"
            )
        return _files(path, context)
    resolver = os.environ.get("FLAGD_RESOLVER", "").strip().lower() or _unnamed_resolver()
    if resolver == "file":
        return _files(FLAG_FOLDER, context)
    if resolver == "in-process":
        return _stream(context)
    if resolver == "rpc":
        return _remote(context)
    raise ConfigurationError(f"FLAGD_RESOLVER={resolver!r}: use file, rpc or in-process")


def _unnamed_resolver() -> str:
    return "rpc" if any(os.environ.get(name) for name in _SERVER_VARIABLES) else "file"


def _files(
    path: str | os.PathLike[str], context: Mapping[str, EvaluationContextAttribute]
) -> AbstractProvider:
    if not os.environ.get("FLAGD_RETRY_GRACE_PERIOD"):
        return FilesProvider(path, context)
    from windsock.providers.flagd_options import grace_period  # noqa: PLC0415 - few set it

    return FilesProvider(path, context, grace_period=grace_period())


def _stream(context: Mapping[str, EvaluationContextAttribute]) -> AbstractProvider:
    from windsock.providers.stream import StreamProvider  # noqa: PLC0415 - loads gRPC

    folder = os.environ.get("WINDSOCK_OFFLINE_COPY", "")
    return StreamProvider(None, context, None if folder.lower() == "off" else folder)


def _remote(context: Mapping[str, EvaluationContextAttribute]) -> AbstractProvider:
    from windsock.providers.remote import RemoteProvider  # noqa: PLC0415 - loads gRPC

    return RemoteProvider(None, context)
