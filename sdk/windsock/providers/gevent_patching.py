"""gevent's patching of `threading`, which calls for stopping and restarting threads, as a fork does."""

import importlib
import sys
from collections.abc import Callable

import gevent
from gevent import events

_surrounded = False


def surround(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call `before` and `after` around gevent's patching; only the first call in a process counts."""
    global _surrounded  # noqa: PLW0603 - gevent's list of subscribers is the process's
    if _surrounded:
        return
    _surrounded = True

    def tell(event: object) -> None:
        if isinstance(event, events.GeventWillPatchAllEvent):
            before()
        elif isinstance(event, events.GeventDidPatchAllEvent):
            _wait_for_databases_cooperatively()
            after()

    events.subscribers.append(tell)


def _wait_for_databases_cooperatively() -> None:
    """Have psycopg choose its way of waiting again.

    It chooses at import, and chose a native wait if that was before the patching: a database that doesn't
    answer would block every greenlet for as long.
    """
    if waiting := sys.modules.get("psycopg.waiting"):
        importlib.reload(waiting)


def soon(call: Callable[[], None]) -> None:
    """Make a call once gevent's hub works in a newly forked child."""
    gevent.spawn_raw(call)
