"""Track which exposures a process has already forwarded."""

from datetime import datetime

from windsock.usage.experiment_records import ExposureRecord

_MAX = 200_000


class RecentExposures:
    """Remembers the last 200,000 units exposed to an arm. A forgotten one is forwarded again."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int, str, str, str], datetime] = {}

    def is_new(self, exposure: ExposureRecord) -> bool:
        """Whether the exposure is the first for its unit and arm, or earlier than the known one."""
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
