"""Pruning of old rows by the mirror, in the background and on a separate connection."""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta

from windsock.errors import WindsockError
from windsock.logs import get_logger
from windsock.postgres import retention
from windsock.postgres.migrations import connect
from windsock.text import one_line

_log = get_logger("windsock.mirror")

_EVERY_SECONDS = 3600.0
_STOP_SECONDS = 5.0


@contextlib.contextmanager
def pruning(
    url: str, older_than: timedelta, running: Callable[[], Collection[str]], leads: Callable[[], bool]
) -> Iterator[None]:
    """Prune now and every hour while the block runs, in a thread; failures are logged as warnings.

    Args:
        url: The database, with a login that has the rights of windsock_pruner.
        older_than: The minimum age; see `retention.prune`.
        running: Returns the names of running experiments; if it raises, nothing is deleted.
        leads: Whether this mirror leads its group; a standby deletes nothing.
    """
    stop = threading.Event()

    def run() -> None:
        pause = 0.0
        while not stop.wait(pause):
            pause = 1.0  # how soon a new leader starts pruning
            if leads():
                _prune(url, older_than, running)
                pause = _EVERY_SECONDS

    thread = threading.Thread(target=run, name="windsock-pruning", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_STOP_SECONDS)  # a statement that takes longer is abandoned when the process ends


def _prune(url: str, older_than: timedelta, running: Callable[[], Collection[str]]) -> None:
    try:
        with connect(url) as connection:
            deleted = retention.prune(connection, older_than, running())
    except WindsockError as error:
        _log.warning("old rows are not deleted: %s", error)
    except Exception as error:  # noqa: BLE001 - the mirror goes on, and this is tried again
        _log.warning("old rows are not deleted: %s: %s", type(error).__name__, one_line(error))
    else:
        _log.info("%s old rows deleted", f"{sum(deleted.values()):,}")
