"""What a test may not leave behind in its process: in another order, it is what makes the next test fail."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from openfeature import _event_support, api
from openfeature.provider._registry import provider_registry

from tests.waiting import until
from windsock.healing import sharing
from windsock.runtime import lifecycle

_SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


def threads() -> set[str]:
    """The names of windsock's threads that run."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("windsock")}


def state() -> Mapping[str, object]:
    """What is as it was before once a test has ended."""
    return {
        "windsock.start": lifecycle._running,
        "windsock.healing.sharing": sharing._running,
        "OpenFeature's default provider": type(provider_registry.get_default_provider()),
        "OpenFeature's domains": sorted(provider_registry._providers),
        "OpenFeature's hooks": api.get_hooks(),
        "OpenFeature's handlers": sum(map(len, _event_support._global_handlers.values())),
        "OpenFeature's context": api.get_evaluation_context(),
        "OpenFeature's transaction context": api.get_transaction_context(),
        "levels of loggers": {
            name: logger.level
            for name, logger in logging.root.manager.loggerDict.items()
            if isinstance(logger, logging.Logger) and logger.level and name.startswith(("windsock", "openfeature"))
        },
        "level of the root logger": logging.root.level,
        "signal handlers": [signal.getsignal(each) for each in _SIGNALS],
        "environment variables": {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
    }  # fmt: skip


@contextmanager
def nothing_is_left() -> Iterator[None]:
    """Fail if the block leaves a thread of windsock's, a provider, a hook, a level, a variable behind."""
    before, running = state(), threads()
    yield
    after = state()
    assert {name: value for name, value in after.items() if value != before[name]} == {}
    assert until(lambda: threads() <= running), f"still running: {threads() - running}"
