"""The layers of a settings class, and the result of resolving them: pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel

from windsock.nested import FieldPath, leaf_paths, says
from windsock.text import mask_passwords


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        layer: ``"default"``, ``"base"``, ``".env"``, ``"environment"``, ``"experiment"`` or ``"profile"``; a
            class with its own settings sources adds their names.
        flag: Key of the flag whose variant held the value, if the layer is a flag.
        variant: Name of that variant.
        config_id: UUID of the configuration, if the layer is the user's profile.
        config_name: That configuration's name, if the flag's metadata has it.
        variables: Maps fields to environment variables, if the layer is the environment or ``.env``.
    """

    layer: str
    flag: str | None = None
    variant: str | None = None
    config_id: str | None = None
    config_name: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """A readable name for the layer: ``profile teacher.profile/patient``."""
        if self.flag is None:
            return self.layer
        return f"{self.layer} {self.flag}/{self.config_name or self.variant}"

    def variable(self, path: FieldPath) -> str | None:
        """The environment variable that held a field or its enclosing mapping; None in other layers."""
        name = ".".join(path)
        return self.variables.get(name) or self.variables.get(name.lower()) or self.variables.get(path[0])


class Layer(NamedTuple):
    """One layer: partial values, nested like the fields.

    Attributes:
        origin: Where the values come from.
        values: The values by field name.
        input: The same values under the keys that pydantic reads, if a pydantic-settings source gave them;
            None for flags, which use field names.
    """

    origin: Origin
    values: Mapping[str, object]
    input: Mapping[str, object] | None = None


class Refusal(NamedTuple):
    """A rejected value and the reason; the layer below takes its place.

    Attributes:
        path: The field, and the keys below it: ``("retrieval", "top_k")``.
        origin: The layer that held the value.
        value: The value as found; ``"**********"`` if the field is secret.
        message: Why it was rejected.
    """

    path: FieldPath
    origin: Origin
    value: object
    message: str

    @property
    def source(self) -> str:
        """The layer's name and, for the environment, the variable: ``environment TEACHER_TEMPERATURE``."""
        return f"{self.origin} {self.origin.variable(self.path) or ''}".rstrip()


class MergedLayers(NamedTuple):
    """The result of laying all layers over each other; always valid.

    Attributes:
        instance: The validated settings; shared between users and never handed out for modification.
        values: Its values by field name.
        origins: The strongest layer with an accepted value, by field name.
        refusals: The rejected values.
        applied: Each layer's contribution after refusals, weakest (the code defaults) first.
    """

    instance: BaseModel
    values: Mapping[str, object]
    origins: Mapping[str, Origin]
    refusals: tuple[Refusal, ...]
    applied: tuple[Layer, ...]

    def leaves(self) -> dict[FieldPath, Origin]:
        """The strongest layer for each leaf of nested models and mappings, by path, in field order."""
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
