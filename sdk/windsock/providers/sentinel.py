"""The thread that finds out whether a flagd that evaluates can be asked, so that no caller waits to find out.

A circuit breaker whose trial call is never a caller's: doubt starts it, and only the sentinel's answer opens
and closes it. One slow flag raises a doubt; a server that answers nothing, not even the sentinel, is down.
"""

import threading
from collections.abc import Callable

from windsock import threads

Ask = Callable[[], str]
"""Asks the server; gives why it cannot be asked, or nothing where it can."""

Tell = Callable[[str, int], float]
"""Takes the answer and the number of those before it; gives the seconds until the next."""


class SentinelWatch:
    """Asks when there is a doubt, and again until the server can be asked.

    Args:
        ask: How.
        tell: What takes the answers.
    """

    def __init__(self, ask: Ask, tell: Tell) -> None:
        self._ask = ask
        self._tell = tell
        self._doubted = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="windsock-remote-sentinel", daemon=True)
        threads.begin(self._thread)

    def doubt(self) -> None:
        """Have it ask, soon; from any thread, as often as there is reason."""
        self._doubted.set()

    def stop(self) -> None:
        """Join the thread; a question in flight is the caller's to cancel."""
        self._stopped = True
        self._doubted.set()
        threads.join(self._thread)

    def _run(self) -> None:
        attempt = 0
        wait: float | None = None
        while True:
            self._doubted.wait(wait)
            self._doubted.clear()
            why = "" if self._stopped else self._ask()
            if self._stopped:
                return
            pause = self._tell(why, attempt)
            attempt, wait = (attempt + 1, pause) if why else (0, None)
