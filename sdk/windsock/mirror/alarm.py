"""One alarm for one trouble, however often it comes back and in how many words."""

import logging

from windsock.errors import DatabaseUnfitError, GuardError
from windsock.mirror.health import Status

_log = logging.getLogger("windsock.mirror")

_PASSES = "passes by waiting"


class Alarm:
    """Says once that publishing stopped, and once that it goes on.

    A trouble lasts from the first failure until the documents are right again. Its first message is an
    error. What the same trouble says in other words later (a lost connection, then a server that cannot be
    reached) is a warning. A refusal that a person has to clear, by a guard or by what the database is or
    allows, is an alarm of its own, also in the middle of a trouble that passes by waiting.

    Args:
        status: Where the trouble and the failures are written down.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self._raised: set[object] = set()

    def sound(self, error: Exception) -> None:
        """Report a failure once; skip exact repeats."""
        said = " ".join(str(error).split())  # PostgreSQL says some things in several lines
        kind = next((each for each in (GuardError, DatabaseUnfitError) if isinstance(error, each)), _PASSES)
        if kind not in self._raised:
            _log.error("%s", said)
        elif said != self._status.trouble:
            _log.warning("still not publishing: %s", said)
        self._raised.add(kind)
        self._status.trouble = said
        self._status.failures += 1
        self._status.guard_stops += kind is GuardError

    def over(self, how: str) -> None:
        """Tell that the trouble is over, if there was one, and how: ``"publishing again"``."""
        if self._raised:
            _log.info("%s; the trouble was: %s", how, self._status.trouble)
        self._raised.clear()
        self._status.trouble = ""
