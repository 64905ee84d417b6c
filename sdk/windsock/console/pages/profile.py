"""A profile: what it sets and who has it; edit it in a form, review the plan, then apply or undo it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from windsock.api.tokens import Role
from windsock.console.page_errors import NotFoundError
from windsock.console.pages.people import must_change_profile
from windsock.console.reading import QUERIES, class_of, masked_settings, part_of
from windsock.console.views.fields import EditableField, shapes
from windsock.console.views.forms import Faults, by_field, inputs, repeated, sent
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import ConfigurationError
from windsock.mirror import profiles
from windsock.mirror.checking import faults
from windsock.mirror.profiles import ProfileRow
from windsock.settings.declaration import Declaration
from windsock.text import escaped

_USERS: Final = 50
_NAME: Final = 200
"""Maximum characters in a profile's name."""


def profile(visit: Visit) -> Answer:
    """What a profile sets, who has it, and its changes."""
    name, row, users = _found(visit)
    holders = visit.connection.execute(QUERIES["users_of"], {"name": name, "limit": _USERS}).fetchall()
    values = {
        "name": name,
        "row": row,
        "users": users,
        "some": [user for (user,) in holders],
        "parts": [(each, part) for each in visit.console.declarations if (part := _shown(visit, each, row))],
        "changes": profiles.history(visit.connection, name, 20),
        "may_change": visit.person.role is not Role.READER,
        "done": visit.query.get("done", ""),
        "mirrored": visit.connection.execute(QUERIES["mirrored"]).fetchone() == (True,),
    }
    return Page("profile.html", name, values)


def new(visit: Visit) -> Answer:
    """The form for a new profile."""
    return _form(visit, "", ProfileRow({}), 0, Faults())


def edit(visit: Visit) -> Answer:
    """The form for an existing profile."""
    name, row, users = _found(visit)
    return _form(visit, name, row, users, Faults())


def plan(visit: Visit) -> Answer:
    """What the form would change, in words; or the form again, with its errors."""
    try:
        name, before, users = _named(visit)
    except ConfigurationError as error:
        return _form(visit, "", ProfileRow({}), 0, Faults(rest=(str(error),)))
    after, faults = _after(visit, name, before)
    if faults:
        return _form(visit, name if before else "", before or ProfileRow({}), users, faults)
    _must_change_both(visit, before, after)
    holders = visit.connection.execute(QUERIES["users_of"], {"name": name, "limit": 5}).fetchall()
    values = {
        "name": name,
        "is_new": before is None,
        "changed": False,
        "users": users,
        "serves": _serves(before) != _serves(after),
        "is_active": after.active,
        "some": [user for (user,) in holders],
        "changes": list(profiles.differences(_masked(visit, before), _masked(visit, after) or after)),
        "repeated": repeated(visit.form, "name", "new", "description", "active", "flag"),
        "etag": _etag(before),
        "flag": visit.form.get("flag", ""),
    }
    return Page("profile_plan.html", f"Change {name}" if before else f"Make {name}", values)


def apply(visit: Visit) -> Answer:
    """Apply the plan, if the profile is unchanged since."""
    name, before, _ = _named(visit)
    if _etag(before) != visit.form.get("etag"):
        return _planned_again(visit)
    after, faults = _after(visit, name, before)
    if faults:
        raise ConfigurationError(str(faults))
    _must_change_both(visit, before, after)
    if before == after:
        return Go("/profile", {"name": name})
    done = profiles.save(visit.connection, name, before, after, visit.person.name)
    return Go("/profile", {"name": name, "done": done})


def _planned_again(visit: Visit) -> Answer:
    """The plan as it is by now, which has to be looked at again."""
    answer = plan(visit)
    if not isinstance(answer, Page) or answer.status != 200:
        return answer
    return replace(answer, values={**answer.values, "changed": True}, status=409)


def _found(visit: Visit) -> tuple[str, ProfileRow, int]:
    name = visit.query.get("name", "")
    if not profiles.exists(visit.connection, name):
        raise NotFoundError(f"There is no profile {name!r}.")
    return name, *profiles.load(visit.connection, name)


def _named(visit: Visit) -> tuple[str, ProfileRow | None, int]:
    """The profile that a form names; None for a new one."""
    name, is_new = visit.form.get("name", ""), visit.form.get("new") == "1"
    if is_new:  # one that exists may have been named with SQL, in any way
        name = name.strip()
        if not name or len(name) > _NAME or not name.isprintable():
            raise ConfigurationError(f"a profile needs a name of at most {_NAME} characters that can be seen")
    exists = profiles.exists(visit.connection, name)
    if is_new and exists:
        raise ConfigurationError(
            f"there is a profile {name!r} already; choose another name, or edit that one"
        )
    if is_new:
        return name, None, 0
    if not exists:
        raise NotFoundError(f"There is no profile {name!r}.")
    return name, *profiles.load(visit.connection, name)


def _after(visit: Visit, name: str, before: ProfileRow | None) -> tuple[ProfileRow, Faults]:
    """The profile as the form would leave it, and any errors."""
    declaration = _edited(visit)
    fields = editable(declaration)
    row = before or ProfileRow({})
    form = sent(fields, part_of(visit.console, row.settings, declaration.flag), visit.form)
    after = replace(
        row,
        settings=_with_part(visit, row.settings, declaration, form.values),
        description=_described(visit, row),
        active="active" in visit.form,
    )
    return after, by_field(fields, faults(visit.console.declarations, name, after.settings)).and_fields(
        form.wrong
    )


def _described(visit: Visit, row: ProfileRow) -> str | None:
    """The description as sent; the one that the form showed, with what can't be seen spelled out, is kept."""
    description = visit.form.get("description", "").strip()
    return row.description if description == escaped(row.description or "").strip() else description or None


def _edited(visit: Visit) -> Declaration:
    flag = visit.form.get("flag") or visit.query.get("flag") or visit.console.declarations[0].flag
    return class_of(visit.console, flag).__windsock__.declaration


def editable(declaration: Declaration) -> list[EditableField]:
    """The fields that a profile may set; secret and fixed fields are excluded."""
    return [shape for shape in shapes(declaration) if not shape.fixed]


def _with_part(
    visit: Visit, settings: Mapping[str, object], declaration: Declaration, part: Mapping[str, object]
) -> dict[str, object]:
    """Replace one class's part of a row's settings, nested if the row nests it or has to."""
    if len(visit.console.settings) == 1:
        return dict(part)
    flags = {each.flag for each in visit.console.declarations}
    shared = {
        field
        for each in visit.console.declarations
        if each is not declaration
        for field in each.fields
    }  # fmt: skip
    kept = {key: value for key, value in settings.items() if key in flags or key not in declaration.fields}
    if declaration.flag in settings or flags & settings.keys() or shared & part.keys():
        kept.pop(declaration.flag, None)
        return {**kept, declaration.flag: dict(part)} if part else kept
    return {**kept, **part}


def _must_change_both(visit: Visit, before: ProfileRow | None, after: ProfileRow) -> None:
    for row in filter(None, (before, after)):
        must_change_profile(visit, row.settings)


def _masked(visit: Visit, row: ProfileRow | None) -> ProfileRow | None:
    return None if row is None else replace(row, settings=masked_settings(visit.console, row.settings))


def _serves(row: ProfileRow | None) -> Mapping[str, object]:
    """What the profile's users get from it."""
    return row.settings if row and row.active else {}


def _etag(row: ProfileRow | None) -> str:
    content = json.dumps(None if row is None else row.as_data(), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _shown(visit: Visit, declaration: Declaration, row: ProfileRow) -> dict[str, object]:
    return declaration.shown(part_of(visit.console, row.settings, declaration.flag))


def _form(visit: Visit, name: str, row: ProfileRow, users: int, faults: Faults) -> Answer:
    declaration = _edited(visit)
    visit.must_change(declaration.flag)
    own = part_of(visit.console, row.settings, declaration.flag)
    fields = editable(declaration)
    resolver = class_of(visit.console, declaration.flag).__windsock__
    below = declaration.shown(resolver.resolve(None, {}).resolution.values)
    title = f"Edit {name}" if name else "New profile"
    values = {
        "name": name or visit.form.get("name", ""),
        "is_new": not name,
        "row": row,
        "users": users,
        "declaration": declaration,
        "classes": visit.console.declarations,
        "inputs": inputs(fields, own, below, faults.fields, visit.form or None),
        "faults": faults.rest,
        "description": visit.form.get("description", row.description or ""),
        "active": "active" in visit.form if visit.form else row.active,
    }
    return Page("profile_form.html", title, values, 422 if faults else 200)


ROUTES: Final = (
    Route("/profile", profile),
    Route("/profile/new", new, role=Role.EDITOR),
    Route("/profile/edit", edit, role=Role.EDITOR),
    Route("/profile/plan", plan, "POST", Role.EDITOR),
    Route("/profile/apply", apply, "POST", Role.EDITOR),
)
