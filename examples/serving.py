"""Running an example's programs for its story: a web application with uvicorn, or any Python program."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from windsock.demo.stage import running, wait
from windsock.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

FLAGS_FOLDER = Path("flagd")


@dataclass(frozen=True, slots=True)
class Program:
    """A program of an example that runs as a process of its own.

    Attributes:
        log: The file that it logs into.
        process: The process.
    """

    log: Path
    process: "subprocess.Popen[bytes]"

    def lines(self, word: str) -> list[str]:
        """Give the lines of its log that hold a word, oldest first."""
        return [line for line in self.log.read_text(encoding="utf-8").splitlines() if word in line]


@dataclass(frozen=True, slots=True)
class Service(Program):
    """A web application among them.

    Attributes:
        url: Where it listens, on loopback.
        http: A client with that base URL.
    """

    url: str
    http: "httpx.Client"


@contextlib.contextmanager
def program(name: str, command: Sequence[str], variables: Mapping[str, str]) -> Iterator[Program]:
    """Run a Python program on the demo's flags until the end of the block.

    Args:
        name: What its log is called.
        command: What follows ``python``.
        variables: Its environment, over the demo's own.
    """
    log = Path(f"{name}.log").resolve()
    environment = {"FLAGD_OFFLINE_FLAG_SOURCE_PATH": str(FLAGS_FOLDER.resolve())} | dict(variables)
    with running([sys.executable, *command], environment, log) as process:
        yield Program(log, process)


@contextlib.contextmanager
def serve(
    folder: Path, application: str, variables: Mapping[str, str], name: str = "service"
) -> Iterator[Service]:
    """Run an application with uvicorn until the end of the block.

    Args:
        folder: Where its modules are.
        application: As uvicorn names it: ``app.main:app``, or a factory: ``app.main:create_app``.
        variables: The environment, over the demo's own.
        name: What its log is called.

    Raises:
        ConfigurationError: The process ended before it answered on ``/health``; quotes its log.
    """
    import httpx  # noqa: PLC0415 - comes with the openai client, an extra

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "uvicorn", "--no-access-log", "--app-dir", str(folder), "--port", str(port), application]
    if application.partition(":")[2].startswith("create_"):
        command.append("--factory")
    url = f"http://127.0.0.1:{port}"
    with (
        program(name, command, variables) as started,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as client,
    ):
        process, log = started.process, started.log
        wait(lambda: process.poll() is not None or _answers(client), "the service's first answer")
        if process.poll() is not None:
            raise ConfigurationError(
                f"the service ended at once: {log.read_text().strip()[-2000:]}\n"
                "`uv sync` in the checkout installs what the examples import"
            )
        yield Service(log, process, url, client)


def _answers(client: "httpx.Client") -> bool:
    import httpx  # noqa: PLC0415 - as above

    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False
