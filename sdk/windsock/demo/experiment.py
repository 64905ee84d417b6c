"""An experiment from its document to its decision: five thousand users try three models over HTTP."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import windsock
from windsock.demo.endpoint import LlmEndpoint
from windsock.experiments.holdouts import Holdouts
from windsock.experiments.reading import read_declared
from windsock.experiments.result import Result, analyze, report
from windsock.experiments.running.assigning import draw
from windsock.experiments.running.starting import started
from windsock.flagfiles.files import read_files, write_bytes
from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.postgres.queries import load_queries
from windsock.usage import Spool, UsageWriter
from windsock.usage.postgres import PostgresSink

__all__ = ["INTRODUCTION", "USERS", "ExperimentRun", "report", "tell"]

INTRODUCTION: Final = (
    "A tutor asks a large model. Would a smaller one do? Five thousand users are dealt into three arms, ask "
    "over HTTP, and a judge rates each answer: one model is cheaper, one is cheaper still and worse."
)
USERS: Final = 5_000
_WORKERS: Final = 8
_DOLLARS: Final = {"gpt-4o": 5e-6, "gpt-4o-mini": 3e-7, "tiny": 1e-7}
"""Made-up prices per token."""
_PASSES: Final = {"gpt-4o": 0.82, "gpt-4o-mini": 0.82, "tiny": 0.6}
"""How often a judge passes an answer: the small model is as good, the tiny one is worse."""

_BASE: Final = """{"flags": {"tutor": {
  "state": "ENABLED", "variants": {"base": {"model": "gpt-4o"}}, "defaultVariant": "base"
}}}"""
DOCUMENT: Final = """\
name: smaller_model
hypothesis: A smaller model costs less, and its answers pass as often.
owner: demo
settings: tutor
arms:
  control: {}
  small: {model: gpt-4o-mini}
  tiny: {model: tiny}
metrics:
  goal: [cost_per_request]
  guardrails: [{metric: judge_pass, margin: 10%}, error_rate]
  secondary: [latency_ms, tokens_per_request]
minimum_effect: 5%
maximum: {units: 5000}
"""


class Tutor(windsock.Settings, flag="tutor"):
    """The settings that the experiment changes."""

    model: str = "gpt-4o"


@dataclass(frozen=True, slots=True)
class ExperimentRun:
    """The result of the demo's experiment.

    Attributes:
        users: Users who asked.
        seconds: How long their requests took in total.
        result: The analysis and the decision eight days later, when every user's week is over.
    """

    users: int
    seconds: float
    result: Result


def tell(on_users: Callable[[int], None], users: int = USERS) -> ExperimentRun:
    """Run the experiment on real parts: PostgreSQL, flag files, HTTP.

    Args:
        on_users: Called with the number of users who have asked so far.
        users: How many ask.
    """
    with TemporaryDirectory(prefix="windsock-") as folder, _database(Path(folder)) as url:
        flags = _declared(Path(folder) / "flagd")
        with LlmEndpoint(models=tuple(_DOLLARS)) as endpoint:
            writer = UsageWriter(PostgresSink(url), Spool(Path(folder) / "spool"))
            windsock.start(flags=flags, usage=writer)
            began = datetime.now(UTC)
            try:
                _everybody_asks(_Client(endpoint.url), users, on_users)
                _wait_until_stored(writer)
            finally:
                windsock.stop()
        seconds = (datetime.now(UTC) - began).total_seconds()
        with connect(url) as connection:
            connection.execute(load_queries("windsock.demo", "queries.sql")["eight_days_ago"])
            # what autovacuum does in a minute: without it the planner knows no sizes
            connection.execute("analyze public.usage_logs, windsock.exposures, windsock.metric_events")
        return ExperimentRun(users, seconds, analyze("smaller_model", url, flags=flags))


def _wait_until_stored(writer: UsageWriter) -> None:
    """Wait until the database has every record, also those that a busy machine keeps on disk for a while."""
    until = time.monotonic() + 60
    writer.flush(60)
    while (health := writer.health()).spooled > health.replayed and time.monotonic() < until:
        time.sleep(0.05)


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    with embedded.start(folder / "postgres") as server:
        with connect(server.url) as connection:
            migrate(connection, read_migrations())
        yield server.url


def _declared(flags: Path) -> Path:
    """The folder of flags, with the document compiled as `windsock experiment start` does."""
    (flags / "experiments").mkdir(parents=True)
    write_bytes(flags / "tutor.flagd.json", _BASE.encode())
    write_bytes(flags / "experiments" / "smaller_model.yaml", DOCUMENT.encode())
    experiment = read_declared(flags, "smaller_model").experiment
    for file in started(experiment, read_files([flags]), Holdouts(), flags):
        write_bytes(Path(file.path), file.data)
    return flags


def _everybody_asks(client: "_Client", users: int, on_users: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(_WORKERS) as pool:
        for number, _ in enumerate(pool.map(client.ask, (f"user-{each}" for each in range(users))), 1):
            if number % 100 == 0:
                on_users(number)


class _Client:
    """Asks the model named in a user's settings."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)

    def ask(self, user: str) -> None:
        """Make one request of one user: the answer, its cost, and the judge's verdict."""
        with windsock.request(user_id=user) as request:
            answer = windsock.heal(Tutor.for_user(user), lambda settings: self._chat(settings.model, user))
            model, tokens = str(answer["model"]), answer["usage"]
            sent, received = int(tokens["prompt_tokens"]), int(tokens["completion_tokens"])
            request.tokens(input=sent, output=received, cost=(sent + received) * _DOLLARS[model], model=model)
            request.score("judge", float(draw(user) < _PASSES[model]))

    def _chat(self, model: str, user: str) -> dict[str, Any]:
        words = " ".join(["why"] * (5 + int(draw(f"words {user}") * 40)))
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": words}]})
        connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=30)
        try:
            connection.request(
                "POST", f"{self._address.path}/chat/completions", body, {"Content-Type": "application/json"}
            )
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer
