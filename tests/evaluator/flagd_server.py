"""A flagd server as an oracle, asked through OFREP; started on free ports and always stopped."""

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_ports

SENTINEL = "windsock.sentinel"


def flagd_binary() -> str | None:
    """The server's path from FLAGD_BIN, else from PATH, else None."""
    return os.environ.get("FLAGD_BIN") or shutil.which("flagd")


class FlagdServer:
    """A running server.

    Args:
        port: Its OFREP port.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

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


@contextmanager
def flagd_serving(binary: str, document: Mapping[str, Any], folder: Path) -> Iterator[FlagdServer]:
    """Run the server on one document until the block ends."""
    sentinel = {"state": "ENABLED", "variants": {"on": "on"}, "defaultVariant": "on"}
    path = folder / "oracle.flagd.json"
    path.write_text(
        json.dumps({**document, "flags": {**document["flags"], SENTINEL: sentinel}}), encoding="utf-8"
    )
    ports = free_ports(4)
    options = [f"{option}={port}" for option, port in zip(("-p", "-m", "-g", "-r"), ports, strict=True)]
    process = subprocess.Popen(
        [binary, "start", "--uri", f"file:{path}", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = FlagdServer(ports[3])
    try:
        _await_sentinel(server, process)
        yield server
    finally:
        server.close()
        process.terminate()
        process.wait(timeout=20)


def _await_sentinel(server: FlagdServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"flagd ended with status {process.returncode}")
        try:
            if server.evaluate(SENTINEL, {}).get("variant") == "on":
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("flagd did not serve within 60 seconds")
