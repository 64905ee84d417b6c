"""Detect whether `threading.Thread` starts a greenlet, as after patching by gevent, such as in its worker.

Greenlets share one system thread, so a native wait in one, such as for file events, blocks them all.
"""

import sys

from windsock.errors import ConfigurationError


def threads_are_greenlets() -> bool:
    """Whether gevent has patched `threading`."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def refuse_eventlet() -> None:
    """Refuse to run under eventlet: windsock isn't tested with it and would block its hub.

    Raises:
        ConfigurationError: eventlet has patched `threading`.
    """
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise ConfigurationError(
            "windsock.start() can't run in a process that eventlet has monkey-patched; use gevent or threads"
        )
