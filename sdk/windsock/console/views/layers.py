"""A settings class as a table: fields by layers, which wins, and what is shadowed."""

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
"""Whether a layer's value serves here, doesn't (a stronger layer, another environment), or isn't there."""

_MOST = 3
"""Profiles that one row names."""


@dataclass(frozen=True, slots=True)
class Column:
    """One layer of the table.

    Attributes:
        name: For the heading.
        note: What it is.
        values: Its values, as far as they may be shown.
        layer: As `Provenance.layer` names it.
        variant: Of a base flag, the variant.
    """

    name: str
    note: str
    values: Mapping[str, object]
    layer: str
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """What one layer says of a field."""

    state: State
    value: object = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One field: what each layer says, and the profiles that set it."""

    shape: EditableField
    value: object
    winner: str
    cells: tuple[Cell, ...]
    profiles: tuple[tuple[str, object], ...]
    more: int


def columns(declaration: Declaration, flag: Flag | None, process: Sequence[Layer]) -> list[Column]:
    """The layers: the code, the base by environment, `.env` and the environment of this process."""
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
    """The table's rows, field by field; `served` are the class and the values that serve here."""
    declaration, values = served
    shown = declaration.shown(values)
    won = {tuple(each.field.split(".")): each for each in explanation.fields}
    made = []
    for shape in fields:
        found = won.get(shape.path) or _first_below(won, shape.path)
        layer = found.layer if found else "default"
        variant = found.variant if found else None
        cells = tuple(
            _cell(shape, each, wins=each.layer == layer and each.variant == variant) for each in layers
        )
        setting = [
            (each.name, MASK if shape.secret else at(declaration.shown(each.values), shape.path))
            for each in profiles
            if each.active and says(each.values, shape.path)
        ]
        exact = found is not None and found.field == shape.name
        value = found.value if found and exact else at(shown, shape.path)
        winner = (found.variable or found.layer) if found else "default"
        made.append(
            LayerRow(shape, value, winner, cells, tuple(setting[:_MOST]), max(0, len(setting) - _MOST))
        )
    return made


def _first_below(won: Mapping[FieldPath, Provenance], path: FieldPath) -> Provenance | None:
    """Where the first value of a free mapping comes from."""
    return next((each for found, each in won.items() if found[: len(path)] == path), None)


def _cell(shape: EditableField, column: Column, *, wins: bool) -> Cell:
    if not says(column.values, shape.path):
        return Cell("none")
    value = MASK if shape.secret else at(column.values, shape.path)
    return Cell("wins" if wins else "shadowed", value)
