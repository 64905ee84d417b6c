"""The thread that tells a board what this process has withdrawn, and learns what others have."""

import logging
import threading

from windsock import threads
from windsock.backoff import Backoff
from windsock.healing.boards import Board
from windsock.healing.mirrors import heard
from windsock.healing.quarantine import quarantine

logger = logging.getLogger("windsock.healing")

_BACKOFF = Backoff(first=1.0, longest=60.0)


class Sharing:
    """Exchanges at once when something is withdrawn here, and else every few seconds.

    If the board is unreachable, local withdrawals stay in force and are shared once it's back.

    Args:
        board: The table or the file.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._complaint = ""
        quarantine.mirrored = board.mirrored
        self._start()

    def stop(self, deadline: float = 5.0) -> None:
        """Tell what is left to tell and end the thread.

        Args:
            deadline: Seconds. A board that is stuck longer keeps the thread, which ends with the process;
                what the board says by then changes nothing here.
        """
        global _running  # noqa: PLW0603 - one of them in a process
        _running = None
        self._stopping.set()
        quarantine.news.set()
        threads.join(self._thread, deadline)
        heard.reports = ()

    def _start(self) -> None:
        global _running  # noqa: PLW0603 - as above
        _running = self
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=[self._stopping], name="windsock-quarantine", daemon=True
        )
        threads.begin(self._thread)

    def before_fork(self) -> None:
        """Join the thread, whose locks a child cannot use; one that is stuck for a second is left behind."""
        self._stopping.set()
        quarantine.news.set()
        threads.join(self._thread, 1.0)

    def after_fork(self, *, in_child: bool) -> None:
        """Share again, unless it was stopped before the fork."""
        if in_child:
            quarantine.after_fork()
        if _running is self:
            self._start()

    def _run(self, stopping: threading.Event) -> None:
        pause, failures, last = 0.0, 0, False
        while not last:
            if not stopping.is_set():
                quarantine.news.wait(pause)
            last = stopping.is_set()  # asked before the exchange: what is new during one is told too
            if _running not in {self, None}:
                break  # stuck until another has begun: what is new is for that one to tell
            failures = 0 if self._exchange(stopping) else failures + 1
            pause = _BACKOFF.pause(failures) or self._board.interval
            if self._complaint:
                last = stopping.wait(min(pause, 1.0))  # an unreachable board is no reason to hurry
        self._board.close()

    def _exchange(self, stopping: threading.Event) -> bool:
        quarantine.expire()  # also while the board is unreachable
        outbox = quarantine.take_outbox()
        try:
            in_force = self._board.exchange(outbox)
        except Exception as error:  # noqa: BLE001 - whatever a board raises, healing goes on without it
            quarantine.put_back(outbox)
            self._complain(" ".join(str(error).split()) or type(error).__name__)
            return False
        if stopping.is_set():
            return True
        quarantine.shared(in_force)
        heard.reports = self._board.mirrors
        self._complain("")
        return True

    def _complain(self, complaint: str) -> None:
        if complaint and not self._complaint:
            logger.warning(
                "withdrawals are not shared with other processes: %s. Values withdrawn here stay withdrawn",
                complaint,
            )
        elif self._complaint and not complaint:
            logger.info("withdrawals are shared again")
        self._complaint = complaint


_running: Sharing | None = None
