"""`at`: test a rollout at another time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from windsock.errors import OverrideError
from windsock.evaluator.compiled import frozen_at


@contextmanager
def at(moment: datetime | str) -> Iterator[None]:
    """Make rules see another time, as ``$flagd.timestamp``, inside a ``with`` block.

    ::

        with windsock.testing.at("2026-12-01T08:00:00Z"):
            assert new_checkout("ada")

    Like an override, it applies to this context and the tasks started in it. It affects only flags in this
    process, not Python's clocks or a flagd server's clock.

    Args:
        moment: The time, with a time zone; text is in ISO 8601 format.

    Raises:
        OverrideError: The time has no time zone, or the text isn't a date and time.
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
