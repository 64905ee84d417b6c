"""Merge the input of layers, and lay the flags' values over the code defaults."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from pydantic import TypeAdapter, ValidationError

from windsock.nested import overlay
from windsock.settings.flag_input import EVERY, REMOVED
from windsock.settings.shapes import Shape, fields_of, set_values

Input = Mapping[str, object]


class LaidError(Exception):
    """A flag's value for part of a default is invalid there."""

    def __init__(self, path: tuple[str, ...], error: ValidationError) -> None:
        super().__init__(str(error))
        self.path = path
        self.error = error


def merged(kind: Any, below: Input, above: Input) -> dict[str, object]:
    """Lay one model input over another; a value under one alias replaces values under the others."""
    result = dict(below)
    rest = dict(above)
    for field in fields_of(kind).values():
        keys = field.names
        new = next((key for key in keys if key in rest), None)
        if new is None:
            continue
        value = rest.pop(new)
        old = [result.pop(key) for key in keys if key in result]
        result[new] = _combined(field.shape, old[0], value) if old else value
    return overlay(result, rest)


def _combined(shape: Shape, below: object, above: object) -> object:
    if not isinstance(above, Mapping):
        return above
    if not isinstance(below, Mapping):
        return above if set_values(below) is None else over_default(shape, below, above)
    tags = shape.tag(below), shape.tag(above)
    if None not in tags and tags[0] != tags[1]:
        return above
    if EVERY in above and above[EVERY] is REMOVED:
        return above
    model = shape.model_for({**below, **above}) if shape.models else None
    if model is not None:
        return merged(model, below, above)
    values = shape.values or Shape()
    return {
        **below,
        **{
            key: _combined(values, below[key], value) if key in below else value
            for key, value in above.items()
        },
    }


def over_default(shape: Shape, default: object, value: object) -> object:
    """Lay a field's values over its code default, so that layers change only the parts they name.

    Returns:
        Input, or an instance if the default wouldn't survive a second validation, because it's an instance of
        a subclass or its validators aren't idempotent.

    Raises:
        LaidError: A value assigned to such an instance is invalid.
    """
    if not isinstance(value, Mapping):
        return value
    tags = shape.tag(default), shape.tag(value)
    if None not in tags and tags[0] != tags[1]:
        return without_removed(value)
    values = set_values(default)
    if values is None:
        return _over_mapping(shape, default if isinstance(default, Mapping) else {}, value)
    if not fields_of(type(default)):  # standard library dataclasses have no aliases
        return _over_mapping(Shape(), values, value)
    model = shape.model_for(value, default)
    if model is None or not isinstance(default, model):
        return without_removed(value)
    return _input_of(default, values, value) if _survives(shape, default) else _assigned(default, value)


def _over_mapping(shape: Shape, default: Mapping[Any, object], given: Input) -> dict[Any, object]:
    below = {} if given.get(EVERY) is REMOVED else {**default}
    names = {str(key): key for key in below}  # a flag's keys are text; the default's may be numbers
    values = shape.values or Shape()
    for text, value in given.items():
        key = names.get(text, text)
        if value is REMOVED:
            below.pop(key, None)
        else:
            below[key] = over_default(values, below.get(key), value)
    return below


def _input_of(default: Any, values: Mapping[str, object], given: Input) -> dict[str, object]:
    """Turn a default's set values into input, and lay values over it."""
    result: dict[str, object] = {}
    rest = dict(given)
    for name, field in fields_of(type(default)).items():
        new = next((key for key in field.names if key in rest), None)
        if new is not None:
            with _at(new):
                result[new] = over_default(field.shape, getattr(default, name), rest.pop(new))
        elif name in values and len(field.written) == 1:
            result[str(field.written[0])] = values[name]
    return overlay(result, rest)


def _survives(shape: Shape, default: Any) -> bool:
    """Whether revalidating a default's set values yields an equal instance."""
    if not any(member.kind is type(default) for member in shape.members):
        return False  # an instance of a subclass
    try:
        again = TypeAdapter(type(default)).validate_python(_input_of(default, set_values(default) or {}, {}))
        return bool(again == default)
    except (Exception, SystemExit):  # noqa: BLE001 - validators and comparisons of the caller's
        return False


def _assigned(default: Any, given: Input) -> object:
    """Copy a default and assign values to it; a frozen one is revalidated instead."""
    copied = deepcopy(default)
    if getattr(type(default), "model_config", {}).get("frozen"):
        return type(default).model_validate(_input_of(default, set_values(default) or {}, given))
    for name, field in fields_of(type(default)).items():
        key = next((key for key in field.names if key in given), None)
        if key is not None:
            with _at(key):
                value = over_default(field.shape, getattr(default, name), given[key])
                type(copied).__pydantic_validator__.validate_assignment(copied, name, value)
    return copied


@contextmanager
def _at(key: str) -> Iterator[None]:
    """Add a key to the path of an error raised inside."""
    try:
        yield
    except LaidError as error:
        raise LaidError((key, *error.path), error.error) from error
    except ValidationError as error:
        raise LaidError((key,), error) from error


def without_removed(value: object) -> object:
    """Drop the keys that a flag removes."""
    if isinstance(value, Mapping):
        return {key: without_removed(inner) for key, inner in value.items() if inner is not REMOVED}
    return value
