"""`at`: what a rollout does at another time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from windsock.errors import OverrideError
from windsock.evaluator.compiled import frozen_at


@contextmanager
def at(moment: datetime | str) -> Iterator[None]:
    """Let rules see another time inside a ``with`` block, as ``$flagd.timestamp``.

    ::

        with windsock.testing.at("2026-12-01T08:00:00Z"):
            assert new_checkout("ada")

    Like an override, it holds for this context and the tasks that it starts. It changes what flags in this
    process see and nothing else: neither Python's clocks nor a flagd server's.

    Args:
        moment: When, with a time zone; text is ISO 8601.

    Raises:
        OverrideError: The moment has no time zone, or the text is not a date and time.
    """
    try:
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError as error:
        raise OverrideError(f"{moment!r} is not an ISO 8601 date and time") from error
    if when.tzinfo is None:
        raise OverrideError(f"{moment} has no time zone; write {when.isoformat()}Z for UTC")
    token = frozen_at.set(when.timestamp())
    try:
        yield
    finally:
        frozen_at.reset(token)
