"""Indexes winners as they are queued; between two cycles of learning nothing else would."""

import asyncio
import logging

from . import worker
from .config_loader import database_url
from .indexing import index_winners
from .settings import Learning

logger = logging.getLogger("ad_learning")


async def work(url: str, stop: asyncio.Event) -> None:
    """Index winners until `stop` is set; what fails is tried again after the interval in force."""
    while not stop.is_set():
        indexed: object = 0
        try:
            async with worker.connected(url) as connection:
                indexed = (await index_winners(connection))["rows"]
        except Exception as error:  # noqa: BLE001 - a worker outlives the database and the model
            logger.error("winners cannot be indexed: %s", worker.reason(error))  # noqa: TRY400 - each interval anew
        if indexed:
            logger.info("Indexed %s winners", indexed)
        else:
            await worker.wait(stop, lambda: Learning.live().rag_indexing.poll_interval_seconds)


def main() -> None:
    """Work until the process is told to end."""
    url = database_url()
    asyncio.run(worker.serve(lambda stop: work(url, stop)))


if __name__ == "__main__":
    worker.program(main)
