"""A settings class as a table of fields and layers: which layer wins and which are shadowed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from windsock.console.reading import ProfileOf
from windsock.console.views.fields import EditableField
from windsock.flags import Flag
from windsock.gitops.misfits import environments_of
from windsock.nested import FieldPath, at, says
from windsock.provenance import Explanation, Provenance
from windsock.settings.declaration import Declaration
from windsock.settings.layers import Layer
from windsock.text import MASK

State: TypeAlias = Literal["wins", "shadowed", "none"]
"""A layer's value applies, doesn't (because of a stronger layer or another environment), or isn't set."""

_MOST = 3
"""Maximum profiles named in one row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One layer of the table.

    Attributes:
        name: For the heading.
        note: What the layer is.
        values: Its values, as far as they may be shown.
        layer: Its name in `Provenance.layer`.
        variant: The variant, for a base flag.
    """

    name: str
    note: str
    values: Mapping[str, object]
    layer: str
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One layer's value for a field."""

    state: State
    value: object = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One field: each layer's value, and the profiles that set it."""

    shape: EditableField
    value: object
    winner: str
    cells: tuple[Cell, ...]
    profiles: tuple[tuple[str, object], ...]
    more: int


def columns(declaration: Declaration, flag: Flag | None, process: Sequence[Layer]) -> list[Column]:
    """The layers: code, the base per environment, `.env`, and this process's environment variables."""
    return [
        Column("Code", "default", declaration.shown(declaration.defaults), "default"),
        *_base(declaration, flag),
        *(
            Column(_title(layer.origin.layer), "of the process that serves this page",
                   declaration.shown(layer.values), layer.origin.layer)
            for layer in process
            if layer.values
        ),
    ]  # fmt: skip


def _base(declaration: Declaration, flag: Flag | None) -> Iterator[Column]:
    if flag is None:
        return
    named = [name for name in environments_of(flag) if name in flag.variants]
    for name in dict.fromkeys(filter(None, (flag.default_variant, *named))):
        values = flag.variants.get(name)
        note = "base" if name == flag.default_variant else "base of this environment"
        if isinstance(values, Mapping):
            yield Column(name, note, declaration.shown(values), "base", name)


def _title(layer: str) -> str:
    return {"environment": "Environment", ".env": ".env"}.get(layer, layer)


def rows(
    fields: Iterable[EditableField],
    layers: Sequence[Column],
    explanation: Explanation,
    profiles: Sequence[ProfileOf],
    served: tuple[Declaration, Mapping[str, object]],
) -> list[LayerRow]:
    """The table's rows, field by field; `served` is the class and the values in effect here."""
    declaration, values = served
    shown = declaration.shown(values)
    won = {tuple(each.field.split(".")): each for each in explanation.fields}
    rows = []
    for shape in fields:
        found = won.get(shape.path) or _first_below(won, shape.path)
        layer = found.layer if found else "default"
        variant = found.variant if found else None
        cells = tuple(
            _cell(shape, each, wins=each.layer == layer and each.variant == variant) for each in layers
        )
        setting = [each for each in profiles if each.active and says(each.values, shape.path)]
        named = tuple(
            (each.name, MASK if shape.secret else at(declaration.shown(each.values), shape.path))
            for each in setting[:_MOST]
        )
        exact = found is not None and found.field == shape.name
        value = found.value if found and exact else at(shown, shape.path)
        winner = (found.variable or found.layer) if found else "default"
        rows.append(LayerRow(shape, value, winner, cells, named, max(0, len(setting) - _MOST)))
    return rows


def _first_below(won: Mapping[FieldPath, Provenance], path: FieldPath) -> Provenance | None:
    """The provenance of the first value in a free-form mapping."""
    return next((each for found, each in won.items() if found[: len(path)] == path), None)


def _cell(shape: EditableField, column: Column, *, wins: bool) -> Cell:
    if not says(column.values, shape.path):
        return Cell("none")
    value = MASK if shape.secret else at(column.values, shape.path)
    return Cell("wins" if wins else "shadowed", value)
