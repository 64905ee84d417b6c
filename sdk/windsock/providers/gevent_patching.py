"""gevent's patching of `threading`, which calls for stopping and restarting threads, as a fork does."""

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
            after()

    events.subscribers.append(tell)


def soon(call: Callable[[], None]) -> None:
    """Make a call once gevent's hub works in a newly forked child."""
    gevent.spawn_raw(call)
