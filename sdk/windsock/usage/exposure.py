"""Exposure at use: the first time in a window that a user read a field under a variant, sent to any sink."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from windsock.usage.record import UsageRecord
from windsock.usage.sinks import Sink

DEFAULT_WINDOW = 86_400.0
_USERS_MAX = 100_000


class ExposureSink:
    """Passes on what is new: each field once per user, flag, variant and window.

    Usage rows say what every request used; an exposure is the first of them in the window, with the fields
    that were not read before. What was healed is passed on whenever it happens. Two processes do not know of
    each other: an analysis takes the first exposure anyway.

    Args:
        sink: Where exposures go.
        window: Seconds.
        clock: Gives monotonic seconds.
    """

    def __init__(
        self, sink: Sink, window: float = DEFAULT_WINDOW, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sink = sink
        self._window = window
        self._clock = clock
        self._seen: dict[tuple[object, ...], tuple[float, set[str]]] = {}

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Pass on the exposures among `rows`; a batch that raised may be written again, whole.

        Raises:
            Exception: What the sink raised; its rows count as not seen.
        """
        before = dict(self._seen)
        exposures = [exposure for row in rows if (exposure := self._new(row)) is not None]
        if not exposures:
            return
        try:
            self._sink.write(exposures)
        except BaseException:
            self._seen = before
            raise

    def close(self) -> None:
        """Close the sink, where it can be closed."""
        close = getattr(self._sink, "close", None)
        if close is not None:
            close()

    def _new(self, row: UsageRecord) -> UsageRecord | None:
        """Give the row with the fields that are new; None where none is and nothing was healed."""
        key = (row.environment, row.user_id, row.flag, row.variant, row.config_id)
        now = self._clock()
        began, seen = self._seen.pop(key, (now, set()))
        if now - began >= self._window:
            began, seen = now, set()
        fresh = {name: value for name, value in row.values.items() if name not in seen}
        self._seen[key] = (began, seen | fresh.keys())  # the newest last
        if len(self._seen) > _USERS_MAX:
            del self._seen[next(iter(self._seen))]
        if not fresh and not row.healed:
            return None
        return replace(row, values_json=json.dumps(fresh, ensure_ascii=False))


class Sinks:
    """Several sinks as one: each gets every row. One that raises has the others wait with it.

    Args:
        sinks: In the order in which they are written.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def write(self, rows: Sequence[UsageRecord]) -> None:
        """Write to each; after a failure the writer comes again, so sinks must know rows by their id."""
        for sink in self._sinks:
            sink.write(rows)

    def close(self) -> None:
        """Close those that can be closed."""
        for sink in self._sinks:
            close = getattr(sink, "close", None)
            if close is not None:
                close()
