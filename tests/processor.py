"""A limit on processor time, which a busy machine doesn't use up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail a block that keeps this process's processors longer; at the next step of Python's.

    The code in it may catch the error, so it is raised again at the end.
    """
    error = AssertionError(f"it needs more than {seconds:g} s of a processor")
    raised = []

    def fail(*_: object) -> None:
        raised.append(error)
        raise error

    before = signal.signal(signal.SIGPROF, fail)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    if raised:
        raise error
