"""Translate flag values, which are by field name, into the input that pydantic reads."""

from collections.abc import Iterator, Mapping
from itertools import islice, repeat
from typing import Any, Final

from windsock.nested import FieldPath, nest, overlay
from windsock.settings.shapes import Shape, fields_of
from windsock.text import did_you_mean


class _Removed:
    """Marks a key that a flag removes from a mapping."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<removed>"


REMOVED: Final = _Removed()

FIXED = "fixed: a profile or an experiment cannot set it; the base flag and the environment can"
"""The message for a profile or an experiment that sets a fixed field."""

NO_BOOLEAN = "Input should be a number, not a boolean"
NO_NUMBER = "Input should be a boolean, not a number"

LONGEST_PATH: Final = 1_000
"""Characters of the keys above a list or an object; pydantic copies them for each wrong value below."""

LONG_KEYS = f"the keys that lead to a list or an object in it have more than {LONGEST_PATH:,} characters"

EVERY = "*"
"""With null, this key removes every other key of a mapping."""


def to_input(kind: Any, values: Mapping[str, object], default: object) -> dict[str, object]:
    """Turn field names into the keys that pydantic reads, at any depth where the model is known.

    Args:
        kind: The model.
        values: The flag's values for it, by field name.
        default: The code default that they may be laid over.
    """
    result: dict[str, object] = {}
    fields = fields_of(kind)
    for name, value in values.items():
        field = fields.get(name)
        if field is None:
            result[name] = value
            continue
        read = _input(field.shape, value, getattr(default, name, None))
        result = overlay(result, nest(tuple(map(str, field.written)), read))
    return result


def with_removals(kind: Any, values: Mapping[str, object]) -> dict[str, object]:
    """Let null remove a mapping's key in the input of sources, too."""
    shapes = {key: field.shape for field in fields_of(kind).values() for key in field.names}
    return {key: _removals(shapes[key], value) if key in shapes else value for key, value in values.items()}


def _removals(shape: Shape, value: object) -> object:
    if isinstance(value, Mapping):
        if (model := shape.model_for(value)) is not None:
            return with_removals(model, value)
        if (values := shape.values) is not None:
            return {
                key: REMOVED if _removes(values, each) else _removals(values, each)
                for key, each in value.items()
            }
    return value


def _input(shape: Shape, value: object, default: object) -> object:
    if isinstance(value, Mapping):
        model = shape.model_for(value, default)
        if model is not None:
            return to_input(model, value, default)
        if (values := shape.values) is not None:
            defaults = default if isinstance(default, Mapping) else {}
            return {
                key: REMOVED if _removes(values, each) else _input(values, each, defaults.get(key))
                for key, each in value.items()
            }
    elif isinstance(value, list) and (items := shape.items) is not None:
        return [_input(items, each, None) for each in value]
    return value


def _removes(values: Shape, value: object) -> bool:
    """Whether null removes a mapping's key: it does unless null is a valid value there."""
    return value is None and not values.optional and not any(member.kind is Any for member in values.members)


def has_long_keys(value: object) -> bool:
    """Whether the keys above a list or an object in a JSON value exceed `LONGEST_PATH` together."""
    found: list[tuple[int, Any]] = [(0, value)]
    for above, each in found:  # which grows meanwhile: recursion would need a service's stack
        below = each.items() if isinstance(each, Mapping) else zip(repeat(""), each)
        found += [(above + len(str(key)), value) for key, value in below if isinstance(value, (dict, list))]
    return any(above > LONGEST_PATH for above, _ in found)


def complaints(
    kind: Any,
    values: Mapping[str, object],
    default: object,
    *,
    tuned: bool = False,
    above: FieldPath = (),
) -> Iterator[tuple[FieldPath, str]]:
    """List a flag's values that no field accepts or that this flag must not set.

    Args:
        kind: The model.
        values: The flag's values for it, by field name.
        default: The code default that they may be laid over.
        tuned: Whether the flag is a profile or an experiment, which must not set fixed fields.
        above: The path of the values, if the model is nested.
    """
    fields = fields_of(kind)
    for name, value in values.items():
        path = (*above, str(name))
        field = fields.get(name)
        if field is None and getattr(kind, "model_config", {}).get("extra") != "allow":
            yield path, f"{kind.__name__} has no such field{did_you_mean(str(name), list(fields))}"
        elif not above and has_long_keys({name: value}):
            yield path, LONG_KEYS
        elif field is None:
            continue
        elif not all(isinstance(step, str) for step in field.written):
            yield path, "its alias is a path into a list, which a flag cannot write"
        elif tuned and field.fixed:
            yield path, FIXED
        else:
            below = tuned and not field.tunable
            yield from _of_value(field.shape, value, path, getattr(default, name, None), tuned=below)


def _of_value(
    shape: Shape, value: object, path: FieldPath, default: object, *, tuned: bool
) -> Iterator[tuple[FieldPath, str]]:
    if isinstance(value, Mapping):
        model = shape.model_for(value, default)
        if model is not None:
            yield from complaints(model, value, default, tuned=tuned, above=path)
        elif (values := shape.values) is not None:
            defaults = default if isinstance(default, Mapping) else {}
            for key, each in value.items():
                yield from _of_value(values, each, (*path, str(key)), defaults.get(key), tuned=tuned)
    elif isinstance(value, list) and (items := shape.items) is not None:
        yield from islice(  # a list is dropped as a whole
            (
                (path, message)
                for each in value
                for _, message in _of_value(items, each, path, None, tuned=tuned)
            ),
            1,
        )
    elif (message := _confused(shape, value)) is not None:
        yield path, message


def _confused(shape: Shape, value: object) -> str | None:
    """Detect values that pydantic would convert: a boolean for a number, or a number for a boolean."""
    if isinstance(value, bool):
        return NO_BOOLEAN if shape.takes_numbers and not shape.takes_booleans else None
    if isinstance(value, int | float) and shape.takes_booleans and not shape.takes_numbers:
        return NO_NUMBER
    return None
