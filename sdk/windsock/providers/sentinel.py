"""The thread that checks whether an evaluating flagd is available, so that no caller has to wait for it.

It's a circuit breaker whose trial call is never a caller's: doubt triggers it, and only the sentinel's
answer opens and closes it. One slow flag raises doubt; a server that doesn't even answer the sentinel is
down.
"""

import threading
from collections.abc import Callable

from windsock.threads import BackgroundThread

Ask = Callable[[], str]
"""Queries the server; returns why it isn't available, or an empty text if it is."""

Tell = Callable[[str, int], float]
"""Takes the answer and the number of previous ones; returns the seconds until the next query."""


class SentinelWatch:
    """Queries the server if there's doubt, and repeats until it's available.

    Args:
        ask: Queries the server.
        tell: Processes the answers.
    """

    def __init__(self, ask: Ask, tell: Tell) -> None:
        self._ask = ask
        self._tell = tell
        self._doubted = threading.Event()
        self._stopped = False
        self._thread = BackgroundThread(self._run, "windsock-remote-sentinel")
        self._thread.begin()

    def doubt(self) -> None:
        """Trigger a query soon; may be called from any thread, any number of times."""
        self._doubted.set()

    def stop(self) -> None:
        """Join the thread; the caller must cancel a query in flight."""
        self._stopped = True
        self._doubted.set()
        self._thread.join()

    def _run(self) -> None:
        attempt = 0
        wait: float | None = None
        while True:
            self._doubted.wait(wait)
            self._doubted.clear()
            reason = "" if self._stopped else self._ask()
            if self._stopped:
                return
            pause = self._tell(reason, attempt)
            attempt, wait = (attempt + 1, pause) if reason else (0, None)
