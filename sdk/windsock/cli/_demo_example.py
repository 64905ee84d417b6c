"""The services of examples/ as parts of the demo: finding one, and running its application as a process."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import windsock
from windsock.cli._demo_stage import Stage, wait
from windsock.cli._demo_story import Step
from windsock.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

FLAGS_FOLDER = Path("flagd")


class System(StrEnum):
    """The services that the repository shows."""

    AI_TEACHER = "ai-teacher"
    AD_LEARNING = "ad-learning"
    AURA = "aura"


class Tale(Protocol):
    """What happens to a running service, step by step."""

    def tell(self) -> Iterator[Step]:
        """Run the steps one by one. The first one's ``seen["service"]`` is where the service listens."""


class Example(Protocol):
    """What ``examples/<system>/demo.py`` has.

    Attributes:
        FLAG: The flag of the service's settings class.
        INTRODUCTION: What the service is, in a few sentences.
    """

    FLAG: str
    INTRODUCTION: str

    def running(self, stage: Stage) -> AbstractContextManager[Tale]:
        """Start the service, for as long as the block lasts."""


def find(system: System) -> Example:
    """Load an example's demo from the checkout.

    Raises:
        ConfigurationError: There is no checkout around this package, or it has no such demo.
    """
    path = Path(windsock.__file__).parents[2] / "examples" / system.replace("-", "_") / "demo.py"
    if not path.is_file():
        raise ConfigurationError(
            f"{path} is not there: the example services are in windsock's repository, not in the package; "
            f"clone it and run `uv run windsock demo --system {system}` in it"
        )
    spec = importlib.util.spec_from_file_location(f"windsock_example_{path.parent.name}", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path}: cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return cast("Example", module)


@dataclass(slots=True)
class Service:
    """A web application that runs as a process of its own.

    Attributes:
        url: Where it listens, on loopback.
        http: A client with that base URL.
        log: The file that it logs into.
    """

    url: str
    http: "httpx.Client"
    log: Path

    def lines(self, word: str) -> list[str]:
        """Give the lines of its log that hold a word, oldest first."""
        return [line for line in self.log.read_text(encoding="utf-8").splitlines() if word in line]


@contextlib.contextmanager
def serve(folder: Path, application: str, variables: Mapping[str, str]) -> Iterator[Service]:
    """Run an application with uvicorn until the end of the block.

    Args:
        folder: Where its modules are.
        application: As uvicorn names it: ``app.main:app``.
        variables: The environment, over the demo's own.

    Raises:
        ConfigurationError: The process ended before it answered on ``/health``; quotes its log.
    """
    import httpx  # noqa: PLC0415 - comes with the openai client, an extra

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path("service.log").resolve()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "--port", str(port), application]
    environment = (
        os.environ | {"FLAGD_OFFLINE_FLAG_SOURCE_PATH": str(FLAGS_FOLDER.resolve())} | dict(variables)
    )
    url = f"http://127.0.0.1:{port}"
    with (
        log.open("w") as output,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as client,
        subprocess.Popen(
            [*command, "--no-access-log"], env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait(lambda: process.poll() is not None or _answers(client), "the service's first answer")
            if process.poll() is not None:
                raise ConfigurationError(
                    f"the service ended at once: {log.read_text().strip()[-2000:]}\n"
                    "`uv sync` in the checkout installs what the examples import"
                )
            yield Service(url, client, log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(client: "httpx.Client") -> bool:
    import httpx  # noqa: PLC0415 - as above

    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False
