"""Runs the learning loops one after the other: which, in what order and for how long is configuration."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import windsock

from . import worker
from .config_loader import is_feature_enabled
from .loops import LOOPS
from .queries import Result, Run
from .settings import Learning, Loop, SelfLearningCycle

logger = logging.getLogger("ad_learning")


class SelfLearningOrchestrator:
    """Runs all loops of a cycle; every run reads the settings in force.

    Args:
        database_url: The system's database.
        loops: What each loop does, by the name that the configuration uses.
    """

    def __init__(self, database_url: str, loops: Mapping[str, Run] = LOOPS) -> None:
        self._database_url = database_url
        self._loops = loops

    async def run_full_cycle(self) -> Result:
        """Run the enabled loops by priority.

        Returns:
            ``status`` ``completed``, ``started_at``, ``completed_at``, and by name below ``loops`` what each
            loop gave, or its status ``timeout`` or ``failed``; or ``status`` ``disabled`` and the reason.
        """
        if not is_feature_enabled("self_learning_cycle"):
            return {"status": "disabled", "reason": "Feature flag disabled"}
        settings = Learning.live().self_learning_cycle
        started_at = _now()
        done: dict[str, Result] = {}
        loops: dict[str, Loop] = dict(settings.loops)
        for name, loop in sorted(loops.items(), key=lambda item: item[1].priority):
            if not loop.enabled:
                logger.info("Skipping disabled loop: %s", name)
                continue
            done[name] = await self._attempt(name, loop, settings)
            if done[name]["status"] in {"timeout", "failed"} and not settings.continue_on_error:
                break
        return {"status": "completed", "started_at": started_at, "completed_at": _now(), "loops": done}

    async def _attempt(self, name: str, loop: Loop, settings: SelfLearningCycle) -> Result:
        """Run one loop within its time, and again after a failure; all attempts share the time."""
        try:
            async with asyncio.timeout(loop.timeout_seconds):
                return await self._retried(name, settings)
        except TimeoutError:
            logger.error("Loop %s timed out after %gs", name, loop.timeout_seconds)  # noqa: TRY400
            return {"status": "timeout"}

    async def _retried(self, name: str, settings: SelfLearningCycle) -> Result:
        for attempt in range(settings.max_retries + 1):
            try:
                return await self._run_loop(name)
            except Exception as error:
                if attempt == settings.max_retries:
                    logger.exception("Loop %s failed: %s", name, error)  # noqa: TRY401 - the line is searched for
                    return {"status": "failed", "error": str(error), "attempts": attempt + 1}
                seconds = settings.retry_seconds * 2**attempt
                await asyncio.sleep(min(settings.longest_retry_seconds, seconds))
        raise AssertionError("a range from 0 is never empty")

    async def _run_loop(self, name: str) -> Result:
        """One attempt, on a connection of its own: what it did not finish is rolled back.

        It sees one set of flags. What it reads is recorded, also which campaigns it exposed to their arms.
        """
        async with windsock.request(), worker.connected(self._database_url) as connection:
            return await self._loops[name](connection)


def _now() -> str:
    return datetime.now(UTC).isoformat()
