"""The services of examples/ as parts of the demo: finding one, and running its application as a process."""

import contextlib
import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import windsock
from windsock.demo.stage import Stage, running, wait
from windsock.demo.story import Scene
from windsock.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

FLAGS_FOLDER = Path("flagd")


class System(StrEnum):
    """The services that the repository shows, and the experiment that the package has."""

    AI_TEACHER = "ai-teacher"
    AD_LEARNING = "ad-learning"
    AURA = "aura"
    EXPERIMENT = "experiment"


class Tale(Protocol):
    """What happens to a running service, step by step."""

    def tell(self) -> Iterator[Scene]:
        """Run the steps one by one. The first one's ``seen["service"]`` is where the service listens."""


class Example(Protocol):
    """What ``examples/<system>/demo.py`` has.

    Attributes:
        FLAG: The flag of the service's settings class.
        MIRROR: What the mirror is told besides the flag.
        INTRODUCTION: What the service is, in a few sentences.
    """

    FLAG: str
    MIRROR: Sequence[str]
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
    spec = importlib.util.spec_from_file_location(
        f"windsock_example_{path.parent.name}",
        path,
        submodule_search_locations=[str(path.parent)],  # for what it imports from beside itself
    )
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path}: cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return cast("Example", module)


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
