"""A running mirror's health, readiness and metrics for operators, over HTTP."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from windsock.errors import ConfigurationError

STALE_SECONDS = 60.0


@dataclass(slots=True)
class Status:
    """The mirror's status, written by its loop and readable from any thread.

    Attributes:
        folder: The folder of the documents.
        leading: Whether this mirror publishes or is on standby.
        last_success: When the documents were last known to be correct (seconds since 1970); 0 for never.
        trouble: The current problem; empty if there's none.
        assigned: How many users have a profile.
        transactions_waiting: Transactions read from the change log but not published yet.
        changes: Changed rows processed individually since the start; full reads count none.
        files_written: Documents written since the start.
        bytes_written: Bytes written since the start.
        failures: Failed attempts since the start.
        guard_stops: Failed attempts that a guard stopped.
    """

    folder: Path | None = None
    leading: bool = False
    last_success: float = 0.0
    trouble: str = ""
    assigned: int = 0
    transactions_waiting: int = 0
    changes: int = 0
    files_written: int = 0
    bytes_written: int = 0
    failures: int = 0
    guard_stops: int = 0

    @property
    def age(self) -> float:
        """Seconds since the documents were last known to be correct."""
        return max(0.0, time.time() - self.last_success)

    @property
    def is_ready(self) -> bool:
        """Whether the documents are correct, or another mirror takes care of them."""
        return not self.reason

    @property
    def reason(self) -> str:
        """Why the mirror isn't ready; empty if it is."""
        if self.trouble:
            return self.trouble
        if not self.last_success:
            return "nothing published yet"
        if self.folder is not None and (lack := lack_of(self.folder)):
            return lack
        return f"not known to be right for {self.age:.0f} s" if self.age >= STALE_SECONDS else ""


def lack_of(folder: Path) -> str:
    """Say that a folder isn't there; empty if it is."""
    # Path.is_dir raises where a parent may not be searched
    return "" if os.path.isdir(folder) else f"{folder}: there is no such folder"  # noqa: PTH112


@contextlib.contextmanager
def serve_health(status: Status, port: int | None, host: str = "127.0.0.1") -> Iterator[int | None]:
    """Serve the status while the block runs; a port of None disables the server, 0 picks any free port.

    Args:
        status: The status to serve.
        port: The port.
        host: The address to listen on. Anyone who can reach it can read the status but change nothing.

    Raises:
        ConfigurationError: The port is in use, or the address doesn't belong to this machine.
    """
    if port is None:
        yield None
        return
    handler = type("Handler", (_Handler,), {"status": status})
    try:
        server = _server(host)((host, port), handler)
    except OSError as error:
        what = "" if host == "127.0.0.1" else f" on --health-host {host}"
        raise ConfigurationError(f"--health-port {port} cannot be used{what}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, name="windsock-mirror-health")
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _server(host: str) -> type[ThreadingHTTPServer]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return type("Server", (ThreadingHTTPServer,), {"address_family": family})


class _Handler(BaseHTTPRequestHandler):
    status: ClassVar[Status]
    timeout = 10.0  # a client that never asks holds a thread

    def do_GET(self) -> None:
        """Answer requests for the three paths."""
        if self.path == "/healthz":
            self._answer(200, b"the process runs\n")
        elif self.path == "/readyz" and self.status.is_ready:
            self._answer(200, b"the documents are right\n" if self.status.leading else b"standing by\n")
        elif self.path == "/readyz":
            self._answer(503, f"{self.status.reason}\n".encode(errors="backslashreplace"))  # a folder's name
        elif self.path == "/metrics":
            from windsock.mirror.metrics import metrics  # noqa: PLC0415 - an extra

            self._answer(200, metrics(self.status), "text/plain; version=0.0.4; charset=utf-8")
        else:
            self._answer(404, b"there is /healthz, /readyz and /metrics\n")

    def _answer(self, code: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Keep probes out of the log."""
