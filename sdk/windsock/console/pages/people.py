"""People: what a user gets and why, now or in the past, their latest requests, and their profile."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import windsock
from windsock.api.tokens import Role
from windsock.console.page_errors import NotAllowedError
from windsock.console.reading import QUERIES, git_flags, masked_settings, part_of, profile_names
from windsock.console.views import users
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import ChangedSinceError, ConfigurationError
from windsock.gitops.contexts import context_of, moment
from windsock.gitops.explaining import Question, explained_at
from windsock.mirror import profiles
from windsock.runtime.state import health
from windsock.settings.settings import Settings
from windsock.usage.data import stored_user_ids
from windsock.usage.reading import Selection, read
from windsock.variables import user_id_key

_FOUND: Final = 50
_LONGEST: Final = 500
_REQUESTS: Final = 20


def people(visit: Visit) -> Answer:
    """Search for a user."""
    search = visit.query.get("q", "").strip()[:_LONGEST]
    if profiles.is_uuid(search):
        return Go("/user", {"id": str(UUID(search))})  # as flags and profiles spell it
    if search and (bounds := users.between(search)) is None:
        return Go("/user", {"id": search})
    found: list[Any] = []
    if search and bounds:
        low, high = bounds
        row = {"low": low, "high": high, "limit": _FOUND}
        found = visit.connection.execute(QUERIES["users_between"], row).fetchall()
    recent = [] if search else visit.connection.execute(QUERIES["recent_users"], {"limit": _FOUND}).fetchall()
    return Page("people.html", "People", {"search": search, "found": found, "recent": recent, "most": _FOUND})


def user(visit: Visit) -> Answer:
    """One user."""
    who = visit.query.get("id", "")[:_LONGEST]
    if not who:
        return Go("/people")
    text = visit.query.get("attributes", "")
    attributes = context_of(list(filter(None, map(str.strip, text.split("\n")))), who, health().environment)
    when = _moment(visit.query.get("at", ""))
    classes = [
        _class_of(visit, each, (who, attributes), when)
        for each in visit.console.settings
    ]  # fmt: skip
    assignment = _assignment(visit, who)
    active = [name for (name,) in visit.connection.execute(QUERIES["active_names"])]
    requests = read(visit.connection, Selection(stored_user_ids(who, user_id_key()), limit=_REQUESTS))
    used = [each.explanation.config_id for each in classes]
    values = {
        "who": who,
        "attributes": text,
        "when": when,
        "classes": classes,
        "assignment": assignment,
        "assignable": [name for name in active if name != assignment["profile"]],
        "names": profile_names(visit.connection, [*used, *(each.config_id for each in requests)]),
        "history": users.last_profiles(
            visit.connection.execute(QUERIES["assignments"], {"user": who}).fetchall()
        ),
        "requests": requests,
        "may_change": visit.person.role is not Role.READER,
        "waits": when is None and assignment["known"] and _waits(visit, assignment, classes),
        "changed": _changed(visit, assignment["profile"]),
        "done": visit.query.get("done", ""),
        "mirrored": visit.connection.execute(QUERIES["mirrored"]).fetchone() == (True,),
    }
    return Page("user.html", who, values)


def _moment(text: str) -> datetime | None:
    """Parse a point in the past; None for now."""
    if not text.strip():
        return None
    when = moment(text.strip())
    if when > datetime.now(UTC) + timedelta(minutes=1):
        raise ConfigurationError("the moment is in the future; leave it empty for now")
    return when


def _class_of(
    visit: Visit,
    settings_class: type[Settings],
    who: tuple[str, Mapping[str, object]],
    when: datetime | None,
) -> users.ClassOf:
    user_id, context = who
    own = {key: value for key, value in context.items() if key not in ("targetingKey", "environment")}
    if when is not None:
        environment = health().environment
        question = Question(settings_class, user_id, own, environment, visit.console.flags)
        return users.class_shown(explained_at(question, when, visit.connection))
    explanation = windsock.explain(settings_class.for_user(user_id, **own))  # type: ignore[arg-type]  # JSON values
    return users.now(explanation, git_flags(visit.console).flags, context)


def _assignment(visit: Visit, who: str) -> dict[str, Any]:
    """Whether the user is in `profiles`, which profile they have, and what it says while it is active."""
    if not profiles.is_uuid(who):
        return {"known": False, "profile": None, "config_id": None, "settings": None}
    row = visit.connection.execute(QUERIES["assignment"], {"user": who}).fetchone()
    name, config_id, settings = row or (None, None, None)
    return {"known": row is not None, "profile": name, "config_id": config_id, "settings": settings}


def _changed(visit: Visit, profile: object) -> datetime | None:
    """When the profile was changed, if no mirror has written it since."""
    row = visit.connection.execute(QUERIES["changed_since_mirrored"], {"name": profile}).fetchone()
    return row[0] if row else None


def _waits(visit: Visit, assignment: Mapping[str, Any], classes: Iterable[users.ClassOf]) -> bool:
    """Whether another profile is served than the one that is assigned: no mirror has written it yet."""
    settings = assignment["settings"] or {}
    for each, shown in zip(visit.console.declarations, classes, strict=True):
        served, sets = shown.explanation.config_id, part_of(visit.console, settings, each.flag)
        if served != assignment["config_id"] and (served or sets):
            return True
    return False


def plan(visit: Visit) -> Answer:
    """What assigning a profile would do."""
    who, name = visit.form.get("id", ""), visit.form.get("profile") or None
    _must_assign(visit, who, name)
    before, after = profiles.moves(visit.connection, name, [who])
    if not after:
        return Go("/user", {"id": who})
    now = _assignment(visit, who)["profile"]
    values = {
        "who": who,
        "profile": name,
        "now": now,
        "had": next(iter(before.values())) or "",
        "changes": _changes(visit, now, name),
    }
    return Page("assign.html", f"Assign {name}" if name else "Unassign", values)


def assign(visit: Visit) -> Answer:
    """Assign the profile, if nothing has changed since the plan."""
    who, name = visit.form.get("id", ""), visit.form.get("profile") or None
    _must_assign(visit, who, name)
    before, after = profiles.moves(visit.connection, name, [who])
    if (next(iter(before.values()), None) or "") != visit.form.get("had", ""):
        raise ChangedSinceError(
            f"the profile of {who} has changed since you looked; nothing was changed: look again"
        )
    done = profiles.assign(visit.connection, name, before, after, visit.person.name)
    return Go("/user", {"id": who, "done": done})


def _must_assign(visit: Visit, who: str, name: str | None) -> None:
    """Require permission to change everything that the old and the new profile set."""
    if not profiles.is_uuid(who):
        raise ConfigurationError(f"{who}: not the id of a user in profiles, which are UUIDs")
    for each in filter(None, (name, _assignment(visit, who)["profile"])):
        must_change_profile(visit, _settings(visit, str(each)))


def must_change_profile(visit: Visit, settings: Mapping[str, object]) -> None:
    """Require permission to change every class for which a profile sets values.

    Raises:
        NotAllowedError: Permission is missing.
    """
    touched = [
        each.flag for each in visit.console.declarations if part_of(visit.console, settings, each.flag)
    ]
    for flag in touched:
        visit.must_change(flag)
    if not touched and visit.person.flags:
        raise NotAllowedError(
            f"{visit.person.name} may change some flags only, and the profile sets nothing that is known here"
        )


def _settings(visit: Visit, name: str) -> Mapping[str, object]:
    row = visit.connection.execute(QUERIES["settings_of"], {"name": name}).fetchone()
    return {} if row is None else row[0]


def _changes(visit: Visit, now: object, name: str | None) -> list[str]:
    """The values in which the two profiles differ, in words."""
    rows = [
        profiles.ProfileRow(masked_settings(visit.console, _settings(visit, str(each)) if each else {}))
        for each in (now, name)
    ]  # fmt: skip
    return list(profiles.differences(*rows))


ROUTES: Final = (
    Route("/people", people),
    Route("/user", user),
    Route("/user/plan", plan, "POST", Role.EDITOR),
    Route("/user/assign", assign, "POST", Role.EDITOR),
)
