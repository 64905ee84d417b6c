"""Convert a rule's result to a variant's name, as flagd does: the JSON text without quotes."""

import re
from typing import Final

from windsock.evaluator.values import RuleError, Value, as_float, number_text
from windsock.evaluator.work_limit import counted_apart, spend

_ESCAPED: Final = re.compile(r'["\\<>&\x00-\x1f\u2028\u2029\ufffd\ud800-\udfff]')
_SHORT: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}

_WRITING: Final = 4
"""The cost of writing a value of a list or an object, in steps."""


def is_plain_name(name: str) -> bool:
    """Whether a name reaches flagd's lookup unchanged, with no characters escaped."""
    return _ESCAPED.search(name) is None


def variant_name(value: Value) -> str:
    """The name that a rule's result selects.

    flagd encodes the result as JSON with Go's encoder, which escapes ``<``, ``>`` and ``&``, and then drops
    all double quotes. So the number 1.0 selects ``1``, true selects ``true``, and a name that contains an
    escaped character is never found.

    Raises:
        RuleError: The result can't be written as JSON (NaN, infinity), or it takes too many steps.
    """
    if isinstance(value, (str, list, dict)):
        with counted_apart():  # most rules begin no count: one left over from another rule may be used up
            return _json_text(value).replace('"', "")
    return _json_text(value).replace('"', "")


def _json_text(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _json_number(as_float(value))
    if isinstance(value, str):
        spend(len(value))
        return f'"{_ESCAPED.sub(_escape, value)}"'
    if isinstance(value, dict):
        spend(_WRITING * len(value))
        members = (f"{_json_text(str(key))}:{_json_text(item)}" for key, item in sorted(value.items()))
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        spend(_WRITING * len(value))
        return "[" + ",".join(map(_json_text, value)) + "]"
    raise RuleError(f"a result of type {type(value).__name__} cannot name a variant")


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    if character == "\ufffd" or "\ud800" <= character <= "\udfff":
        return "\ufffd"
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _json_number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        raise RuleError("the rule gives a number that JSON cannot write (NaN or infinity)")
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        exponent = format(value, "e").partition("e")[2]
        digits = repr(value).partition("e")[0].replace(".", "").lstrip("-0").rstrip("0") or "0"
        return _scientific(digits, int(exponent), negative=value < 0)
    return number_text(value)


def _scientific(digits: str, exponent: int, *, negative: bool) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    # Go writes at least two exponent digits, and its JSON encoder then shortens e-09 to e-9 but not e+09
    power = f"-{-exponent}" if -10 < exponent < 0 else f"{exponent:+03d}"
    return f"{'-' if negative else ''}{digits[0]}{fraction}e{power}"
