"""One alarm per incident, however often it recurs and however its message varies."""

from windsock.errors import DatabaseUnfitError, GuardError
from windsock.logs import get_logger
from windsock.mirror.health import Status
from windsock.text import one_line

_log = get_logger("windsock.mirror")

_PASSES = "passes by waiting"


class Alarm:
    """Reports once that publishing stopped, and once that it resumed.

    An incident lasts from the first failure until the documents are correct again. Its first message is an
    error. Different messages for the same incident (a lost connection, then an unreachable server) are
    warnings. A refusal that needs a person, from a guard or because of the database or its permissions, is a
    separate alarm, even during an incident that will pass by itself.

    Args:
        status: Where the trouble and the failures are recorded.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self._raised: set[object] = set()

    def sound(self, error: Exception) -> None:
        """Report a failure once; skip exact repeats."""
        message = one_line(error)
        kind = next((each for each in (GuardError, DatabaseUnfitError) if isinstance(error, each)), _PASSES)
        if kind not in self._raised:
            _log.error("%s", message)
        elif message != self._status.trouble:
            _log.warning("still not publishing: %s", message)
        self._raised.add(kind)
        self._status.trouble = message
        self._status.failures += 1
        self._status.guard_stops += kind is GuardError

    def over(self, how: str) -> None:
        """Report the end of an incident, if there was one, and how it ended: ``"publishing again"``."""
        if self._raised:
            _log.info("%s; the trouble was: %s", how, self._status.trouble)
        self._raised.clear()
        self._status.trouble = ""
