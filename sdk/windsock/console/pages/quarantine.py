"""Quarantine: values withdrawn because they failed in use. Lift a withdrawal, or make it permanent in Git."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from windsock.api.tokens import Role
from windsock.console.page_errors import NotFoundError
from windsock.console.reading import QUERIES, git_files, git_flags
from windsock.console.views.fields import shapes
from windsock.console.views.forms import PREFIX
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.flag_names import class_flag
from windsock.gitops.misfits import environments_of
from windsock.gitops.withdrawing import permanent
from windsock.healing.quarantine import Withdrawal
from windsock.postgres.queries import load_queries

_QUARANTINE: Final = load_queries("windsock.healing", "queries.sql")
_MOST: Final = 50


class FailureSummary(NamedTuple):
    """Failures at one place: how many requests, since when, and the error messages."""

    requests: int
    first: Any
    last: Any
    errors: list[str]


def in_force(visit: Visit) -> list[Withdrawal]:
    """The withdrawals in force in every process."""
    return [Withdrawal(*row) for row in visit.connection.execute(_QUARANTINE["in_force"]).fetchall()]


def quarantine(visit: Visit) -> Answer:
    """The withdrawn values, why, and until when."""
    found = in_force(visit)
    ids = {"ids": [each.variant for each in found[:_MOST]]}
    named = {number: rest for number, *rest in visit.connection.execute(QUERIES["profiles_by_id"], ids)}
    names = {number: name for number, (name, *_) in named.items()}
    values = {
        "rows": [
            (
                each,
                named.get(each.variant, [""])[0],
                _evidence(visit, each),
                _out(visit, each, named.get(each.variant)),
            )
            for each in found[:_MOST]
        ],
        "more": len(found) - _MOST,
        "change": "".join(permanent(found[:_MOST], git_files(visit.console), names)) if found else "",
        "may_change": visit.person.role is not Role.READER,
        "lifted": visit.query.get("lifted", ""),
    }
    return Page("quarantine.html", "Quarantine", values)


@dataclass(frozen=True, slots=True)
class TakingOut:
    """A prefilled form that plans the removal of a value from its source, as a person might fill it in.

    Attributes:
        path: Where the form is submitted.
        fields: What it submits.
    """

    path: str
    fields: Mapping[str, str]


def _out(visit: Visit, each: Withdrawal, profile: Sequence[Any] | None) -> TakingOut | None:
    """How to make a withdrawal permanent from the console; None if that takes Git or a command."""
    declaration = next((one for one in visit.console.declarations if one.flag == class_flag(each.flag)), None)
    if declaration is None or not visit.person.may_change(declaration.flag):
        return None
    inside = f"{each.field}."
    fields = [shape for shape in shapes(declaration) if not shape.secret]
    empty = {
        PREFIX + shape.name: ""
        for shape in fields
        if shape.name == each.field or shape.name.startswith(inside)
    }
    common = {"flag": declaration.flag, **empty}
    if not empty:
        return None
    if profile is not None:
        name, description, is_active = profile
        kept = {"name": name, "description": description, **({"active": "1"} if is_active else {})}
        return TakingOut("/profile/plan", common | kept)
    flag = git_flags(visit.console).flags.get(each.flag)
    if flag is None or each.variant not in (flag.default_variant, *environments_of(flag)):
        return None
    return TakingOut("/base/plan", common | {"variant": each.variant})


def lift(visit: Visit) -> Answer:
    """Lift a withdrawal: all processes serve the value again within seconds."""
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
