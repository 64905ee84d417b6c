"""gevent's patching of `threading`, which ends and begins threads as a fork does."""

from collections.abc import Callable

import gevent
from gevent import events

_surrounded = False


def surround(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call `before` and `after` around gevent's patching; only the first call of a process counts."""
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
    """Call once gevent has made its hub work in a child that was just forked."""
    gevent.spawn_raw(call)
