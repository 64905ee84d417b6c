"""Home: what needs attention, with the next step for each item."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from windsock.console.pages.quarantine import in_force
from windsock.console.reading import QUERIES, git_flags, profile_rows, profiles_of
from windsock.console.views import todo
from windsock.console.views.flags import running
from windsock.console.visits import Answer, Page, Route, Visit
from windsock.mirror.rows import is_foreign
from windsock.runtime.state import health

_PROFILES: Final = 200
"""How many profiles are checked, most widely used first."""


def home(visit: Visit) -> Answer:
    """What needs attention, and where to start."""
    flags = list(git_flags(visit.console).flags.values())
    execute = visit.connection.execute
    recorded = {row[0]: row[2] for row in execute(QUERIES["decisions"]).fetchall()}
    decided = visit.shared.decisions.latest() if running(flags) else None
    found = chain(
        todo.of_health(health()),
        todo.of_withdrawals(in_force(visit)),
        todo.of_mirrors(execute(QUERIES["mirrors"]).fetchall()),
        _profiles(visit),
        todo.of_experiments({**recorded, **(decided.value if decided else {})}, running(flags)),
        todo.of_flags(flags, datetime.now(UTC)),
    )
    order = ("bad", "warn", "info")
    rows = sorted(found, key=lambda each: order.index(each.tone))
    values = {
        "rows": rows,
        "classes": visit.console.declarations,
        "decided": decided,
        "waits": bool(running(flags)) and decided is None,
    }
    return Page("home.html", "Home", values)


def _profiles(visit: Visit) -> Iterator[todo.Todo]:
    declarations = visit.console.declarations
    fields = {each.flag: each.fields for each in declarations}
    rows = profile_rows(visit.connection, visit.shared.users.now(), _PROFILES)
    ours = [row for row in rows if not is_foreign(row[4], tuple(fields), fields)]
    for each in declarations:
        yield from todo.of_profiles(each, profiles_of(visit.console, ours, each.flag))


ROUTES: Final = (Route("/", home),)
