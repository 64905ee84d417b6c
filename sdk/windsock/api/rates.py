"""How often one token may ask: a token bucket for each, of which the longest unused are forgotten."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

BURST_SECONDS: Final = 5.0
"""Seconds' worth of requests that may come at once."""

_MOST: Final = 10_000
"""Tokens that are remembered, invented ones included."""


class Rates:
    """The budgets of all tokens that asked lately.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: OrderedDict[bytes, float] = OrderedDict()
        """When a token's budget will be whole again."""

    def take(self, token: bytes, per_second: float) -> float:
        """Take one request from a token's budget.

        Args:
            token: The token's hash.
            per_second: How fast its budget grows.

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
