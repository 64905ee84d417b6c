"""What the story of the ad learning system plays on: its processes, its API, and its database."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from examples.serving import FLAGS_FOLDER, Program, Service, program, serve

from windsock.api import Role, create_token
from windsock.demo.stage import Stage, wait
from windsock.postgres.migrations import connect, migrate, read_migrations

from .ad_platform_endpoint import AdPlatformEndpoint

REPOSITORY = Path(__file__).resolve().parents[2]
FLAG_FILE = FLAGS_FOLDER / "learning.flagd.json"
PATH = "/api/config/learning"
AD = {"ctr": 0.04, "roas": 4.5, "hours_live": 24, "impressions": 6000}
THRESHOLD = "SELECT get_winner_threshold('ctr_threshold')::float8"


class System:
    """Two services, a learning worker and a Celery worker; executors come when there is something to do.

    Attributes:
        service: The service whose API is asked.
        second: Another one, that only reads.
        ann: Headers with an administrator's token.
        rob: Headers with a reader's token.
        learner: The learning worker; its environment is development.
        platform: The ad platform, on loopback.
        training: The program that trains a model.
        changes: How many changes the API has accepted.
    """

    def __init__(self, stage: Stage, stack: ExitStack) -> None:
        campaigns = ["c0", "c1", *(f"k{number}" for number in range(1, 21))]
        self.platform = stack.enter_context(AdPlatformEndpoint(dict.fromkeys(campaigns, 10_000)))
        broker = _as_role(stage.url, "celery").replace("postgresql://", "postgresql+psycopg://", 1)
        self._url = stage.url
        self._variables = {
            "PYTHONPATH": str(REPOSITORY),  # the example is a package of the repository
            "LEARNING_CONFIG_PATH": str(FLAG_FILE.resolve()),
            "CONFIGURATION_API_WRITABLE": "true",
            "CELERY_BROKER_URL": f"sqla+{broker}",
            "CELERY_RESULT_BACKEND": f"db+{broker}",
            "AD_LEARNING_MODELS": str(Path("models").resolve()),
            "OPENAI_BASE_URL": stage.endpoint.url,
            "OPENAI_API_KEY": "loopback",
            **self.platform.variables,
        }
        self._database = stack.enter_context(stage.connect())
        own = read_migrations(Path(__file__).with_name("migrations"))
        migrate(self._database, [*read_migrations(), *own])
        for part in ("api", "learner", "executor", "celery"):
            self._database.execute(f"ALTER ROLE ad_learning_{part} LOGIN")
        celery = ["-m", "celery", "-A", "examples.ad_learning.tasks", "worker", "--pool", "solo"]
        stack.enter_context(program("celery", celery, self._of("celery")))
        self.training = stack.enter_context(self.worker("train", "celery"))
        self.learner = stack.enter_context(
            self.worker("self_learning_worker", "learner", {"ENVIRONMENT": "development"})
        )
        self.service = stack.enter_context(self._serve("service"))
        self._second_stack = stack.enter_context(ExitStack())
        self.second = self._second_stack.enter_context(self._serve("second service"))
        self.ann = {"Authorization": f"Bearer {create_token(self._database, 'ann', Role.ADMIN)}"}
        self.rob = {"Authorization": f"Bearer {create_token(self._database, 'rob', Role.READER)}"}
        self.changes = 0

    def worker(
        self, module: str, role: str, variables: Mapping[str, str] | None = None, log: str = ""
    ) -> AbstractContextManager[Program]:
        """Run a program of the example until the end of the block, with its own role in the database."""
        command = ["-m", f"examples.ad_learning.{module}"]
        return program(log or module, command, self._of(role) | dict(variables or {}))

    def restart_second(self) -> None:
        """End the second service and start it again."""
        self._second_stack.close()
        self.second = self._second_stack.enter_context(self._serve("second service"))

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return self._database.execute(query.encode(), values).fetchall()

    def may(self, role: str, statement: str) -> bool:
        """Whether a part's role in the database may run a statement."""
        with connect(_as_role(self._url, role)) as connection:
            try:
                connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                return False
            return True

    def cycles(self) -> int:
        """How many cycles the learning worker has run."""
        return len(self.learner.lines("before next cycle"))

    def thresholds(self) -> set[float]:
        """The click threshold of the two services and of SQL."""
        services = [self.get(each).json()["winner_detection"] for each in (self.service, self.second)]
        return {self.rows(THRESHOLD)[0][0], *(each["ctr_threshold"] for each in services)}

    def actions(self) -> int:
        """How many budget changes were carried out, by all executors."""
        ((count,),) = self.rows("SELECT count(*) FROM executor_actions WHERE status = 'done'")
        return int(count)

    def get(self, service: Service | None = None) -> httpx.Response:
        """Read the configuration with Rob's token."""
        return (service or self.service).http.get(PATH, headers=self.rob).raise_for_status()

    def put(self, change: object, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Change the configuration with Ann's token."""
        answer = self.service.http.put(PATH, json=change, headers={**self.ann, **(headers or {})})
        self.changes += answer.is_success
        return answer

    def timed(self, threshold: float) -> tuple[float, float]:
        """Change the click threshold; gives the milliseconds until the second service and SQL have it."""
        began = time.perf_counter()

        def until(value: Callable[[], object], what: str) -> float:
            wait(lambda: value() == threshold, what)
            return (time.perf_counter() - began) * 1000

        self.put({"winner_detection": {"ctr_threshold": threshold}}).raise_for_status()
        second = self.second
        return (
            until(lambda: self.get(second).json()["winner_detection"]["ctr_threshold"], "the second service"),
            until(lambda: self.rows(THRESHOLD)[0][0], "SQL"),
        )

    def winner_everywhere(self) -> dict[str, bool]:
        """Whether the ad `AD` is a winner, for each service and for SQL."""
        services = {"service": self.service, "second service": self.second}
        found = {
            name: each.http.get("/winner", params=AD).json()["winner"] for name, each in services.items()
        }
        ((in_sql,),) = self.rows("SELECT is_winner(%s, %s, %s, %s)", *AD.values())
        return found | {"SQL": in_sql}

    def similar(self, text: str) -> list[str]:
        """The winners that are most like a text."""
        found = self.service.http.get("/winners/similar", params={"text": text}).raise_for_status().json()
        return [each["ad_id"] for each in found]

    def evaluate(self) -> dict[str, Any]:
        """Let the Celery worker evaluate the new model."""
        from celery import Celery  # noqa: PLC0415 - a second to load, which the other steps need not wait for

        variables = self._variables
        queue = Celery(broker=variables["CELERY_BROKER_URL"], backend=variables["CELERY_RESULT_BACKEND"])
        with queue:
            task = queue.send_task("auto_evaluate_models", ["new.joblib", "winner"])
            result: dict[str, Any] = task.get(timeout=60, interval=0.05)
        return result

    def _serve(self, name: str) -> AbstractContextManager[Service]:
        return serve(REPOSITORY, "examples.ad_learning.main:create_app", self._of("api"), name)

    def _of(self, role: str) -> dict[str, str]:
        """The variables of one part of the system."""
        return self._variables | {"DATABASE_URL": _as_role(self._url, role)}


def _as_role(url: str, role: str) -> str:
    """Name a part's role in a connection string; the demo's server trusts whoever reaches its socket."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"ad_learning_{role}@{host}"))
