"""Pauses between attempts: each twice as long as the one before, up to a maximum."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling pauses.

    Attributes:
        first: The pause after the first failure, in seconds.
        longest: Upper bound, in seconds.
        jitter: The share of a pause that is random, 0 to 1, so that many clients don't come back together.
    """

    first: float
    longest: float
    jitter: float = 0.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row; 0.0 after none."""
        if failures <= 0:
            return 0.0
        pause = min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
        return pause * random.uniform(1.0 - self.jitter, 1.0)  # noqa: S311 - spreads load, guards nothing
