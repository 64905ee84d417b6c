"""Forms generated from a class's fields, and submitted forms as values."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from windsock.console.views.fields import EditableField
from windsock.flags import JsonValue
from windsock.nested import FieldPath, at, holds, nest, overlay, without
from windsock.settings.layers import masked
from windsock.text import MASK, escaped

PREFIX: Final = "f:"
"""Prefix for form field names, so that a settings field can't be mistaken for another input."""


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form.

    Attributes:
        shape: The field.
        text: Its content; empty if no value is set.
        below: The value that applies if none is set, as text.
        wrong: Why the input is invalid.
    """

    shape: EditableField
    text: str
    below: str = ""
    wrong: str = ""

    @property
    def name(self) -> str:
        """The input's name."""
        return PREFIX + self.shape.name


@dataclass(frozen=True, slots=True)
class Sent:
    """A submitted form.

    Attributes:
        values: The values now set, nested; values that the form doesn't show are kept.
        cleared: Values that were set before and no longer are.
        wrong: Why a field is invalid, by field.
    """

    values: Mapping[str, JsonValue]
    cleared: tuple[FieldPath, ...] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Faults:
    """Why a form is invalid: errors by field, and for the form as a whole."""

    fields: Mapping[str, str] = field(default_factory=dict)
    rest: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields or self.rest)

    def and_fields(self, more: Mapping[str, str]) -> "Faults":
        """These faults plus those of other fields."""
        return Faults({**self.fields, **more}, self.rest)

    def __str__(self) -> str:
        return "; ".join((*self.rest, *(f"{name}: {text}" for name, text in self.fields.items())))


def inputs(
    shapes: Iterable[EditableField],
    current: Mapping[str, object],
    below: Mapping[str, object],
    wrong: Mapping[str, str],
    form: Mapping[str, str] | None = None,
) -> list[Input]:
    """A form's fields.

    Args:
        shapes: The fields that may be edited.
        current: The values now set.
        below: The values that apply where none is set.
        wrong: Why the submitted value is invalid, by field.
        form: The submitted form, to show again.
    """
    fields = []
    for shape in shapes:
        if MASK in json.dumps(masked(at(current, shape.path)), default=str):
            continue  # a password in a URL: neither shown nor edited here
        text = _text(shape, at(current, shape.path)) if holds(current, shape.path) else ""
        if form is not None:
            text = _again(shape, form.get(PREFIX + shape.name, text))
        lower = json.dumps(at(below, shape.path), ensure_ascii=False, default=str)
        fields.append(Input(shape, text, lower, wrong.get(shape.name, "")))
    return fields


def sent(shapes: Iterable[EditableField], before: Mapping[str, object], form: Mapping[str, str]) -> Sent:
    """Read a form; an empty field unsets its value, and a missing one keeps it."""
    values, cleared, wrong = dict(before), [], dict[str, str]()
    for shape in shapes:
        text = form.get(PREFIX + shape.name)
        if text is None:
            continue
        if not text.strip():
            if holds(before, shape.path):
                values = without(values, shape.path)
                cleared.append(shape.path)
            continue
        try:
            values = overlay(without(values, shape.path), nest(shape.path, _READERS[shape.kind](text)))
        except ValueError as error:
            wrong[shape.name] = str(error)
    stored: dict[str, JsonValue] = json.loads(json.dumps(values))
    return Sent(stored, tuple(cleared), wrong)


def repeated(form: Mapping[str, str], *besides: str) -> dict[str, str]:
    """The submitted form fields, to resubmit from the plan page."""
    return {name: text for name, text in form.items() if name.startswith(PREFIX) or name in besides}


def by_field(shapes: Iterable[EditableField], faults: Iterable[tuple[str, str]]) -> Faults:
    """Group faults, each with a dotted path, by the field that they concern."""
    names = {shape.name for shape in shapes}
    found: dict[str, str] = {}
    rest = []
    for path, message in faults:
        parts = path.split(".")
        above = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
        name = next((each for each in above if each in names), None)
        if name is None:
            rest.append(f"{path}: {message}" if path else message)
        else:
            found.setdefault(name, message)
    return Faults(found, tuple(rest))


def _text(shape: EditableField, value: object) -> str:
    """A value as its input shows it: plain text only if nothing in it is invisible."""
    text = value if shape.kind == "text" and isinstance(value, str) else ""
    if text.strip() and not text.startswith('"') and _spelled(text) == text:
        return text
    return _spelled(json.dumps(value, ensure_ascii=False, default=str))


def _again(shape: EditableField, text: str) -> str:
    """What was sent, to show it again: its invisible characters are escaped as in JSON."""
    if shape.kind == "text" and _spelled(text) != text:
        try:
            return _text(shape, _plain_text(text))
        except ValueError:
            return text
    return _spelled(text)


def _spelled(text: str) -> str:
    """The text with the characters that a page spells out as JSON's escapes, which a form reads again."""
    return "".join(each if each == "\n" or escaped(each) == each else json.dumps(each)[1:-1] for each in text)


def _integer(text: str) -> object:
    try:
        return int(text.strip())
    except ValueError:
        raise ValueError("Write a whole number, such as 10") from None


def _number(text: str) -> object:
    plain = text.strip()
    try:
        number = float(plain)
    except ValueError:
        raise ValueError("Write a number, such as 0.7") from None
    if not math.isfinite(number):
        raise ValueError("Write a number that is finite")
    return int(plain) if plain.lstrip("+-").isdecimal() and len(plain) < 16 else number


def _written(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"This is not JSON: {error}") from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _plain_text(text: str) -> object:
    """Text as entered; in quotation marks it's read as JSON, which allows empty text."""
    stripped = text.strip()
    return _written(stripped) if len(stripped) > 1 and stripped[0] == stripped[-1] == '"' else text


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "integer": _integer,
    "number": _number,
    "switch": _written,
    "choice": _written,
    "text": _plain_text,
    "json": _written,
}
