"""What a request pays for its settings, reads included: ``python -m bench.reads``.

``for_user`` of a class with twenty typed parameters, a base flag and a profile, then one, four or twenty
reads: outside a request, inside one, inside one whose usage is recorded, and in a healed call. What a
recorded request can't go below is measured too: with an empty function where each first read calls one.
Prints the table of docs/benchmarks.md and writes bench/results/reads.json.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from bench.page import READS, reads_table
from bench.peers import PARAMETERS, USERS, folder
from bench.timing import Call, Line, interleaved, pin, returning

if TYPE_CHECKING:
    from windsock.usage import Request

ROUNDS = 400
COUNTS = (0, 1, 4, 20)


class Nowhere:
    """A sink that keeps nothing, so that recording is what is measured."""

    def write(self, rows: Sequence[object]) -> None:
        """Take the rows."""


class Empty:
    """A field that only calls a function at each read: nothing is remembered."""

    def __get__(self, view: object, owner: type) -> int:
        """Do nothing."""
        return 0


def reading(make: Call, count: int) -> Call:
    """Make a view and read some of its fields."""
    if not count:
        return make
    read = attrgetter(*list(PARAMETERS)[:count])
    return lambda user: read(make(user))


@contextlib.contextmanager
def started(*, inside: bool, recorded: bool) -> Iterator["Request | None"]:
    """Windsock on the benchmark's flags, and perhaps a request."""
    import windsock

    windsock.start(flags=folder(), usage=Nowhere() if recorded else None)
    with windsock.request() if inside else contextlib.nullcontext() as request:
        yield request
    windsock.stop()


def users_of(request: "Request | None") -> Callable[[int], Sequence[str]]:
    """Give the same users again and again, and let a request forget the views of the sample before."""

    def users(count: int) -> Sequence[str]:
        if request is not None:
            request._traces.clear()  # a request has a few views, not thousands
        return returning(USERS)(count)

    return users


def measure(rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Nanoseconds by place and number of reads."""
    from pydantic import create_model

    import windsock

    fields = {name: (int, value) for name, value in PARAMETERS.items()}

    def declared(**options: str) -> type[windsock.Settings]:
        made: type[windsock.Settings] = create_model(
            "Bench", __base__=windsock.Settings, __cls_kwargs__=options, **fields
        )
        return made

    settings, empty = declared(flag="settings"), declared(flag="empty")
    for name in fields:
        setattr(empty, name, Empty())
    found = {}
    for place, inside, recorded, kind in [
        ("outside a request", False, False, settings),
        ("inside a request", True, False, settings),
        ("inside a request that is recorded", True, True, settings),
        ("recorded, by an empty function", True, True, empty),
    ]:
        with started(inside=inside, recorded=recorded) as request:
            lines = [Line(place, str(n), reading(kind.for_user, n), users_of(request)) for n in COUNTS]
            found |= interleaved(lines, rounds)
    with started(inside=False, recorded=False):
        lines = []
        for n in COUNTS:
            reads = reading(lambda view: view, n)
            call: Call = lambda user, reads=reads: windsock.heal(settings.for_user(user), reads)  # noqa: E731
            lines.append(Line("in a healed call", str(n), call, returning(USERS)))
        found |= interleaved(lines, rounds)
    return found


def main() -> None:
    """Measure, print, keep."""
    pin()
    found = measure(ROUNDS)
    print(reads_table(found))
    READS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
