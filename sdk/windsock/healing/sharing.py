"""The thread that shares this process's withdrawals through a board and learns of others' withdrawals."""

import threading
from functools import partial

from windsock.backoff import Backoff
from windsock.healing.boards import Board
from windsock.healing.mirrors import mirror_reports
from windsock.healing.quarantine import quarantine
from windsock.logs import get_logger
from windsock.text import one_line
from windsock.threads import BackgroundThread

logger = get_logger("windsock.healing")

_BACKOFF = Backoff(first=1.0, longest=60.0)


class Sharing:
    """Exchanges immediately when something is withdrawn here, otherwise every few seconds.

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
        """Send what's left and end the thread.

        Args:
            deadline: Seconds. If the board is stuck for longer, the thread stays until the process ends; late
                answers have no effect here.
        """
        global _running  # noqa: PLW0603 - one of them in a process
        _running = None
        self._stopping.set()
        quarantine.news.set()
        self._thread.join(deadline)
        mirror_reports.latest = ()

    def _start(self) -> None:
        global _running  # noqa: PLW0603 - one of them in a process
        _running = self
        self._stopping = threading.Event()
        self._thread = BackgroundThread(partial(self._run, self._stopping), "windsock-quarantine")
        self._thread.begin()

    def before_fork(self) -> None:
        """Join the thread, whose locks a child can't use; if it's stuck for a second, it's abandoned."""
        self._stopping.set()
        quarantine.news.set()
        self._thread.join(1.0)

    def after_fork(self, *, in_child: bool) -> None:
        """Resume sharing, unless it was stopped before the fork."""
        if in_child:
            quarantine.after_fork()
        if _running is self:
            self._start()

    def _run(self, stopping: threading.Event) -> None:
        pause, failures, last = 0.0, 0, False
        while not last:
            if not stopping.is_set():
                quarantine.news.wait(pause)
            last = stopping.is_set()  # before the exchange: news arriving during it is sent too
            if _running not in {self, None}:
                break  # stuck until another thread has started: that thread sends the news
            failures = 0 if self._exchange(stopping) else failures + 1
            pause = _BACKOFF.pause(failures) or self._board.interval
            if self._complaint:
                last = stopping.wait(min(pause, 1.0))  # no need to hurry for an unreachable board
        self._board.close()

    def _exchange(self, stopping: threading.Event) -> bool:
        quarantine.expire()  # even while the board is unreachable
        outbox = quarantine.take_outbox()
        try:
            in_force = self._board.exchange(outbox)
            if stopping.is_set():
                return True
            quarantine.shared(in_force)
        except Exception as error:  # noqa: BLE001 - whatever a board raises, healing goes on without it
            quarantine.put_back(outbox)
            self._complain(one_line(error) or type(error).__name__)
            return False
        mirror_reports.latest = self._board.mirrors
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
