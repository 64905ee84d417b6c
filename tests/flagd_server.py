"""A real flagd server on free ports, asked over OFREP; it can be frozen, killed and started again."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.flagfiles import write_text
from tests.ports import free_ports

SECONDS = 60.0
"""Longest wait for the server to listen, and to serve its first flags."""


def flagd_binary() -> str | None:
    """The server's path from FLAGD_BIN, else from PATH, else None."""
    return os.environ.get("FLAGD_BIN") or shutil.which("flagd")


class FlagdServer:
    """A running server; ends with its `with` block.

    It may be asked for flags as soon as it is made: flagd itself says ready before it has read a file.

    Args:
        sources: Where it has its flags: a file, or ``host:port`` of a server of ``flagd.sync.v1``.
        sockets: A folder for the Unix sockets ``rpc`` and ``sync``, which then replace those two ports.

    Attributes:
        path: Its first file.
        rpc: Port of evaluations over gRPC.
        management: Port of its health.
        sync: Port of the sync stream.
        ofrep: Port of evaluations over HTTP.
    """

    def __init__(self, *sources: Path | str, sockets: Path | None = None) -> None:
        self._sources = sources
        self._sockets = sockets
        self.path = next((Path(each) for each in sources if isinstance(each, Path)), Path())
        self.rpc, self.management, self.sync, self.ofrep = free_ports(4)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.ofrep, timeout=60)
        self.start()

    @classmethod
    def serving(cls, folder: Path, document: Mapping[str, Any]) -> Self:
        """Start one on a file in the folder, which holds the document."""
        path = folder / "served.flagd.json"
        write_text(path, json.dumps(document))
        return cls(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it serves a flag of each of its files.

        Raises:
            RuntimeError: It ended, or did not serve in time.
        """
        ports = {"-p": self.rpc, "-m": self.management, "-g": self.sync, "-r": self.ofrep}
        sources = [
            {"uri": str(each), "provider": "fsnotify" if isinstance(each, Path) else "grpc"}
            for each in self._sources
        ]
        command = [flagd_binary() or "flagd", "start", "--sources", json.dumps(sources)]
        command += [f"{option}={port}" for option, port in ports.items()]
        if self._sockets is not None:
            command += ["-d", str(self._sockets / "rpc"), "-e", str(self._sockets / "sync")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for port in (self.ofrep,) if self._sockets else (self.rpc, self.sync, self.ofrep):
                self._await(lambda port=port: _listens(port))
            for path in self._sources:
                if isinstance(path, Path):
                    self._await(lambda path=path: self._serves(path))
        except BaseException:
            self.stop()
            raise

    @property
    def process_id(self) -> int:
        """Of the server."""
        return self._process.pid

    def write(self, flags: Mapping[str, Any]) -> None:
        """Replace its file as the mirror does."""
        write_text(self.path, json.dumps({"flags": flags}))

    def freeze(self) -> None:
        """Stop the process as a debugger would, and wait until it stands."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it."""
        self._connection.close()
        self._process.kill()
        self._process.wait(20)

    def evaluate_all(self, context: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Every flag's result for one context, by key."""
        return {flag["key"]: flag for flag in self._post("/ofrep/v1/evaluate/flags", context)["flags"]}

    def evaluate(self, key: str, context: Mapping[str, Any]) -> dict[str, Any]:
        """One flag's result."""
        return self._post(f"/ofrep/v1/evaluate/flags/{key}", context)

    def _post(self, path: str, context: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps({"context": dict(context)})
        try:
            self._connection.request("POST", path, body, {"Content-Type": "application/json"})
            return json.loads(self._connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def _serves(self, path: Path) -> bool:
        """Whether it knows a file's first flag; a file that is not there ends the server."""
        try:
            flags = json.loads(path.read_bytes())["flags"]
            return not flags or self.evaluate(next(iter(flags)), {}).get("errorCode") != "FLAG_NOT_FOUND"
        except (OSError, http.client.HTTPException):
            return False

    def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"flagd ended with status {self._process.returncode}")
            if condition():
                return
            time.sleep(0.02)
        raise RuntimeError(f"flagd did not serve within {SECONDS:g} s")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
