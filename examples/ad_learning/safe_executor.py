"""Carries out budget changes one by one, within limits that hold over restarts and over all workers."""

import logging
import os
import random
import signal
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg

import windsock

from . import config_loader
from .loops import QUERIES
from .settings import Learning
from .settings import SafeExecutor as Configuration

logger = logging.getLogger("ad_learning")

_CENTS = 2


class Outcome(StrEnum):
    """What one turn of the executor came to."""

    CHANGED = "changed"
    REFUSED = "refused"
    IDLE = "idle"
    LIMITED = "limited"


@dataclass(frozen=True, slots=True)
class _Job:
    """A budget change that waits; `start` is the budget when the window of velocity began."""

    id: int
    campaign_id: str | None
    budget: float | None
    change_pct: float | None
    start: float | None


class SafeExecutor:
    """Takes budget changes from the queue; every turn reads the settings in force.

    Args:
        database_url: The system's database.
        chance: Where jitter and fuzzy budgets come from.
    """

    def __init__(self, database_url: str, chance: random.Random | None = None) -> None:
        self._database_url = database_url
        self._chance = chance or random.SystemRandom()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set or the configuration disables the executor."""
        while not stop.is_set():
            settings = Learning.live().safe_executor
            if not settings.enabled:
                logger.info("SafeExecutor disabled by configuration")
                return
            try:
                outcome = self.turn()
            except psycopg.Error as error:
                logger.error("the queue of budget changes cannot be reached: %s", error)  # noqa: TRY400
                outcome = Outcome.IDLE
            pause = self.jitter(settings) if outcome is Outcome.CHANGED else 0.0
            if outcome in {Outcome.IDLE, Outcome.LIMITED}:
                pause = settings.poll_interval_ms / 1000
            stop.wait(pause)

    def turn(self) -> Outcome:
        """Take one budget change, if a limit does not forbid it, and carry it out in one transaction."""
        settings = Learning.live().safe_executor
        with psycopg.connect(self._database_url) as connection:
            connection.execute(QUERIES["executor_turn"])
            if self._is_limited(connection, settings):
                return Outcome.LIMITED
            window = {"window_hours": settings.budget_velocity.velocity_window_hours}
            row = connection.execute(QUERIES["executor_take"], window).fetchone()
            if row is None:
                return Outcome.IDLE
            return self._carry_out(connection, _Job(*row), settings)

    def jitter(self, settings: Configuration) -> float:
        """Give the seconds to wait after an action."""
        if not settings.jitter.enabled:
            return 0.0
        return self._chance.uniform(settings.jitter.min_ms, settings.jitter.max_ms) / 1000

    def new_budget(self, budget: float, change_pct: float, start: float, settings: Configuration) -> float:
        """Give the budget to set: the change, a little off, and no further from `start` than is allowed."""
        wanted = budget * (1 + change_pct / 100)
        if settings.fuzzy_budgets.enabled:
            variance = settings.fuzzy_budgets.variance_pct / 100
            wanted *= 1 + self._chance.uniform(-variance, variance)
        reach = start * settings.budget_velocity.max_change_pct / 100
        return round(min(max(wanted, start - reach), start + reach), _CENTS)

    @staticmethod
    def _is_limited(connection: "psycopg.Connection[Any]", settings: Configuration) -> bool:
        hour, day = connection.execute(QUERIES["executor_counts"]).fetchone() or (0, 0)
        limits = settings.rate_limiting
        return bool(hour >= limits.max_actions_per_hour or day >= limits.max_actions_per_day)

    def _carry_out(
        self, connection: "psycopg.Connection[Any]", job: _Job, settings: Configuration
    ) -> Outcome:
        if job.campaign_id is None or job.budget is None or job.start is None or job.change_pct is None:
            error = "the ad has no campaign with a budget, or the change is no number"
            logger.error("budget change %d: %s", job.id, error)
            connection.execute(QUERIES["finish_job"], {"id": job.id, "status": "failed", "error": error})
            return Outcome.REFUSED
        after = self.new_budget(job.budget, job.change_pct, job.start, settings)
        values = {"id": job.id, "campaign_id": job.campaign_id, "before": job.budget, "after": after}
        connection.execute(QUERIES["executor_apply"], values)
        connection.execute(QUERIES["finish_job"], {"id": job.id, "status": "done", "error": None})
        logger.info("campaign %s: budget %.2f -> %.2f", job.campaign_id, job.budget, after)
        return Outcome.CHANGED


def main() -> None:
    """Serve the flags, and work until the process is told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config_loader.start(("SAFE_EXECUTOR_CONFIG_PATH", "LEARNING_CONFIG_PATH"))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        SafeExecutor(os.environ["DATABASE_URL"]).run(stop)
    finally:
        windsock.stop()


if __name__ == "__main__":
    main()
