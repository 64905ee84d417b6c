"""Writing a flagd document so that equal content is equal bytes."""

import json
from collections.abc import Mapping
from typing import Final

from windsock.errors import FlagFileError
from windsock.flags.model import JsonValue

_WIDTH: Final = 100
_STEP: Final = "  "


def write_document(content: Mapping[str, JsonValue]) -> bytes:
    """Write a document: UTF-8, sorted keys, two spaces, short lists in one line, others a line per item.

    The same content gives the same bytes, so a change in Git or a revision is a change of content.

    Args:
        content: The document as flagd's schema has it: ``flags``, ``$evaluators``, ``metadata``.

    Raises:
        FlagFileError: It holds something that JSON cannot write.
    """
    try:
        return (_write(content, "") + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FlagFileError("document", f"it cannot be written as JSON: {error}") from error


def _write(value: JsonValue, indent: str) -> str:
    if not isinstance(value, (Mapping, list, tuple)):
        return _scalar(value)
    inner = indent + _STEP
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        members = (f"{inner}{_key(key)}: {_write(item, inner)}" for key, item in sorted(value.items()))
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if not any(isinstance(item, (Mapping, list, tuple)) for item in value):
        return _scalars(value, indent)
    compact = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    if len(compact) + len(indent) <= _WIDTH:
        return compact
    return "[\n" + ",\n".join(inner + _write(item, inner) for item in value) + f"\n{indent}]"


def _scalars(values: list[JsonValue] | tuple[JsonValue, ...], indent: str) -> str:
    """A list of scalars; the standard library's C encoder writes it whole, line ends as its separators."""
    compact = json.dumps(values, ensure_ascii=False, allow_nan=False)
    if len(compact) + len(indent) <= _WIDTH:
        return compact
    separators = (f",\n{indent}{_STEP}", ": ")
    lines = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=separators)
    return f"[\n{indent}{_STEP}{lines[1:-1]}\n{indent}]"


def _scalar(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _key(key: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r} is not text")
    return _scalar(key)
