"""Changes: who changed what, before and after, from the audit log and Git."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from windsock.api.tokens import Role
from windsock.console.file_changes import WHOLE
from windsock.console.page_errors import NotFoundError
from windsock.console.pages.undoing import number_of, runs_experiment
from windsock.console.reading import (
    QUERIES,
    masked_settings,
    pages,
    profile_names,
    shown_flag,
)
from windsock.console.views.changes import changed_words
from windsock.console.visits import Answer, Page, Route, Visit
from windsock.errors import UnreachableError
from windsock.flags import JsonValue, read_document
from windsock.gitops.changes import flag_changes
from windsock.gitops.repository import Commit, Repository
from windsock.mirror import profiles
from windsock.mirror.profiles import ProfileRow

_SIZE: Final = 50
_COMMITS: Final = 20
_USERS: Final = 5
"""Maximum users whose pages a change of assignments leads to."""

_SHOWN: Final = 200
"""Maximum lines shown for one change."""


_KINDS: Final = {"profile": "Profiles and assignments", "file": "Flag files"}
"""What may have been changed, as a filter of the list."""


class AuditRow(NamedTuple):
    """A change in the audit log."""

    kind: str
    id: int
    changed_at: datetime
    actor: str
    action: str
    subject: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    undone_by: int | None


class GitLog(NamedTuple):
    """The last commits to the flag files, or why Git can't be read."""

    commits: Sequence[Commit] = ()
    fault: str = ""


def changes(visit: Visit) -> Answer:
    """Who changed what, newest first."""
    page, before = pages(visit.query, _SIZE)
    flag = visit.query.get("flag")
    kind = "file" if flag else visit.query.get("kind") if visit.query.get("kind") in _KINDS else None
    rows = _rows(visit, flag=flag, kind=kind, offset=before, limit=_SIZE + 1)
    values = {
        "rows": [(row, _summary(visit, row)) for row in rows[:_SIZE]],
        "page": page,
        "more": len(rows) > _SIZE,
        "flag": flag,
        "kind": kind,
        "kinds": _KINDS,
        "git": _commits(visit) if page == 1 and kind != "profile" else GitLog(),
        "may_change": visit.person.role is not Role.READER,
    }
    return Page("changes.html", "Changes", values)


def change(visit: Visit) -> Answer:
    """One change in detail."""
    kind = "file" if visit.query.get("kind") == "file" else "profile"
    rows = _rows(visit, kind=kind, id=number_of(visit.query.get("id", "")), limit=1)
    if not rows:
        raise NotFoundError("There is no such change.")
    row = rows[0]
    lines = _lines(visit, row)
    may_undo = row.undone_by is None and row.action in ("create", "edit", "assign", "write")
    may_undo = may_undo and not (row.kind == "file" and runs_experiment(row.after))
    values = {
        "row": row,
        "lines": lines[:_SHOWN],
        "more": len(lines) - _SHOWN,
        "users": [] if row.kind == "file" or _is_of_settings(row) else list(row.after)[:_USERS],
        "is_class": row.subject in {each.flag for each in visit.console.declarations},
        "may_undo": may_undo and visit.person.role is not Role.READER,
    }
    return Page("change.html", f"Change {row.id}", values)


def _rows(visit: Visit, **filters: object) -> list[AuditRow]:
    values = {"flag": None, "kind": None, "id": None, "offset": 0, **filters}
    return [AuditRow(*row) for row in visit.connection.execute(QUERIES["changes"], values).fetchall()]


def _summary(visit: Visit, row: AuditRow) -> str:
    lines = _lines(visit, row)
    first = lines[0] if lines else "nothing that is shown"
    return first if len(lines) < 2 else f"{first}, and {len(lines) - 1} more"


def _lines(visit: Visit, row: AuditRow) -> list[str]:
    """Describe a change, one line per value or user."""
    if row.kind == "file" and WHOLE in row.after:
        return list(_definitions(visit, str(row.subject), row.after[WHOLE]))
    if row.kind == "file":
        return [changed_words(pointer, *ends) for pointer, ends in row.after.items()]
    before = row.before or {}
    if _is_of_settings(row):
        return list(
            profiles.differences(_profile(visit, before), _profile(visit, row.after) or ProfileRow({}))
        )
    names = profile_names(visit.connection, [*before.values(), *row.after.values()])
    return [_moved(user, before.get(user), config_id, names) for user, config_id in row.after.items()]


def _is_of_settings(row: AuditRow) -> bool:
    """Whether a change to a profile is to its settings, not to who has it."""
    return "settings" in (row.before or {}) or "settings" in row.after


def _definitions(visit: Visit, key: str, ends: Sequence[JsonValue]) -> Iterator[str]:
    """What differs between two definitions of a flag."""
    flags = []
    for end in ends:
        written = json.dumps({"flags": {} if end is None else {key: end}})
        flag = read_document(written.encode(), "the audit").flags.get(key)
        flags.append(flag and shown_flag(visit.console, flag))
    if flags != [None, None]:
        for each in flag_changes(key, *flags):
            yield from each.lines()


def _profile(visit: Visit, data: Mapping[str, Any]) -> ProfileRow | None:
    if "settings" not in data:
        return None
    shown = masked_settings(visit.console, data["settings"] or {})
    return ProfileRow(shown, data.get("description"), bool(data.get("active", True)))


def _moved(user: str, before: object, after: object, names: Mapping[str, str]) -> str:
    old, new = (
        names.get(str(each), "a deleted profile") if each else "no profile" for each in (before, after)
    )
    return f"~ {user}  {old} → {new}"


def _commits(visit: Visit) -> GitLog:
    try:
        return GitLog(Repository().commits([visit.console.flags], _COMMITS))
    except UnreachableError as error:
        return GitLog(fault=str(error))


ROUTES: Final = (
    Route("/changes", changes),
    Route("/change", change),
)
