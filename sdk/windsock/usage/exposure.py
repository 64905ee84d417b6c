"""Exposure at use: the first time in a window that a user read a field under a variant, sent to any sink."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from windsock.usage.experiment_records import EventRecord, ExposureRecord, Record
from windsock.usage.record import UsageRecord
from windsock.usage.sinks import ExperimentSink, RowsRefusedError, Sink, destination

S = TypeVar("S")

DEFAULT_WINDOW = 86_400.0
_SEEN_MAX = 200_000

_Exposure = tuple[object, ...]


class ExposureSink:
    """Passes on exposures: each field once per user, flag, variant, experiment and window.

    Usage rows say what every request used; an exposure says of one field that it was used for the first time
    in the window. It has the id of the request and of its trace, but not its latency, tokens and cost, which
    would count again for each field. What was healed is passed on whenever it happens, as the request's row.

    Windows are those of the rows' own times, from the epoch on, and an exposure's id is made of what it is an
    exposure to. So processes that do not know of each other, a replay, and a clock that jumps give the same
    exposure the same id: in PostgreSQL it is one row, and elsewhere ``id`` tells.

    Args:
        sink: Where exposures go.
        window: Seconds; a day begins at midnight UTC.

    Attributes:
        destination: Where they go, as the sink names it.
    """

    def __init__(self, sink: Sink, window: float = DEFAULT_WINDOW) -> None:
        self._sink = sink
        self.destination = f"exposures-{destination(sink)}"
        self._window = window
        self._seen: dict[_Exposure, None] = {}

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Pass on the exposures among `rows`; a batch that raised may be written again, whole.

        Raises:
            Exception: What the sink raised; its rows count as not seen.
        """
        fresh: dict[_Exposure, None] = {}
        exposures = [exposure for row in rows for exposure in self._exposures(row, fresh)]
        if exposures:
            self._sink.write(exposures)
        self._seen |= fresh
        while len(self._seen) > _SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Pass on the exposures of experiments, which are one for a unit and arm already."""
        if isinstance(self._sink, ExperimentSink):
            self._sink.write_exposures(rows)

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Pass on events."""
        if isinstance(self._sink, ExperimentSink):
            self._sink.write_events(rows)

    def close(self) -> None:
        """Close the sink, where it can be closed."""
        close = getattr(self._sink, "close", None)
        if close is not None:
            close()

    def _exposures(self, row: UsageRecord, fresh: dict[_Exposure, None]) -> Iterator[UsageRecord]:
        """What is new in a row; a value that fell back wasn't an exposure to the variant's."""
        values = row.values
        healed = {each["field"] for each in row.healed} if row.healed_json != "[]" else set()
        if healed:
            yield replace(row, values_json=_json({k: v for k, v in values.items() if k in healed}))
        window = int(row.requested_at.timestamp() // self._window)
        served = (row.flag, row.variant, row.config_id, row.experiment, row.arm)
        for name, value in values.items():
            exposure = (window, self._window, row.environment, row.user_id, *served, name)
            if name in healed or exposure in self._seen or exposure in fresh:
                continue
            fresh[exposure] = None
            yield replace(
                row,
                id=_id(exposure),
                values_json=_json({name: value}),
                healed_json="[]",
                latency_ms=None,
                input_tokens=None,
                output_tokens=None,
                cost=None,
            )


def _id(exposure: _Exposure) -> UUID:
    """Make a UUID of an exposure: version 8, as RFC 9562 has it for ids of one's own making."""
    digest = bytearray(sha256(json.dumps(exposure, default=str).encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def _json(values: object) -> str:
    return json.dumps(values, ensure_ascii=False)


class Sinks:
    """Fan out to several sinks. If one raises, the whole batch is retried.

    Args:
        sinks: In the order in which they are written.

    Attributes:
        destination: Where they go, as the sinks name it.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks
        self.destination = "-".join(map(destination, sinks))

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Write to each; after a failure the writer comes again, so sinks must know rows by their id.

        Raises:
            RowsRefusedError: Every sink has the rows but those that one of them refused.
        """
        _each(self._sinks, lambda sink: sink.write(rows))

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Write to each that takes exposures; raises as `write` does."""
        _each(self._takers(), lambda sink: sink.write_exposures(rows))

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Write to each that takes events; raises as `write` does."""
        _each(self._takers(), lambda sink: sink.write_events(rows))

    def _takers(self) -> list[ExperimentSink]:
        return [sink for sink in self._sinks if isinstance(sink, ExperimentSink)]

    def close(self) -> None:
        """Close those that can be closed."""
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
