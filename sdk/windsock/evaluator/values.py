"""Values with the flagd server's semantics: numbers, strings, truth, equality and order.

flagd evaluates rules with the Go library ``diegoholiveira/jsonlogic``, in which every number is a double.
The library has two conversions: ``js_number`` imitates JavaScript (comparison), ``number`` doesn't
(arithmetic, ``in`` with a number). A failed conversion panics there, which flagd reports as PARSE_ERROR;
here it raises ``RuleError``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from math import copysign, inf, isfinite, isinf, nan
from numbers import Integral, Real
from typing import Final, TypeAlias

from windsock.flags.values import described

Value: TypeAlias = object
"""None, bool, int, float, str, list or dict, as in JSON. ``plain`` converts other objects."""

Expression: TypeAlias = Callable[[Value], Value]
"""A compiled rule that maps data to a value; raises ``RuleError``."""


class RuleError(Exception):
    """The rule can't be evaluated for this context. Becomes PARSE_ERROR; never leaves the evaluator."""


PLAIN: Final = frozenset({type(None), bool, int, float, str, list, dict})
"""Types that need no conversion."""

_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_DIGITS: Final = "[0-9](?:_?[0-9])*"
_DECIMAL: Final = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_WORD: Final = re.compile(r"[+-]?(?:inf|infinity)|nan", re.IGNORECASE | re.ASCII)
_HEX: Final = re.compile(r"[+-]?0[xX](?=[0-9a-fA-F_.])[0-9a-fA-F_]*+\.?[0-9a-fA-F_]*+[pP][+-]?[0-9_]+")
MAX_NUMBER: Final = 1024
"""Maximum length of text that is read as a number, in characters."""

MAX_ITEMS: Final = 1_000_000
"""Maximum number of values in an attribute that is converted, such as a tuple or a range."""


def plain(value: object) -> Value:
    """Convert a context attribute to JSON: tuples to lists, dates to ISO 8601, other objects to text.

    Raises:
        RuleError: The object raised `SystemExit` or the like, or holds more than ``MAX_ITEMS`` values;
            `KeyboardInterrupt` passes.
    """
    if type(value) in PLAIN:
        return value
    try:
        return _converted(value, iter(range(MAX_ITEMS)))
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise RuleError(
            f"an attribute of type {type(value).__name__} raised {type(error).__name__}"
        ) from error


def _converted(value: object, room: Iterator[int]) -> Value:  # noqa: PLR0911 - a line for each type
    if isinstance(value, str):
        return str.__str__(value if issubclass(type(value), str) else str(value))  # a proxy says it's text
    if isinstance(value, (bool, type(None))):  # a proxy
        return bool(value) if isinstance(value, bool) else None
    if isinstance(value, Integral):
        return int(value.__int__())  # Django's proxies pass on methods, but int() and float() refuse them
    if isinstance(value, (Real, Decimal)):
        return float(value.__float__())
    if isinstance(value, Mapping):
        return dict(zip(map(str, value), _each(value.values(), room), strict=False))
    if isinstance(value, (Sequence, set, frozenset)):
        return list(_each(value, room))
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _each(items: Iterable[object], room: Iterator[int]) -> Iterator[Value]:
    """Convert items while there is room: a range or shared tuples may describe more than memory holds."""
    for item in items:
        if next(room, None) is None:
            raise RuleError(f"an attribute may hold at most {MAX_ITEMS:,} values")
        yield item if type(item) in PLAIN else _converted(item, room)


def is_number(value: Value) -> bool:
    """Whether a value is a JSON number."""
    kind = type(value)
    return kind is float or kind is int


def as_float(value: float) -> float:
    """Convert to a double, as Go does; integers above 2**53 are rounded."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def parse_float(text: str) -> float | None:
    """Parse like Go's ``strconv.ParseFloat``: no surrounding space; ``inf``, ``nan`` and hexadecimal allowed.

    None for any other text, and for text longer than ``MAX_NUMBER``.
    """
    if len(text) > MAX_NUMBER:
        return None
    if _DECIMAL.fullmatch(text) or _WORD.fullmatch(text):
        return float(text)
    if _HEX.fullmatch(text) and "__" not in text and not text.endswith("_"):
        try:
            return float.fromhex(text.replace("_", ""))
        except ValueError:
            return None
        except OverflowError:
            return -inf if text.startswith("-") else inf
    return None


def number(value: Value) -> float:
    """Convert for arithmetic: non-numeric text is 0; null, booleans, lists and objects fail."""
    kind = type(value)
    if kind is float:
        return value  # type: ignore[return-value]
    if kind is int:
        return as_float(value)  # type: ignore[arg-type]
    if kind is str:
        parsed = parse_float(value)  # type: ignore[arg-type]
        return 0.0 if parsed is None else parsed
    raise RuleError(f"{describe(value)} is not a number")


def js_number(value: Value) -> float:  # noqa: PLR0911 - a line for each type
    """Convert for comparison: null and blank text are 0, booleans 0 and 1, anything unreadable NaN.

    Text with a number too large for a double, such as ``1e400``, is NaN too; ``inf`` and ``infinity`` aren't.
    """
    kind = type(value)
    if kind is float:
        return value  # type: ignore[return-value]
    if kind is int:
        return as_float(value)  # type: ignore[arg-type]
    if value is None or value is False:
        return 0.0
    if value is True:
        return 1.0
    if kind is str:
        text: str = value  # type: ignore[assignment]
        if not text.strip(_SPACE):
            return 0.0
        parsed = parse_float(text)
        return nan if parsed is None or (isinf(parsed) and text[-1] not in "fFyY") else parsed
    return nan


def text_of(value: Value) -> str:
    """Convert for ``cat``: numbers without an exponent, null as empty text; other types fail."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if kind is float or kind is int:
        return number_text(as_float(value))  # type: ignore[arg-type]
    if value is None:
        return ""
    raise RuleError(f"{describe(value)} is not text")


def number_text(value: float) -> str:
    """Format a number with the fewest digits that round-trip, never with an exponent."""
    if not isfinite(value):
        return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")  # noqa: PLR0124 - NaN
    if value.is_integer():
        sign = "-" if value == 0 and copysign(1, value) < 0 else ""
        return sign + (str(int(value)) if abs(value) < 1e16 else format(Decimal(repr(value)), "f"))
    return format(Decimal(repr(value)), "f")


def truthy(value: Value) -> bool:
    """Whether a value counts as true: not 0, empty, null or false."""
    return bool(value)


def equals(left: Value, right: Value) -> bool:
    """``==``: null equals only null; text compares as text, everything else as numbers."""
    if left is None or right is None:
        return left is right
    if type(left) is str and type(right) is str:
        return left == right
    return js_number(left) == js_number(right)


def strictly_equals(left: Value, right: Value) -> bool:
    """``===``: like ``==`` between values of the same type; lists and objects are never equal."""
    if left is None or right is None:
        return left is right
    if is_number(left) and is_number(right):
        return js_number(left) == js_number(right)
    return type(left) is type(right) and equals(left, right)


def less(left: Value, right: Value) -> bool:
    """``<``: two texts compare by code point, everything else as numbers."""
    if type(left) is str and type(right) is str:
        return left < right
    return js_number(left) < js_number(right)


def trim(text: str) -> str:
    """Remove surrounding white space like Go's ``strings.TrimSpace``."""
    return text.strip(_SPACE)


def describe(value: Value) -> str:
    """Describe a value for a message: shortened, with its JSON type."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"the number {as_float(value):.17g}"
    return described(value)
