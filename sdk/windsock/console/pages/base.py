"""Base values: edit a flag's variants in a form, review the exact plan, and write them as the API does."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from windsock.api.checking import Mistake
from windsock.api.store import PreparedWrite, StaleRevision, Store, Stored, Write
from windsock.api.tokens import Role
from windsock.console.file_changes import SWITCHED_OFF, may_write
from windsock.console.page_errors import NotAllowedError, NotFoundError
from windsock.console.pages.file_plan import shown_patch
from windsock.console.plan_users import count_users, plan_users
from windsock.console.reading import (
    QUERIES,
    class_of,
    git_files,
    part_of,
    profile_rows,
    profiles_of,
    served_provider,
)
from windsock.console.views.changes import Patch, changed_words, field_of, who_moves
from windsock.console.views.fields import EditableField, shapes
from windsock.console.views.forms import Faults, Sent, by_field, inputs, repeated, sent
from windsock.console.visits import Answer, Go, Page, Route, Visit
from windsock.errors import ChangedSinceError, ConfigurationError
from windsock.flagfiles.configuration import ENVIRONMENTS, Configuration, Values
from windsock.flagfiles.editing import served_file
from windsock.flagfiles.files import FlagFile, read_bytes
from windsock.gitops.plan import Limits, Plan, PlanRequest, make
from windsock.gitops.plan_text import text
from windsock.mirror.profiles import is_uuid
from windsock.providers.files import FilesProvider
from windsock.settings.declaration import Declaration
from windsock.text import count, mask_passwords

_STALE: Final = "The file has changed since you opened the form: check your values, then look at the plan."


def edit(visit: Visit) -> Answer:
    """The form for a flag's values: the base or an environment's overrides."""
    declaration, store = _flag(visit, visit.query.get("flag", ""))
    count_users(visit)
    stored = store.read()
    variant = visit.query.get("variant") or stored.configuration.default
    return _form(visit, declaration, stored, _known(stored, variant), Faults())


def plan(visit: Visit) -> Answer:
    """What the form would change and for whom; or the form again, with its errors."""
    declaration, store = _flag(visit, visit.form.get("flag", ""))
    stored = store.read()
    variant = _known(stored, visit.form.get("variant", ""))
    form = sent(_editable(declaration), stored.configuration.variants[variant], visit.form)
    prepared = store.prepare(stored, _write(visit, stored, variant, form))
    if isinstance(prepared, StaleRevision):
        return replace(_form(visit, declaration, stored, variant, Faults(form.wrong, (_STALE,))), status=409)
    if form.wrong:
        return _form(visit, declaration, stored, variant, Faults(form.wrong))
    if not isinstance(prepared, PreparedWrite):
        faults = by_field(_editable(declaration), map(_dotted, prepared))
        return _form(visit, declaration, stored, variant, faults)
    planned = make(_request(visit, store.path, prepared))
    values = {
        "declaration": declaration,
        "variant": variant,
        "file": str(store.path),
        "changes": _words(prepared),
        "moves": list(who_moves(planned, _keep_theirs(visit, declaration, prepared, planned))),
        "population": planned.population,
        "impact": [mask_passwords(line) for line in text(planned)],
        "covered": _covered(visit, declaration, prepared),
        "revision": prepared.before.revision,
        "repeated": repeated(visit.form, "flag", "variant"),
        "writable": may_write(),
        "patch": Patch()
        if may_write()
        else shown_patch(visit, store.path, read_bytes(store.path), prepared.data),
    }
    return Page("base_plan.html", "The plan", values)


def apply(visit: Visit) -> Answer:
    """Write the planned change, if the file is unchanged since."""
    declaration, store = _flag(visit, visit.form.get("flag", ""))
    stored = store.read()
    variant = _known(stored, visit.form.get("variant", ""))
    form = sent(_editable(declaration), stored.configuration.variants[variant], visit.form)
    if form.wrong:
        raise ConfigurationError("; ".join(form.wrong.values()))
    write(visit, store, _write(visit, stored, variant, form))
    return Go("/changes", {"flag": declaration.flag})


def write(visit: Visit, store: Store, change: Write) -> None:
    """Write a change and serve it in this process immediately.

    Raises:
        NotAllowedError: Writing is switched off.
        ChangedSinceError: The file changed since; nothing was written.
        ConfigurationError: The change isn't valid; nothing was written.
    """
    if not may_write():
        raise NotAllowedError(SWITCHED_OFF)
    with visit.outside() as connection:
        outcome = store.write(connection, change)
    if isinstance(outcome, StaleRevision):
        raise ChangedSinceError(f"{store.path} has changed since the plan; nothing was written: look again")
    if not isinstance(outcome, Stored):
        raise ConfigurationError("\n".join(f"{each.pointer}: {each.message}" for each in outcome))
    provider = served_provider()
    if isinstance(provider, FilesProvider):
        provider.refresh()


def store_of(visit: Visit, flag: str) -> tuple[Declaration, Store]:
    """A class and the file that contains its flag.

    Raises:
        NotFoundError: The class doesn't exist, or no file in Git contains its flag.
    """
    declaration = class_of(visit.console, flag).__windsock__.declaration
    file = served_file(git_files(visit.console), flag)
    if file is None:
        where = visit.console.flags
        raise NotFoundError(f"No file in {where} has the flag {flag!r}; make one with `windsock init`.")
    return declaration, Store(Path(file.path), declaration)


def _flag(visit: Visit, flag: str) -> tuple[Declaration, Store]:
    found = store_of(visit, flag)
    visit.must_change(flag)
    return found


def _known(stored: Stored, variant: str) -> str:
    configuration = stored.configuration
    if variant != configuration.default and variant not in configuration.environments:
        raise NotFoundError(f"The flag has no base or environment {variant!r}.")
    return variant


def _editable(declaration: Declaration) -> list[EditableField]:
    return [shape for shape in shapes(declaration) if not shape.secret]


def _write(visit: Visit, stored: Stored, variant: str, form: Sent) -> Write:
    """Convert a form to the equivalent API request."""
    before = stored.configuration.variants[variant]
    changed = {
        key: value for key, value in form.values.items() if before.get(key) != value or key not in before
    }
    cleared = tuple((variant, path) for path in form.cleared)
    request: Values = (
        changed if variant == stored.configuration.default else {ENVIRONMENTS: {variant: changed}}
    )
    expected = visit.form.get("revision")
    revisions = None if expected is None else frozenset({expected})
    return Write(request, visit.person, revisions, cleared)


def _dotted(fault: Mistake) -> tuple[str, str]:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in fault.pointer.split("/")[1:]]
    return ".".join(parts[2:] if parts[:1] == [ENVIRONMENTS] else parts), fault.message


def _words(prepared: PreparedWrite) -> list[str]:
    """Each changed value, before and after, one per line."""
    return [changed_words(pointer, before, after) for pointer, (before, after) in _changed(prepared).items()]


def _request(visit: Visit, path: Path, prepared: PreparedWrite) -> PlanRequest:
    files = git_files(visit.console)
    after = [FlagFile(each.path, prepared.data) if Path(each.path) == path else each for each in files]
    base, declarations = prepared.before.revision, visit.console.declarations
    return PlanRequest(base, files, after, plan_users(visit), declarations, Limits(), time.time())


def _changed(prepared: PreparedWrite) -> Mapping[str, Sequence[object]]:
    return prepared.before.configuration.changes(prepared.after.configuration)


def _covered(visit: Visit, declaration: Declaration, prepared: PreparedWrite) -> list[str]:
    """Who won't see the change: users whose profile sets the field, and processes with a variable."""
    fields = _fields(prepared)
    profiles = profiles_of(
        visit.console, profile_rows(visit.connection, visit.shared.users.now()), declaration.flag
    )
    layers = class_of(visit.console, declaration.flag).__windsock__.process_layers()
    lines = []
    for name in sorted(fields):
        users = sum(each.users for each in profiles if each.active and name in each.values)
        if users:
            lines.append(f"{count(users, 'user')} whose profile sets {name}")
        own = [layer.origin for layer in layers if name in layer.values]
        lines += [f"{name} stays what {origin} says in this process" for origin in own]
    return lines


def _keep_theirs(visit: Visit, declaration: Declaration, prepared: PreparedWrite, planned: Plan) -> set[str]:
    """Those of the plan's users who keep their values, because their profile sets every changed field."""
    fields = _fields(prepared)
    named = {user for each in planned.impacts for move in each.moves for user in move.samples}
    users = {"users": [user for user in named if is_uuid(user)]}
    rows = visit.connection.execute(QUERIES["settings_of_users"], users).fetchall()
    return {
        user for user, settings in rows if fields <= part_of(visit.console, settings, declaration.flag).keys()
    }


def _fields(prepared: PreparedWrite) -> set[str]:
    return {field_of(pointer) for pointer in _changed(prepared)}


def _form(visit: Visit, declaration: Declaration, stored: Stored, variant: str, faults: Faults) -> Page:
    configuration: Configuration = stored.configuration
    is_base = variant == configuration.default
    below = declaration.defaults if is_base else {**declaration.defaults, **configuration.base}
    fields = _editable(declaration)
    own = configuration.base if is_base else configuration.overrides().get(variant, {})
    values = {
        "declaration": declaration,
        "variant": variant,
        "is_base": is_base,
        "variants": (configuration.default, *sorted(configuration.environments)),
        "inputs": inputs(fields, own, declaration.shown(below), faults.fields, visit.form or None),
        "revision": stored.revision,
        "faults": faults.rest,
        "writable": may_write(),
    }
    title = f"{declaration.settings_class.__name__}: {variant}"
    return Page("base_form.html", title, values, 422 if faults else 200)


ROUTES: Final = (
    Route("/base", edit, role=Role.EDITOR),
    Route("/base/plan", plan, "POST", Role.EDITOR),
    Route("/base/apply", apply, "POST", Role.EDITOR),
)
