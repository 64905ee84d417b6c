"""Quarantine: values that are withdrawn because they failed in use; lifted, or made permanent in Git."""

from typing import Any, Final, NamedTuple

from windsock.api.tokens import Role
from windsock.console.reading import QUERIES, git_files
from windsock.console.visits import Answer, Go, NotFoundError, Page, Route, Visit
from windsock.flag_names import class_flag
from windsock.gitops.withdrawing import permanent
from windsock.healing.quarantine import Withdrawal
from windsock.postgres.queries import load_queries

_QUARANTINE: Final = load_queries("windsock.healing", "queries.sql")
_MOST: Final = 200


class FailureSummary(NamedTuple):
    """What failed at one place: in how many requests, since when, and what the calls said."""

    requests: int
    first: Any
    last: Any
    errors: list[str]


def in_force(visit: Visit) -> list[Withdrawal]:
    """What is withdrawn now, as every process has it."""
    return [Withdrawal(*row) for row in visit.connection.execute(_QUARANTINE["in_force"]).fetchall()]


def quarantine(visit: Visit) -> Answer:
    """What is withdrawn, why, and until when."""
    found = in_force(visit)
    names = dict(visit.connection.execute(QUERIES["names"]).fetchall())
    values = {
        "rows": [(each, names.get(each.variant, ""), _evidence(visit, each)) for each in found[:_MOST]],
        "more": len(found) - _MOST,
        "change": "".join(permanent(found[:_MOST], git_files(visit.console))) if found else "",
        "may_change": visit.person.role is not Role.READER,
        "lifted": visit.asked.get("lifted", ""),
    }
    return Page("quarantine.html", "Quarantine", values)


def lift(visit: Visit) -> Answer:
    """Serve a value again, everywhere within seconds."""
    wanted = tuple(visit.form.get(name, "") for name in ("flag", "variant", "field", "fingerprint"))
    found = next((each for each in in_force(visit) if (*each.key, each.fingerprint) == wanted), None)
    if found is None:
        raise NotFoundError("This value is not withdrawn any more.")
    visit.must_change(class_flag(found.flag))
    row = dict(zip(("flag", "variant", "field", "fingerprint"), wanted, strict=True))
    visit.connection.execute(_QUARANTINE["lift"], row)
    return Go("/quarantine", {"lifted": found.field})


def _evidence(visit: Visit, each: Withdrawal) -> FailureSummary:
    row = {"flag": each.flag, "variant": each.variant, "field": each.field, "fingerprint": each.fingerprint}
    found = visit.connection.execute(QUERIES["evidence"], row).fetchone()
    return FailureSummary(*found) if found else FailureSummary(0, None, None, [])


ROUTES: Final = (Route("/quarantine", quarantine), Route("/quarantine/lift", lift, "POST", Role.EDITOR))
