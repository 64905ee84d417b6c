"""An explanation as a table, for terminals and notebooks; loaded when one is shown."""

from windsock.notebook import table
from windsock.provenance.explanation import Explanation, Provenance
from windsock.text import escaped

_LONG = 30
"""Characters of a value that widen the column of all values."""

_COLUMNS = 80
"""Columns in which a long value and its origin share a line; else the origin is below."""


def text(explanation: Explanation) -> str:
    """A line for each field, two where a long value leaves no room; none acts on a terminal."""
    rows = [
        (each.field, escaped(str(each.value)), _where(each, explanation.config_name))
        for each in explanation.fields
    ]
    name_width = max((len(name) for name, _, _ in rows), default=0)
    value_width = max((len(value) for _, value, _ in rows if len(value) <= _LONG), default=0)
    lines = [_head(explanation)]
    for name, value, where in rows:
        line = f"  {name:<{name_width}}  {value:<{value_width}}  {where}"
        if len(value) > _LONG and len(line) > _COLUMNS:
            lines.append(f"  {name:<{name_width}}  {value}")
            line = f"  {'':<{name_width}}  {'':<{value_width}}  {where}"
        lines.append(line)
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
