"""Where usage records go: one method, and the two sinks that need nothing installed."""

import logging
from collections.abc import Sequence
from typing import Protocol

from windsock.usage.record import UsageRecord


class Sink(Protocol):
    """A place that takes usage records.

    `write` returns when the records are safe and raises when they are not; it may block. It is called from
    one thread at a time. A batch whose write raised, or took longer than the writer's patience, is written
    again later, so a record may arrive twice: its ``id`` is the same. A sink with a ``close()`` is closed
    by the writer that used it.
    """

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Store all of `rows`, or raise.

        Raises:
            RowsRefusedError: All rows are stored but these, which never will be.
            Exception: Anything else means that the batch has to be written again.
        """


class RowsRefusedError(Exception):
    """A sink has stored a batch except for rows that it can never store.

    Args:
        refused: Those rows, each with the sink's reason.
    """

    def __init__(self, refused: Sequence[tuple[UsageRecord, str]]) -> None:
        super().__init__(f"{len(refused)} usage records were refused; the first: {refused[0][1]}")
        self.refused = tuple(refused)


def destination(sink: Sink) -> str:
    """Name where a sink's records go: by its own ``destination``, else by its class."""
    return str(getattr(sink, "destination", type(sink).__name__))


class MemorySink:
    """Keeps the records in a list, for tests and notebooks."""

    def __init__(self) -> None:
        self.rows: list[UsageRecord] = []

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Append the rows."""
        self.rows.extend(rows)


class LogSink:
    """Writes each record as one line of JSON to a stdlib logger, for a log shipper to collect.

    Args:
        logger: By default ``windsock.usage.records``; records are written at INFO.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("windsock.usage.records")

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Log the rows, one line each."""
        for row in rows:
            self._logger.info("%s", row.to_line())
