"""Write the same rows to several sinks."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from windsock.usage.experiment_records import EventRecord, ExposureRecord, Record
from windsock.usage.record import UsageRecord
from windsock.usage.sinks import ExperimentSink, RowsRefusedError, Sink, destination

S = TypeVar("S")


class Sinks:
    """Fan out to several sinks. If one raises, the whole batch is retried.

    Args:
        sinks: The sinks, in the order in which to write them.

    Attributes:
        destination: The sinks' names for the destinations.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks
        self.destination = "-".join(map(destination, sinks))

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Write to each sink; after a failure the writer retries, so sinks must recognize rows by id.

        Raises:
            RowsRefusedError: Every sink has the rows, except those that one of them refused.
        """
        _each(self._sinks, lambda sink: sink.write(rows))

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Write to each sink that takes exposures; raises as `write` does."""
        _each(self._takers(), lambda sink: sink.write_exposures(rows))

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Write to each sink that takes events; raises as `write` does."""
        _each(self._takers(), lambda sink: sink.write_events(rows))

    def _takers(self) -> list[ExperimentSink]:
        return [sink for sink in self._sinks if isinstance(sink, ExperimentSink)]

    def close(self) -> None:
        """Close the sinks that can be closed."""
        for sink in self._sinks:
            close = getattr(sink, "close", None)
            if close is not None:
                close()


def _each(sinks: Sequence[S], write: Callable[[S], None]) -> None:
    refused: list[tuple[Record, str]] = []
    for sink in sinks:
        try:
            write(sink)
        except RowsRefusedError as refusal:
            refused += refusal.refused
    if refused:
        raise RowsRefusedError(refused)
