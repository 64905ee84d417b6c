"""Turn layers into input for a settings class, and validate it once."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, Protocol, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings.sources import DefaultSettingsSource

from windsock.nested import FieldPath
from windsock.settings.flag_input import to_input, with_removals
from windsock.settings.layers import Layer
from windsock.settings.merging import LaidError, merged, over_default, without_removed
from windsock.settings.shapes import Member, Shape, below, by_name, fields_of
from windsock.text import printable

ARGUMENTS = "arguments"
"""The layer of a call's arguments."""

COMMAND_LINE = "command line"
"""The layer of values that pydantic-settings read from the command line."""


class ValidationFault(NamedTuple):
    """One error that pydantic or a validator reports.

    Attributes:
        path: Its location by input keys; None if the error has none.
        kind: Pydantic's error type, or the exception's class name.
        message: The error message.
    """

    path: FieldPath | None
    kind: str
    message: str


class ValidationResult(NamedTuple):
    """The result of validating layers: an instance, or an error and its faults."""

    instance: BaseModel | None = None
    error: BaseException | None = None
    faults: tuple[ValidationFault, ...] = ()


class Resolvable(Protocol):
    """What resolving needs from a declared settings class."""

    settings_class: type[Any]
    code: BaseModel
    complete: bool

    @property
    def defaults(self) -> Mapping[str, object]:
        """The code defaults as plain nested data."""

    def default(self, name: str) -> object:
        """A field's code default."""

    def is_secret(self, path: FieldPath) -> bool:
        """Whether the value at this path must not be shown."""


class LayerValidator:
    """Validates combinations of layers for one settings class."""

    def __init__(self, declared: Resolvable, defaults: DefaultSettingsSource | None = None) -> None:
        self._declared = declared
        self._class = declared.settings_class
        self._overlays = getattr(self._class, "__windsock_named__", False)
        self._defaults = DefaultSettingsSource(self._class) if defaults is None else defaults

    def validate(self, layers: Sequence[Layer], *, onto: BaseModel | None = None) -> ValidationResult:
        """Lay the layers, weakest first, and validate; never raises an `Exception` or `SystemExit`."""
        values: Mapping[str, object] = {}
        instance: BaseModel = object.__new__(self._class) if onto is None else onto
        try:
            values = self.input_of(layers)
            self._class.__pydantic_validator__.validate_python(values, self_instance=instance)
        except LaidError as error:
            faults = [ValidationFault(error.path, each["type"], each["msg"]) for each in _errors(error.error)]
            return ValidationResult(error=error.error, faults=tuple(faults))
        except ValidationError as error:
            faults = [
                ValidationFault(_located(self._class, values, each["loc"]), each["type"], each["msg"])
                for each in _errors(error)
            ]
            return ValidationResult(error=error, faults=tuple(faults))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a validator may raise anything, or exit
            name, text = type(error).__name__, printable(error, 10_000)
            return ValidationResult(error=error, faults=(ValidationFault(None, name, f"{name}: {text}"),))
        return ValidationResult(instance)

    def input_of(self, layers: Sequence[Layer]) -> dict[str, object]:
        """Merge the layers into what pydantic reads.

        The sources are merged as in pydantic-settings; flags go below and above them. A flag changes only the
        parts of a code default that it names. A source replaces the default, as in pydantic-settings, except
        in a class with ``flag=``.
        """
        weak, sources, strong = _parts(layers)
        tuned = {name for layer in weak for name in layer.values}
        values = self._from_sources(sources, tuned)
        if self._overlays:
            values = with_removals(self._class, values)
        elif not weak and not strong:
            return values
        own = by_name(self._class, values)
        merged_input: dict[str, object] = {}
        for part in (*map(self._flag, weak), values, *map(self._flag, strong)):
            merged_input = merged(self._class, merged_input, part)
        for name, field in fields_of(self._class).items():
            key = next((key for key in field.names if key in merged_input), None)
            if key is None:
                continue
            value = merged_input[key]
            alone = self._overlays or name in tuned or name not in own  # over the code default
            merged_input[key] = (
                over_default(field.shape, self._declared.default(name), value)
                if alone
                else without_removed(value)
            )
        return merged_input

    def _flag(self, layer: Layer) -> dict[str, object]:
        return to_input(self._class, layer.values, self._declared.code)

    def _from_sources(self, sources: Sequence[Layer], tuned: set[str]) -> dict[str, object]:
        defaults = copy(self._defaults)
        below = {
            key for name, field in fields_of(self._class).items() if name in tuned for key in field.names
        }
        # a flag below the sources goes over the default itself
        defaults.defaults = {key: value for key, value in defaults.defaults.items() if key not in below}
        read = (*map(_ReadSource, reversed(sources)), defaults)
        arguments = next((layer.input for layer in sources if layer.origin.layer == ARGUMENTS), {})
        built: dict[str, object] = self._class._settings_build_values(read, arguments)  # noqa: SLF001 - its merging
        return built


class _ReadSource:
    """A pydantic-settings source whose values have already been read."""

    def __init__(self, layer: Layer) -> None:
        self.__name__ = layer.origin.layer
        self._input = layer.input

    def __call__(self) -> Mapping[str, object]:
        return self._input or {}


def _parts(layers: Sequence[Layer]) -> tuple[Sequence[Layer], Sequence[Layer], Sequence[Layer]]:
    """The flags below the sources, the sources, and the flags above them."""
    places = [place for place, layer in enumerate(layers) if layer.input is not None]
    if not places:
        return layers, (), ()
    return layers[: places[0]], layers[places[0] : places[-1] + 1], layers[places[-1] + 1 :]


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _located(kind: type, values: Mapping[str, object], location: Sequence[str | int]) -> FieldPath:
    """An error's input path, as deep as mappings go, without the union members that pydantic adds."""
    shape, node = Shape((Member(kind),)), cast("object", values)
    path: list[str] = []
    rest = list(location)
    while rest:
        if shape.is_union:
            del rest[0]
        if not rest or not isinstance(node, Mapping):
            break
        step = rest.pop(0)
        if isinstance(step, str) and step in node:
            path.append(step)
            shape, node = below(shape, node, step), node[step]
    return tuple(path)
