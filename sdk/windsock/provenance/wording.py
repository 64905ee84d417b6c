"""An explanation as a table, for terminals and notebooks; loaded when one is shown."""

from windsock.notebook import table
from windsock.provenance.explanation import Explanation, Provenance
from windsock.text import escaped

_LONG = 30
"""Maximum characters of a value before its origin moves to the next line, to keep tables narrow."""


def text(explanation: Explanation) -> str:
    """A line for each field, two where its value is long; each has nothing that acts on a terminal."""
    rows = [
        (each.field, escaped(str(each.value)), _where(each, explanation.config_name))
        for each in explanation.fields
    ]
    name_width = max((len(name) for name, _, _ in rows), default=0)
    value_width = max((len(value) for _, value, _ in rows if len(value) <= _LONG), default=0)
    lines = [_head(explanation)]
    for name, value, where in rows:
        if len(value) > _LONG:
            lines.append(f"  {name:<{name_width}}  {value}")
            lines.append(f"  {'':<{name_width}}  {'':<{value_width}}  {where}")
        else:
            lines.append(f"  {name:<{name_width}}  {value:<{value_width}}  {where}")
    return "\n".join(map(escaped, [*lines, *(f"  refused: {each}" for each in explanation.refused)]))


def html(explanation: Explanation) -> str:
    """A table."""
    rows = [(each.field, each.value, _where(each, explanation.config_name)) for each in explanation.fields]
    refused = [("refused", "", each) for each in explanation.refused]
    return table(_head(explanation), ("field", "value", "from"), [*rows, *refused])


def _head(explanation: Explanation) -> str:
    who = f" for {explanation.user}" if explanation.user else ""
    return (
        f"{explanation.name}{who} in {explanation.environment}, revision {explanation.revision or '-'}, "
        f"age {explanation.age:.1f} s"
    )


def _where(entry: Provenance, config_name: str | None) -> str:
    variant = config_name if entry.config_id and config_name else entry.variant
    source = entry.variable or (f"{entry.flag}/{variant}" if entry.flag else "")
    over = f"  (over {', '.join(entry.shadowed)})" if entry.shadowed else ""
    return f"{entry.layer} {source}".rstrip() + over
