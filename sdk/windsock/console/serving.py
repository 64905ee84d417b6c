"""The console as a server on an address of this machine: in this thread, or beside others."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from windsock.console.app import application
from windsock.console.options import Console
from windsock.errors import ConfigurationError, MissingExtraError
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.runtime.lifecycle import start

try:
    import uvicorn
except ImportError as missing:
    raise MissingExtraError("the console", "api") from missing


def serve(
    console: Console, host: str, port: int, *, environment: str, announce: Callable[[str], None]
) -> None:
    """Start windsock and serve the console until a signal stops it.

    Args:
        console: Its options; of the default folder, ``FLAGD_*`` may say that a server serves it.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        environment: The environment whose flags are served.
        announce: Called with the console's URL once the socket listens.

    Raises:
        ConfigurationError: The port is taken, or the address isn't this machine's.
    """
    flags = None if console.flags == DEFAULT_FOLDER else console.flags
    with (
        _listening(host, port) as listener,
        start(flags=flags, environment=environment, usage=console.database_url),
    ):
        announce(_url(host, listener))
        _server(console).run(sockets=[listener])


@contextmanager
def beside(console: Console, port: int) -> Iterator[str]:
    """Start windsock and serve the console on loopback in a thread until the block ends; yields its URL.

    Raises:
        ConfigurationError: The port is taken.
    """
    host = "127.0.0.1"
    with _listening(host, port) as listener, start(flags=console.flags, usage=False):
        server = _server(console)
        thread = threading.Thread(target=server.run, args=([listener],), name="windsock console")
        thread.start()
        try:
            yield _url(host, listener)
        finally:
            server.should_exit = True
            thread.join()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else error
        raise ConfigurationError(f"{host}:{port}: cannot listen: {what}; choose another --port") from error
    # Connections inherit it. asyncio does it for its own listeners only; without it, each answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _server(console: Console) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(application(console), log_level="warning", access_log=False))
