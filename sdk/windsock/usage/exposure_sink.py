"""An optional sink in front of another: forward only the first time in a window that a user reads a field."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

from windsock.usage.experiment_records import EventRecord, ExposureRecord
from windsock.usage.record import UsageRecord
from windsock.usage.sinks import ExperimentSink, Sink, destination

DEFAULT_WINDOW = 86_400.0
_SEEN_MAX = 200_000

_Exposure = tuple[object, ...]


class ExposureSink:
    """Forwards exposures: each field once per user, flag, variant, experiment and window.

    Usage rows record what every request used; an exposure records the first use of a field in the window. It
    has the ids of the request and its trace, but not the latency, tokens and cost, which would count again
    for each field. Healed fields are always forwarded, as the request's row.

    Windows follow the rows' own times, counted from the epoch, and an exposure's id is derived from what it's
    an exposure to. So independent processes, replays and clock jumps yield the same id for the same exposure:
    in PostgreSQL it's one row, and elsewhere ``id`` identifies duplicates.

    Args:
        sink: Where exposures go.
        window: The window in seconds; a day begins at midnight UTC.

    Attributes:
        destination: The sink's name for the destination.
    """

    def __init__(self, sink: Sink, window: float = DEFAULT_WINDOW) -> None:
        self._sink = sink
        self.destination = f"exposures-{destination(sink)}"
        self._window = window
        self._seen: dict[_Exposure, None] = {}

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Forward the exposures in `rows`; after an exception, the whole batch may be written again.

        Raises:
            Exception: What the sink raised; its rows count as unseen.
        """
        fresh: dict[_Exposure, None] = {}
        exposures = [exposure for row in rows for exposure in self._exposures(row, fresh)]
        if exposures:
            self._sink.write(exposures)
        self._seen |= fresh
        while len(self._seen) > _SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def write_exposures(self, rows: Sequence[ExposureRecord]) -> None:
        """Forward experiment exposures, which are already unique per unit and arm."""
        if isinstance(self._sink, ExperimentSink):
            self._sink.write_exposures(rows)

    def write_events(self, rows: Sequence[EventRecord]) -> None:
        """Forward events."""
        if isinstance(self._sink, ExperimentSink):
            self._sink.write_events(rows)

    def close(self) -> None:
        """Close the sink, if it can be closed."""
        close = getattr(self._sink, "close", None)
        if close is not None:
            close()

    def _exposures(self, row: UsageRecord, fresh: dict[_Exposure, None]) -> Iterator[UsageRecord]:
        """The new exposures in a row; a value that fell back wasn't an exposure to the variant."""
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
    """Make an exposure's UUID: version 8, which RFC 9562 reserves for custom ids."""
    digest = bytearray(sha256(json.dumps(exposure, default=str).encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def _json(values: object) -> str:
    return json.dumps(values, ensure_ascii=False)
