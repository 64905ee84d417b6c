"""Runs a learning cycle again and again; the interval may change while it waits."""

import asyncio
import logging
import os
import signal

import windsock

from . import config_loader
from .config_loader import is_feature_enabled
from .self_learning_orchestrator import SelfLearningOrchestrator
from .settings import Learning

logger = logging.getLogger("ad_learning")

_LOOK_SECONDS = 0.25
"""How often a waiting worker looks whether the interval has changed."""


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
        await _wait(stop)


async def _wait(stop: asyncio.Event) -> None:
    """Wait for the interval in force, which is read again all the while."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    while not stop.is_set() and (left := began + _interval() - clock.time()) > 0:
        try:
            async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                await stop.wait()
        except TimeoutError:
            continue


def _interval() -> float:
    return Learning.live().self_learning_cycle.interval_seconds


async def main() -> None:
    """Serve the flags, and work until the process is told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config_loader.start()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await work(SelfLearningOrchestrator(os.environ["DATABASE_URL"]), stop)
    finally:
        windsock.stop()


if __name__ == "__main__":
    asyncio.run(main())
