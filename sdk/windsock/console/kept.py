"""Values that take long to make: made for each page while cheap, and beside the pages once they are not."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Final, Generic, TypeVar

from windsock import threads

logger = logging.getLogger("windsock.console")

T = TypeVar("T")

CHEAP: Final = 0.015
"""Seconds that a page may wait; what took longer is made in a thread from then on."""

_SHARE: Final = 20
"""A thread makes it again after so many times the seconds that it took: 5 % of a processor at most."""


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """A value, and when it was made.

    Attributes:
        value: The value.
        at: When, on the monotonic clock.
        took: Seconds that it took.
    """

    value: T
    at: float
    took: float

    @property
    def age(self) -> float:
        """Seconds since then, for the page to say."""
        return time.monotonic() - self.at


class Kept(Generic[T]):
    """The newest value; where making one takes long, a page gets the last one, which says how old it is.

    Args:
        name: For the log and the thread.
        make: Makes the value.
    """

    def __init__(self, name: str, make: Callable[[], T]) -> None:
        self._name = name
        self._make = make
        self._making = Lock()
        self._made: Made[T] | None = None
        self._thread: Thread | None = None

    def now(self) -> Made[T]:
        """The value, made now if that is cheap or if there is none yet; what `make` raises then is raised."""
        made = self._made
        if made is None:
            with self._making:
                return self._made or self._renew()
        if made.took <= CHEAP:
            return self._renew()
        if made.age > _SHARE * made.took:
            self.begin()
        return made

    def latest(self) -> Made[T] | None:
        """The value as it was last made; this never waits, and None is for one that is being made."""
        made = self._made
        if made is None or made.age > _SHARE * made.took:
            self.begin()
        return made

    def begin(self) -> None:
        """Make the value in a thread, unless one is at it."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._in_thread, name=f"windsock console: {self._name}", daemon=True)
            threads.begin(self._thread)

    def close(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            threads.join(self._thread)

    def _in_thread(self) -> None:
        with self._making:
            try:
                self._renew()
            except Exception as error:  # noqa: BLE001 - whatever it is, pages show what there was
                logger.warning("%s: pages show the last ones: %s", self._name, error)

    def _renew(self) -> Made[T]:
        began = time.monotonic()
        self._made = made = Made(self._make(), began, time.monotonic() - began)
        return made
