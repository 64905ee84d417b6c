"""Destinations for usage records: the protocol, and two sinks without dependencies."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from windsock.logs import get_logger
from windsock.usage.experiment_records import EventRecord, ExposureRecord, Record
from windsock.usage.record import UsageRecord


class Sink(Protocol):
    """A destination for usage records.

    `write` returns once the records are safe and raises if they aren't; it may block. It's called from one
    thread at a time. A batch whose write raised or took too long is written again later, so a record may
    arrive twice, with the same ``id``. A sink with a ``close()`` is closed by the writer that used it.
    """

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Store all of `rows`, or raise.

        Raises:
            RowsRefusedError: All rows are stored except these, which never will be.
            Exception: Anything else means that the batch must be written again.
        """


class RowsRefusedError(Exception):
    """A sink stored a batch except for rows that it can never store.

    Args:
        refused: Those rows, each with the sink's reason.
    """

    def __init__(self, refused: Sequence[tuple[Record, str]]) -> None:
        super().__init__(f"{len(refused)} usage records were refused; the first: {refused[0][1]}")
        self.refused = tuple(refused)


@runtime_checkable
class ExperimentSink(Sink, Protocol):
    """A sink that also takes the data for experiments, on the same terms.

    Sinks without these two methods get only usage records.
    """

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Store all of `rows`, or raise. If two have the same ``key``, the earlier time counts."""

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Store all of `rows`, or raise."""


def store(sink: Sink, records: Sequence[Record]) -> None:
    """Store a batch in a sink: usage, then exposures, then events.

    Raises:
        RowsRefusedError: The sink has the records, except those that it refused.
        Exception: What the sink raised. The whole batch may be stored again.
    """
    parts: list[tuple[Callable[[Any], None], Sequence[Record]]] = [
        (sink.write, [each for each in records if isinstance(each, UsageRecord)])
    ]
    if isinstance(sink, ExperimentSink):
        parts += [
            (sink.write_exposures, [each for each in records if isinstance(each, ExposureRecord)]),
            (sink.write_events, [each for each in records if isinstance(each, EventRecord)]),
        ]
    refused: list[tuple[Record, str]] = []
    for write, rows in parts:
        try:
            if rows:
                write(rows)
        except RowsRefusedError as refusal:
            refused += refusal.refused
    if refused:
        raise RowsRefusedError(refused)


def destination(sink: Sink) -> str:
    """Name a sink's destination, from its ``destination``, else its class."""
    return str(getattr(sink, "destination", type(sink).__name__))


class MemorySink:
    """Keeps the records in lists, for tests and notebooks.

    Attributes:
        rows: Usage records.
        exposures: Exposures, one per unit and arm, with the earliest time.
        events: Metric events.
    """

    def __init__(self) -> None:
        self.rows: list[UsageRecord] = []
        self.exposures: list[ExposureRecord] = []
        self.events: list[EventRecord] = []

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Append the rows."""
        self.rows.extend(rows)

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Store exposures that are new or earlier."""
        first: dict[object, ExposureRecord] = {each.key: each for each in self.exposures}
        for row in rows:
            known = first.get(row.key)
            if known is None:
                first[row.key] = row
            elif row.first_exposed_at < known.first_exposed_at:
                first[row.key] = replace(known, first_exposed_at=row.first_exposed_at)
        self.exposures = list(first.values())

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Append the events."""
        self.events.extend(rows)


class LogSink:
    """Writes each record as one line of JSON to a stdlib logger, for a log shipper to collect.

    Args:
        logger: By default ``windsock.usage.records``; records are written at INFO.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or get_logger("windsock.usage.records")

    def write(self, rows: Sequence[Record]) -> None:
        """Log the rows, one line each."""
        for row in rows:
            line = row.to_line()
            if not line.isascii():
                line = json.dumps(json.loads(line), separators=(",", ":"))
            self._logger.info("%s", line)

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Log the exposures; each line contains `"kind":"exposure"`."""
        self.write(rows)

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Log the events; each line contains `"kind":"event"`."""
        self.write(rows)
