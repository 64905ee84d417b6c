"""Rate limits: one token bucket per API token; the least recently used are dropped."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

BURST_SECONDS: Final = 5.0
"""The burst: this many seconds' worth of requests may come at once."""

_MOST: Final = 10_000
"""How many tokens are remembered, including invalid ones."""


class Rates:
    """The remaining requests of every token used recently.

    Args:
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: OrderedDict[bytes, float] = OrderedDict()
        """When a token's bucket will be full again."""

    def take(self, token: bytes, per_second: float) -> float:
        """Take one request from a token's budget.

        Args:
            token: The token's hash.
            per_second: Requests added to the budget per second.

        Returns:
            0.0, or the seconds until there is room for another request.
        """
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.pop(token, now), now) + 1 / per_second
            wait = full_at - now - BURST_SECONDS
            self._full_at[token] = full_at if wait <= 0 else full_at - 1 / per_second
            if len(self._full_at) > _MOST:
                self._full_at.popitem(last=False)
        return max(wait, 0.0)
