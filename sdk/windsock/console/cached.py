"""Cached values: computed per page while that's cheap, in a background thread once it isn't."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

from windsock.logs import get_logger
from windsock.threads import BackgroundThread

logger = get_logger("windsock.console")

T = TypeVar("T")

CHEAP: Final = 0.015
"""Seconds that a page may wait; a value that took longer is computed in a thread from then on."""

_SHARE: Final = 20
"""Wait this many times the last run's duration before recomputing: at most 5 % of one CPU core."""


@dataclass(frozen=True, slots=True)
class Computed(Generic[T]):
    """A value and when it was computed.

    Attributes:
        value: The value.
        at: When it was computed, on the monotonic clock.
        took: How long that took, in seconds.
    """

    value: T
    at: float
    took: float

    @property
    def age(self) -> float:
        """The value's age in seconds, for display on the page."""
        return time.monotonic() - self.at


class CachedValue(Generic[T]):
    """The newest value; if computing one is slow, a page gets the previous one along with its age.

    Args:
        name: For the log and the thread.
        compute: Computes the value.
    """

    def __init__(self, name: str, compute: Callable[[], T]) -> None:
        self._name = name
        self._compute = compute
        self._computing = Lock()
        self._computed: Computed[T] | None = None
        self._fault: Exception | None = None
        self._thread: BackgroundThread | None = None

    def now(self) -> Computed[T]:
        """The value, computed now if that's cheap or none exists yet; exceptions from `compute` propagate."""
        computed = self._computed
        if computed is None:
            with self._computing:
                return self._computed or self._renew()
        if computed.took <= CHEAP:
            return self._renew()
        if computed.age > _SHARE * computed.took:
            self.begin()
        return computed

    def latest(self) -> Computed[T] | None:
        """The last computed value, without waiting; None while the first one is being computed."""
        computed = self._computed
        if computed is None or computed.age > _SHARE * computed.took:
            self.begin()
        return computed

    def soon(self, wait: float) -> Computed[T] | None:
        """The value like `now`, but None if the first one takes longer than `wait` seconds.

        The page has to ask again; if computing the value failed meanwhile, that exception is raised.
        """
        if self._computed is not None:
            return self.now()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        self.begin()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(wait)
        return self._computed

    def begin(self) -> None:
        """Start computing the value in a thread, unless one is already running."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = BackgroundThread(self._in_thread, f"windsock console: {self._name}")
            self._thread.begin()

    def close(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    def _in_thread(self) -> None:
        with self._computing:
            try:
                self._renew()
            except Exception as error:  # noqa: BLE001 - whatever it is, pages show the last value
                self._fault = error
                logger.warning("%s: pages show the last values: %s", self._name, error)

    def _renew(self) -> Computed[T]:
        began = time.monotonic()
        self._computed = computed = Computed(self._compute(), began, time.monotonic() - began)
        return computed
