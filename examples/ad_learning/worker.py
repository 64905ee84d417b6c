"""What every worker of the system does beside its work: it serves the flags, and ends when it is told to."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg

import windsock
from windsock.errors import WindsockError
from windsock.postgres.deadline import awithin

from . import config_loader
from .queries import Connection
from .settings import Learning


@asynccontextmanager
async def connected(url: str, *, seconds: float | None = None) -> AsyncIterator[Connection]:
    """Connect to a database that may stall: no wait for it is longer than the settings in force allow.

    Args:
        url: The system's database.
        seconds: The longest wait for one answer. Default: that of a worker.
    """
    limits = Learning.live().workers
    bounded = awithin(seconds or limits.statement_seconds)
    async with await bounded.connect(url, connect_timeout=limits.connect_seconds) as connection:
        yield connection


async def wait(stop: asyncio.Event, interval: Callable[[], float]) -> None:
    """Wait for the interval in force, which is read again all the while, or until `stop` is set."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    while not stop.is_set() and (left := began + interval() - clock.time()) > 0:
        try:
            async with asyncio.timeout(min(left, Learning.live().workers.look_seconds)):
                await stop.wait()
        except TimeoutError:
            continue


def program(main: Callable[[], None]) -> None:
    """Run a program; what a person has to mend ends it with a line of text, not with a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        main()
    except (WindsockError, FileNotFoundError) as error:
        sys.exit(str(error))


def reason(error: Exception) -> str:
    """Say in one line what went wrong, and how a database that is not prepared becomes so."""
    said = " ".join(str(error).split())
    if isinstance(error, psycopg.errors.UndefinedTable):
        said += "; run `python -m examples.ad_learning.migrate` first"
    return said


async def serve(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Serve the flags, and work until the process is told to end."""
    config_loader.start()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await work(stop)
    finally:
        windsock.stop()
