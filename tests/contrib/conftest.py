"""Each test starts from a process that has started nothing; real servers on loopback."""

import contextlib
import socket
import threading

import pytest
import uvicorn
from tests.settings.conftest import anyio_backend, fresh_process, serve
from tests.waiting import eventually

import windsock
from windsock.usage import MemorySink

__all__ = ["anyio_backend", "fresh_process", "serve", "served"]


@contextlib.contextmanager
def served(app, lifespan="off"):
    """Serve an ASGI application with uvicorn; yields its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, lifespan=lifespan, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def rows(serve):
    """Start with a profile for ann; call it to stop, for the rows that were recorded."""
    from tests.healing.teachers import TYPO, profiles  # declares a class: not before the tests that use it

    memory = MemorySink()
    serve(profiles(["ann"], reasoning_model=TYPO), usage=memory)

    def rows():
        windsock.stop()
        return memory.rows

    return rows
