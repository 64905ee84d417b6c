"""Layers of a settings class, and the result of resolving them: pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from windsock.nested import FieldPath, leaf_paths, says
from windsock.text import mask_passwords


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
        name = ".".join(path)
        return self.variables.get(name) or self.variables.get(name.lower()) or self.variables.get(path[0])


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: partial values, nested as the fields are.

    Attributes:
        origin: Where the values come from.
        values: The values by field name.
        input: The same values under the keys that pydantic reads, if a pydantic-settings source gave them;
            None for flags, which use field names.
    """

    origin: Origin
    values: Mapping[str, object]
    input: Mapping[str, object] | None = None


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
        origins: The strongest layer whose value counted, by field name.
        refusals: What did not count.
        applied: What each layer contributed after refusals, weakest (the code defaults) first.
    """

    instance: BaseModel
    values: Mapping[str, object]
    origins: Mapping[str, Origin]
    refusals: tuple[Refusal, ...]
    applied: tuple[Layer, ...]

    def leaves(self) -> dict[FieldPath, Origin]:
        """The strongest layer of each leaf of nested models and mappings, by path, in field order."""
        return {path: self._origin(path) for path in leaf_paths(plain(self.values))}

    def _origin(self, path: FieldPath) -> Origin:
        code, *layers = self.applied
        return next((layer.origin for layer in reversed(layers) if says(layer.values, path)), code.origin)


def masked(value: object) -> object:
    """Mask passwords in URLs and connection strings, at any depth."""
    if isinstance(value, str):
        return mask_passwords(value)
    if isinstance(value, Mapping):
        return {key: masked(below) for key, below in value.items()}
    return [masked(each) for each in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Turn models into mappings by field name, at any depth."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: plain(below) for key, below in value.items()}
    return value
