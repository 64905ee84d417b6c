"""Connections that give up on a server that stalls: a lock, a paused process, a proxy that swallows packets.

The server's own ``statement_timeout`` ends a statement that waits for a lock. A paused server, or one whose
answer gets lost, can't enforce it, so the client does: every wait for the server has a deadline, after which
the connection is closed and `psycopg.OperationalError` raised.
"""

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from psycopg.abc import PQGen

R = TypeVar("R")

CONNECT_SECONDS = 2
"""The minimum ``connect_timeout``: libpq and psycopg round shorter values up to it."""


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection for use in requests, with `seconds` for each wait; created by `within`, also for pools."""

    seconds = 5.0

    def wait(self, gen: "PQGen[R]", *arguments: Any, **options: Any) -> R:
        """Wait for the server, and close the connection if it takes too long.

        Raises:
            psycopg.OperationalError: No answer within `seconds`.
        """
        return super().wait(_bounded(gen, self.pgconn, self.seconds), *arguments, **options)


class AsyncDeadlineConnection(psycopg.AsyncConnection[Any]):
    """The same for asyncio."""

    seconds = 5.0

    async def wait(self, gen: "PQGen[R]", *arguments: Any, **options: Any) -> R:
        """Wait for the server, and close the connection if it takes too long.

        Raises:
            psycopg.OperationalError: No answer within `seconds`.
        """
        return await super().wait(_bounded(gen, self.pgconn, self.seconds), *arguments, **options)


def within(seconds: float) -> type[DeadlineConnection]:
    """Make a connection class whose waits end after a number of seconds."""
    return type("DeadlineConnection", (DeadlineConnection,), {"seconds": seconds})


def awithin(seconds: float) -> type[AsyncDeadlineConnection]:
    """Do the same for asyncio."""
    return type("AsyncDeadlineConnection", (AsyncDeadlineConnection,), {"seconds": seconds})


def _bounded(gen: "PQGen[R]", pgconn: psycopg.pq.abc.PGconn, seconds: float) -> "Generator[Any, Any, R]":
    """Relay between psycopg's generator and its waiter, up to a deadline.

    The waiter returns empty-handed every tenth of a second, so the deadline has that precision.
    """
    deadline = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline:
                pgconn.finish()
                raise psycopg.OperationalError(f"the database did not answer within {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: R = end.value
        return result
