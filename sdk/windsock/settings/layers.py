"""Layers: how the values of a settings class are laid over each other, each checked before it counts.

Pure code: a layer is a mapping with a name, the result always validates, and what was refused says why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ValidationError

from windsock.nested import FieldPath, at, holds, leaf_paths, overlay, without

MASK = "**********"
"""Stands for a secret wherever a value is shown; pydantic's own mask."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        layer: ``"default"``, ``"base"``, ``".env"``, ``"environment"``, ``"experiment"`` or ``"profile"``; a
            class with settings sources of its own adds their names.
        flag: Key of the flag whose variant held the value, where the layer is a flag.
        variant: Name of that variant.
        config_id: UUID of the configuration, where the layer is the user's profile.
        variables: Field to environment variable, where the layer is the environment or ``.env``.
    """

    layer: str
    flag: str | None = None
    variant: str | None = None
    config_id: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Name the layer as a person would: ``profile teacher.profile/3f0c…``."""
        return self.layer if self.flag is None else f"{self.layer} {self.flag}/{self.variant}"

    def variable(self, path: FieldPath) -> str | None:
        """The environment variable that held a field, or the mapping that it is in; None in other layers."""
        return self.variables.get(".".join(path), self.variables.get(path[0]))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: partial values by field name, nested as the fields are."""

    origin: Origin
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value that did not count, and why; the layer below serves instead.

    Attributes:
        path: The field, and the keys below it: ``("retrieval", "top_k")``.
        origin: The layer that held the value.
        value: The value as it was found; ``"**********"`` where the field is secret.
        message: Why it was refused.
    """

    path: FieldPath
    origin: Origin
    value: object
    message: str

    @property
    def source(self) -> str:
        """Name the layer and, of the environment, the variable: ``environment TEACHER_TEMPERATURE``."""
        return f"{self.origin} {self.origin.variable(self.path) or ''}".rstrip()


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """The outcome of laying all layers over each other: always valid.

    Attributes:
        instance: The validated settings; shared between users, never handed out to be changed.
        values: Its values by field name.
        origins: The strongest layer that says something of a field, by field name.
        refusals: What did not count.
        applied: What each layer contributed after refusals, weakest (the code defaults) first.
    """

    instance: BaseModel
    values: Mapping[str, object]
    origins: Mapping[str, Origin]
    refusals: tuple[Refusal, ...]
    applied: tuple[Layer, ...]

    def data(self) -> dict[str, object]:
        """The layers' values laid over each other, before validation."""
        data: dict[str, object] = {}
        for layer in self.applied:
            data = overlay(data, layer.values)
        return data

    def leaves(self) -> dict[FieldPath, Origin]:
        """The strongest layer of each leaf of nested models and mappings, by path, in field order."""
        return {path: self._origin(path) for path in leaf_paths(self.data())}

    def _origin(self, path: FieldPath) -> Origin:
        return next(layer.origin for layer in reversed(self.applied) if holds(layer.values, path))


class Checked(Protocol):
    """What resolving needs of a declared settings class."""

    defaults: Mapping[str, object]

    def validate(self, data: Mapping[str, object]) -> BaseModel:
        """Give a validated instance, or raise pydantic's ``ValidationError``."""

    def unknown(self, values: Mapping[str, object]) -> Iterable[tuple[FieldPath, str]]:
        """Name the keys that no field has, each with a message."""

    def is_secret(self, path: FieldPath) -> bool:
        """Whether the value at this path must not be shown."""


def resolve(declared: Checked, layers: Sequence[Layer]) -> Resolved:
    """Lay `layers`, weakest first, over the code defaults.

    A value that fails validation falls to the layer below, alone; where a model validator ties fields
    together, what that layer says of them falls together.
    """
    data: Mapping[str, object] = declared.defaults
    instance = declared.validate(data)
    applied = [Layer(Origin("default"), data)]
    refusals: list[Refusal] = []
    for layer in layers:
        attempt = _apply(declared, data, layer)
        refusals.extend(attempt.refusals)
        if attempt.instance is not None:
            data, instance = attempt.data, attempt.instance
            applied.append(Layer(layer.origin, attempt.values))
    origins = {name: layer.origin for layer in applied for name in layer.values}
    values = {name: instance.__dict__[name] for name in declared.defaults}
    return Resolved(instance, values, origins, tuple(refusals), tuple(applied))


class _Attempt(NamedTuple):
    data: Mapping[str, object]
    values: Mapping[str, object]
    instance: BaseModel | None
    refusals: list[Refusal]


def _apply(declared: Checked, below: Mapping[str, object], layer: Layer) -> _Attempt:
    """Lay one layer over valid data, dropping what fails until the rest validates."""
    values = layer.values
    refusals: list[Refusal] = []

    def refuse(path: FieldPath, message: str) -> None:
        nonlocal values
        if declared.is_secret(path):  # a validator's own message may quote the value
            refusals.append(
                Refusal(path, layer.origin, MASK, "not valid; the field is secret, so no more is said")
            )
        else:
            refusals.append(Refusal(path, layer.origin, at(values, path), message))
        values = without(values, path)

    for path, message in declared.unknown(values):
        refuse(path, message)
    while values:
        data = overlay(below, values)
        try:
            return _Attempt(data, values, declared.validate(data), refusals)
        except ValidationError as error:
            blamed = _blame(error, values)
        except Exception as error:  # noqa: BLE001 - a validator may raise anything, but not into a request
            blamed = {(name,): f"{type(error).__name__}: {error}" for name in values}
        for path, message in blamed.items():
            refuse(path, message)
    return _Attempt(below, {}, None, refusals)


def _blame(error: ValidationError, values: Mapping[str, object]) -> dict[FieldPath, str]:
    """Find which of this layer's values each error is about; an error about none of them is about all."""
    blamed: dict[FieldPath, str] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path: FieldPath = ()
        node: object = values
        for key in item["loc"]:
            if not isinstance(node, Mapping) or key not in node:
                break
            path, node = (*path, str(key)), node[key]
        for found in [path] if path else [(name,) for name in values]:
            blamed.setdefault(found, item["msg"])
    # a refused parent takes its children along
    return {
        path: msg for path, msg in blamed.items() if not any(path[:n] in blamed for n in range(1, len(path)))
    }
