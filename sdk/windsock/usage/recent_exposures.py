"""Which exposures a process has passed on already."""

from datetime import datetime

from windsock.usage.experiment_records import ExposureRecord

_MAX = 200_000


class Met:
    """Remembers the 200,000 units that met an arm last. One that it forgot is passed on again."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int, str, str, str], datetime] = {}

    def is_new(self, exposure: ExposureRecord) -> bool:
        """Whether the exposure is the first of its unit and arm, or earlier than the one that was."""
        known = self._first.get(exposure.key)
        if known is not None and known <= exposure.first_exposed_at:
            return False
        self._first[exposure.key] = exposure.first_exposed_at
        if len(self._first) > _MAX:
            del self._first[next(iter(self._first))]
        return True

    def forget(self) -> None:
        """Forget everything."""
        self._first.clear()
