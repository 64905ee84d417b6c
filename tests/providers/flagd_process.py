"""A real flagd server on free ports, on one file that the test may replace; frozen, killed and started again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest
from tests.ports import free_ports


def flagd_binary() -> str:
    """The server's path from FLAGD_BIN, else from PATH; skips the test where there is none."""
    found = os.environ.get("FLAGD_BIN") or shutil.which("flagd")
    if found is None:
        pytest.skip("no flagd server: set FLAGD_BIN to its path")
    return found


class FlagdProcess:
    """A running server; ends with its `with` block.

    Args:
        folder: Where its flag file is kept.
        flags: The flags to begin with.
    """

    def __init__(self, folder: Path, flags: dict[str, object]) -> None:
        self._binary = flagd_binary()
        self.path = folder / "served.flagd.json"
        self.write(flags)
        self.rpc, self.management, self.sync, self.ofrep = free_ports(4)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        ports = {"-p": self.rpc, "-m": self.management, "-g": self.sync, "-r": self.ofrep}
        source = json.dumps([{"uri": str(self.path), "provider": "fsnotify"}])
        self._process = subprocess.Popen(
            [self._binary, "start", "--sources", source, *(f"{key}={port}" for key, port in ports.items())],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for port in (self.rpc, self.sync, self.ofrep):
            self._await(port)

    def write(self, flags: dict[str, object]) -> None:
        """Replace the flag file as the mirror does."""
        aside = self.path.with_suffix(".tmp")
        aside.write_text(json.dumps({"flags": flags}))
        aside.replace(self.path)

    def freeze(self) -> None:
        """Stop the process as a debugger would."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait(20)

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("flagd does not listen")
