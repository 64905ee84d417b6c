"""Whether `threading.Thread` starts a greenlet: it does once gevent has patched it, as in its worker.

Greenlets share one system thread, so a native wait in one of them, such as for file events, stops them all.
"""

import sys
from collections.abc import Callable

from windsock.errors import ConfigurationError


def threads_are_greenlets() -> bool:
    """Whether gevent has patched `threading`."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


_surrounded = False


def around_patching(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call `before` and `after` around gevent's patching, if it is loaded; only the first call counts."""
    global _surrounded  # noqa: PLW0603 - gevent's list of subscribers is the process's
    if _surrounded or "gevent" not in sys.modules:
        return
    _surrounded = True
    from gevent import events  # noqa: PLC0415 - it is there

    def tell(event: object) -> None:
        if isinstance(event, events.GeventWillPatchAllEvent):
            before()
        elif isinstance(event, events.GeventDidPatchAllEvent):
            after()

    events.subscribers.append(tell)


def soon(call: Callable[[], None]) -> None:
    """Call now; where threads are greenlets, once gevent has made its hub work in a child just forked."""
    if threads_are_greenlets():
        import gevent  # noqa: PLC0415 - it is there

        gevent.spawn_raw(call)
    else:
        call()


def refuse_eventlet() -> None:
    """Refuse a process whose threads are eventlet's: windsock isn't tested there, and would block its hub.

    Raises:
        ConfigurationError: eventlet has patched `threading`.
    """
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise ConfigurationError(
            "windsock.start() can't run in a process that eventlet has monkey-patched; use gevent or threads"
        )
