"""Settings: a class as a table of fields and layers."""

from typing import Final

import windsock
from windsock.console.reading import class_of, git_flags, profile_rows, profiles_of
from windsock.console.views import layers
from windsock.console.views.fields import shapes
from windsock.console.visits import Answer, Page, Route, Visit
from windsock.runtime.state import health


def settings(visit: Visit) -> Answer:
    """The list of classes, or one class as a table."""
    flag = visit.query.get("flag")
    if flag is None and len(visit.console.settings) == 1:
        flag = visit.console.declarations[0].flag
    return _index(visit) if flag is None else _table(visit, flag)


def _index(visit: Visit) -> Answer:
    served = git_flags(visit.console).flags
    classes = [
        {
            "declaration": each,
            "about": (each.settings_class.__doc__ or "").strip().partition("\n")[0],
            "owner": served[each.flag].metadata.get("owner", "") if each.flag in served else "",
            "in_git": each.flag in served,
        }
        for each in visit.console.declarations
    ]
    return Page("settings_index.html", "Settings", {"classes": classes})


def _table(visit: Visit, flag: str) -> Answer:
    settings_class = class_of(visit.console, flag)
    resolver = settings_class.__windsock__
    declaration = resolver.declaration
    served, counted = git_flags(visit.console), visit.shared.users.now()
    profiles = profiles_of(visit.console, profile_rows(visit.connection, counted), flag)
    found = layers.columns(declaration, served.flags.get(flag), resolver.process_layers())
    values_now = resolver.resolve(None, {}).resolution.values
    explanation = windsock.explain(settings_class.live())
    values = {
        "declaration": declaration,
        "about": (settings_class.__doc__ or "").strip(),
        "flag": served.flags.get(flag),
        "columns": found,
        "rows": layers.rows(shapes(declaration), found, explanation, profiles, (declaration, values_now)),
        "profiles": profiles,
        "counted": counted,
        "refused": explanation.refused,
        "environment": health().environment,
        "may_change": visit.person.may_change(flag),
        "several": len(visit.console.settings) > 1,
    }
    return Page("settings.html", declaration.settings_class.__name__, values)


ROUTES: Final = (Route("/settings", settings),)
