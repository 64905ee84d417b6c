"""Display settings in a notebook."""

from windsock.notebook import table
from windsock.settings.settings import Settings
from windsock.settings.views import served_of


def settings_table(settings: Settings) -> str:
    """A table of the fields and, for a view, their layers, with secrets masked. Doesn't count as a read."""
    declaration = type(settings).__windsock__.declaration
    served = served_of(settings)
    if served is None:
        shown = declaration.shown({name: settings.__dict__[name] for name in declaration.fields})
        return table(type(settings).__name__, ("field", "value"), shown.items())
    merged = served.resolution.merged
    shown = declaration.shown(merged.values)
    rows = [(name, value, merged.origins[name].layer) for name, value in shown.items()]
    return table(type(settings).__name__, ("field", "value", "layer"), rows)
