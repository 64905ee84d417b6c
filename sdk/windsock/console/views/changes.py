"""Changes in words: to a flag's values, to profiles, and to assignments."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from windsock.api.document import ENVIRONMENTS, Values
from windsock.flags import JsonValue
from windsock.settings.layers import masked

_VARIANTS: Final = (ENVIRONMENTS, "variants")


def tokens_of(pointer: str) -> tuple[str, ...]:
    """The parts of a JSON pointer (RFC 6901)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def field_of(pointer: str) -> str:
    """The settings field to which a pointer into a configuration refers."""
    tokens = tokens_of(pointer)
    return tokens[2] if tokens[0] in _VARIANTS and len(tokens) > 2 else tokens[0]


def place_of(tokens: tuple[str, ...], default: str) -> tuple[str, tuple[str, ...]]:
    """The variant to which a pointer's parts refer, and the path within it."""
    return (tokens[1], tokens[2:]) if tokens[0] in _VARIANTS and len(tokens) > 2 else (default, tokens)


def changed_words(pointer: str, before: object, after: object) -> str:
    """Describe one value before and after; null means absent."""
    name = ".".join(tokens_of(pointer))
    if before is None:
        return f"+ {name}  {_json(after)}"
    if after is None:
        return f"- {name}  {_json(before)}"
    return f"~ {name}  {_json(before)} → {_json(after)}"


def undo_of(
    changed: Mapping[str, Sequence[JsonValue]], default: str
) -> tuple[Values, tuple[tuple[str, tuple[str, ...]], ...]]:
    """The request, and the values to clear, that undo a write; fields that followed the base do so again."""
    request: dict[str, JsonValue] = {}
    cleared = []
    for pointer, (before, _) in changed.items():
        tokens = tokens_of(pointer)
        if tokens[0] == "variants":
            continue
        if before is None:
            cleared.append(place_of(tokens, default))
        else:
            _put(request, tokens, before)
    return request, tuple(cleared)


def _put(values: dict[str, JsonValue], path: Sequence[str], value: JsonValue) -> None:
    for key in path[:-1]:
        below = values.setdefault(key, {})
        if not isinstance(below, dict):
            return
        values = below
    values[path[-1]] = value


def _json(value: object) -> str:
    text = json.dumps(masked(value), ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:297]}…"
