"""JSON values in messages, and the largest integer that every JSON reader represents exactly."""

from typing import Final

MOST_EXACT: Final = 2**53
"""Integers up to this are exact as doubles, the number type of flagd and JavaScript (RFC 8259, 6)."""

_KINDS: Final = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    tuple: "a list",
}


def kind(value: object) -> str:
    """The JSON type of a value, for messages: ``null``, ``a number``, ``an object``."""
    return _KINDS.get(type(value), "an object")


def described(value: object) -> str:
    """Describe a value with its type, shortened: ``the number 3``, ``the string 'x'``, ``a list``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return kind(value)


def quoted(value: object) -> str:
    """The beginning of a text in quotation marks."""
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
