"""A deadline for DuckDB, which has no statement timeout of its own."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final, Protocol

STATEMENT_SECONDS: Final = 600
"""How long a statement may run, in DuckDB and in PostgreSQL."""

TOO_LONG: Final = "it ran into the statement timeout; narrow the SELECT, or read a prepared table instead"


class Interruptible(Protocol):
    """A connection of DuckDB."""

    def interrupt(self) -> None:
        """Make its running statement raise an error."""


@contextlib.contextmanager
def deadline(connection: Interruptible | None, seconds: float) -> Iterator[None]:
    """Interrupt the statements of a block that run longer.

    Args:
        connection: The connection that they run on; None sets no deadline.
        seconds: How long they may run together.
    """
    if connection is None:
        yield
        return
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
