"""Carries out budget changes one by one, within limits that hold over restarts and over all workers.

A change is decided once and written down before the ad platform is asked for it. Whoever finds it unfinished,
this worker after a lost answer or another one after a crash, asks for the same amount: none is made twice.
"""

import logging
import math
import random
import signal
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import psycopg

import windsock
from windsock.postgres.deadline import within

from . import config_loader, worker
from .ad_platform import AdPlatform, PauseError, PlatformError, RefusedError
from .queries import QUERIES
from .settings import Learning
from .settings import SafeExecutor as Configuration

logger = logging.getLogger("ad_learning")

_Connection: TypeAlias = "psycopg.Connection[Any]"


class Outcome(StrEnum):
    """What one turn of the executor came to."""

    CHANGED = "changed"
    REFUSED = "refused"
    RETRIED = "retried"
    IDLE = "idle"
    LIMITED = "limited"


@dataclass(frozen=True, slots=True)
class _Job:
    """A budget change that waits, and what an earlier turn decided about it, if one did."""

    id: int
    attempts: int
    campaign_id: str | None
    account_id: str | None
    change_pct: float | None
    action: int | None
    before: int | None
    after: int | None


class SafeExecutor:
    """Takes budget changes from the queue; every turn reads the settings in force.

    Args:
        database_url: The system's database.
        platform: Where the budgets are. Default: the one that the environment names.
        chance: Where jitter and fuzzy budgets come from.
    """

    def __init__(
        self, database_url: str, platform: AdPlatform | None = None, chance: random.Random | None = None
    ) -> None:
        self._database_url = database_url
        self._platform = platform or AdPlatform()
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
                logger.error(  # noqa: TRY400 - the message says it all
                    "the queue of budget changes cannot be reached: %s", worker.reason(error)
                )
                outcome = Outcome.IDLE
            waits = outcome in {Outcome.IDLE, Outcome.LIMITED}
            stop.wait(settings.poll_interval_ms / 1000 if waits else 0.0)

    def turn(self) -> Outcome:
        """Take one budget change, if nothing forbids it, and ask the platform for it."""
        with self._connected() as connection:
            if connection.execute(QUERIES["executor_turn"]).fetchone() != (True,):
                return Outcome.IDLE  # another worker has its turn
            outcome = self._act(connection)
            connection.execute(QUERIES["executor_turn_over"])
            return outcome

    def _act(self, connection: _Connection) -> Outcome:
        settings = Learning.live().safe_executor
        if connection.execute(QUERIES["executor_paused"]).fetchone():
            return Outcome.LIMITED
        row = connection.execute(QUERIES["executor_take"]).fetchone()
        if row is None:
            return Outcome.IDLE
        job = _Job(*row)
        if job.action is None and _is_limited(connection, settings):
            return Outcome.LIMITED
        try:
            with windsock.request():  # a row of usage for each change, and its campaign's exposure
                self._carry_out(connection, job)
        except PlatformError as error:
            return _trouble(connection, job, error, settings)
        _pause(connection, self.jitter(settings), "jitter")
        return Outcome.CHANGED

    def jitter(self, settings: Configuration) -> float:
        """Give the seconds for which no worker acts after an action."""
        if not settings.jitter.enabled:
            return 0.0
        return self._chance.uniform(settings.jitter.min_ms, settings.jitter.max_ms) / 1000

    def new_budget(self, budget: int, change_pct: float, start: int, settings: Configuration) -> int:
        """Give the budget to set: the change, a little off, and no further from `start` than is allowed.

        Raises:
            RefusedError: The change, cut to what is allowed, would be none or go the other way.
        """
        wanted = budget * (1 + change_pct / 100)
        if settings.fuzzy_budgets.enabled:
            variance = settings.fuzzy_budgets.variance_pct / 100
            wanted *= 1 + self._chance.uniform(-variance, variance)
        velocity = settings.budget_velocity
        reach = start * velocity.max_change_pct / 100
        after = round(min(max(wanted, math.ceil(start - reach)), math.floor(start + reach)))
        if after == budget or (after > budget) != (wanted > budget):
            raise RefusedError(
                f"a budget of {budget}, which was {start} within the last {velocity.velocity_window_hours:g} "
                f"hours, cannot change by {change_pct:g} %: {velocity.max_change_pct:g} % in all is allowed"
            )
        return after

    def _connected(self) -> _Connection:
        """Connect to a database that may stall; no wait for it is longer than the settings allow."""
        limits = Learning.live().workers
        bounded = within(limits.statement_seconds)
        return bounded.connect(self._database_url, autocommit=True, connect_timeout=limits.connect_seconds)

    def _carry_out(self, connection: _Connection, job: _Job) -> None:
        """Decide on the budget by the campaign's settings, unless an earlier turn has, and have it set.

        Raises:
            PlatformError: It is not set, or perhaps it is.
        """
        if job.campaign_id is None or job.change_pct is None:
            raise RefusedError("the ad is gone, or the change is no number")
        budget = self._platform.daily_budget(job.campaign_id)
        before, after = job.before, job.after
        if before is None or after is None:
            before = budget
            settings = config_loader.for_campaign(job.campaign_id, job.account_id).safe_executor
            start = _start(connection, job.campaign_id, settings) or budget
            after = self.new_budget(budget, job.change_pct, start, settings)
            values = {"id": job.id, "campaign_id": job.campaign_id, "before": before, "after": after}
            connection.execute(QUERIES["executor_begin"], values)
        if budget not in {before, after}:
            raise RefusedError(
                f"campaign {job.campaign_id}: somebody else set the budget to {budget} while it went from "
                f"{before} to {after}"
            )
        if budget != after:
            self._platform.set_daily_budget(job.campaign_id, after)
        _end(connection, job, "done", "done", None)
        logger.info("campaign %s: budget %d -> %d", job.campaign_id, before, after)


def _start(connection: _Connection, campaign_id: str, settings: Configuration) -> int | None:
    """The campaign's budget before the first action within its window of velocity, if there is one."""
    hours = settings.budget_velocity.velocity_window_hours
    window = {"campaign_id": campaign_id, "window_hours": hours}
    row = connection.execute(QUERIES["executor_window"], window).fetchone()
    return row[0] if row else None


def _is_limited(connection: _Connection, settings: Configuration) -> bool:
    hour, day = connection.execute(QUERIES["executor_counts"]).fetchone() or (0, 0)
    limits = settings.rate_limiting
    return bool(hour >= limits.max_actions_per_hour or day >= limits.max_actions_per_day)


def _trouble(connection: _Connection, job: _Job, error: PlatformError, settings: Configuration) -> Outcome:
    """Everybody waits, this job waits, or this job has failed: the kind of error says which."""
    reason = str(error)
    if isinstance(error, PauseError):
        seconds = error.seconds or settings.retry.pause_seconds
        logger.error("no budget changes for %g s: %s", seconds, reason)
        _pause(connection, seconds, reason)
        return Outcome.LIMITED
    if isinstance(error, RefusedError):
        logger.error("budget change %d: %s", job.id, reason)
        # An action that was sent before may have come through all the same: it goes on counting.
        _end(connection, job, "failed", "unsure" if job.action else "refused", reason)
        return Outcome.REFUSED
    if job.attempts + 1 >= settings.retry.max_attempts:
        reason += f"; given up after {settings.retry.max_attempts} attempts"
        logger.error("budget change %d: %s", job.id, reason)
        _end(connection, job, "failed", "unsure", reason)
        return Outcome.REFUSED
    seconds = settings.poll_interval_ms / 1000 * 2**job.attempts
    seconds = min(settings.retry.longest_wait_seconds, seconds)
    logger.warning("budget change %d: %s; again in %g s", job.id, reason, seconds)
    connection.execute(QUERIES["executor_retry"], {"id": job.id, "seconds": seconds, "error": reason})
    return Outcome.RETRIED


def _pause(connection: _Connection, seconds: float, reason: str) -> None:
    connection.execute(QUERIES["executor_pause"], {"seconds": seconds, "reason": reason})


def _end(connection: _Connection, job: _Job, status: str, action: str, error: str | None) -> None:
    values = {"id": job.id, "status": status, "action": action, "error": error}
    connection.execute(QUERIES["executor_end"], values)


def main() -> None:
    """Serve the flags, and work until the process is told to end."""
    executor = SafeExecutor(config_loader.database_url())
    config_loader.start(("SAFE_EXECUTOR_CONFIG_PATH", "LEARNING_CONFIG_PATH"))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        executor.run(stop)
    finally:
        windsock.stop()


if __name__ == "__main__":
    worker.program(main)
