"""Runs a learning cycle again and again; the interval may change while it waits."""

import asyncio
import logging

from . import worker
from .config_loader import database_url, is_feature_enabled
from .self_learning_orchestrator import SelfLearningOrchestrator
from .settings import Learning

logger = logging.getLogger("ad_learning")


async def work(orchestrator: SelfLearningOrchestrator, stop: asyncio.Event) -> None:
    """Run cycles until `stop` is set; return at once where the feature is off."""
    if not is_feature_enabled("self_learning_cycle"):
        logger.info("Self-learning cycle disabled by configuration")
        return
    logger.info("Starting self-learning worker (interval: %gs)", _interval())
    while not stop.is_set():
        try:
            await orchestrator.run_full_cycle()
        except Exception as error:
            logger.exception("Cycle failed: %s", error)  # noqa: TRY401 - the line is searched for
        logger.info("Waiting %g seconds before next cycle...", _interval())
        await worker.wait(stop, _interval)


def _interval() -> float:
    return Learning.live().self_learning_cycle.interval_seconds


def main() -> None:
    """Work until the process is told to end."""
    orchestrator = SelfLearningOrchestrator(database_url())
    asyncio.run(worker.serve(lambda stop: work(orchestrator, stop)))


if __name__ == "__main__":
    worker.program(main)
