"""The console as a server: on an address of this machine, in this thread or beside others."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from windsock.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    import uvicorn

    from windsock.console import Console


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigurationError: The port is taken, or the address isn't this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else error
        raise ConfigurationError(f"{host}:{port}: cannot listen: {what}; choose another --port") from error


def server_of(console: "Console") -> "uvicorn.Server":
    """The console's server, to be run on a socket of `listening`.

    Raises:
        MissingExtraError: The extra `api` isn't installed.
    """
    try:
        import uvicorn  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise MissingExtraError("the console", "api") from missing
    from windsock.console import application  # noqa: PLC0415 - loads FastAPI

    config = uvicorn.Config(application(console), log_level="warning", access_log=False)
    return uvicorn.Server(config)


@contextmanager
def beside(console: "Console", listener: socket.socket) -> Iterator[None]:
    """Serve the console in a thread until the block ends."""
    server = server_of(console)
    thread = threading.Thread(target=server.run, args=([listener],), name="windsock console")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
