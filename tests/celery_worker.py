"""A real Celery worker in a thread of the test's process, which leaves the process as it found it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from celery.contrib.testing.worker import start_worker


@contextmanager
def celery_worker(app: Celery) -> Iterator[None]:
    """Run a worker; it sets the root logger's level and handlers, and the tests after it want theirs back."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
            yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
