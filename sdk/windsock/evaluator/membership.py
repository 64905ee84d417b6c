"""Test one attribute against literal values with a lookup instead of a search."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from windsock.evaluator.values import Value, as_float, parse_float, plain

Attributes: TypeAlias = Mapping[str, object]
T = TypeVar("T")

_TEXT: Final = {str}
_CHUNK: Final = 16_384
_NUMBERS: Final = ({int}, {float}, {int, float})


class Membership(NamedTuple):
    """A condition that holds when an attribute is one of some texts.

    Attributes:
        name: The attribute.
        texts: The texts, as written in the rule.
        reads_numbers: Whether a number also matches text that parses to it, as with flagd's ``in`` but not
            with ``==`` and other text.
    """

    name: str
    texts: Sequence[str]
    reads_numbers: bool


def attribute_name(rule: Value) -> str | None:
    """The attribute that ``{"var": "name"}`` reads; None for a path, a default, or flagd's own attribute."""
    if type(rule) is not dict or len(rule) != 1 or "var" not in rule:
        return None
    name = rule["var"]
    if type(name) is list and len(name) == 1:
        name = name[0]
    return name if type(name) is str and name and "." not in name and name != "$flagd" else None


def membership(rule: Value) -> Membership | None:
    """Recognise a condition on one attribute: ``in`` with literal texts, or ``==`` or ``===`` with one."""
    if type(rule) is not dict or len(rule) != 1:
        return None
    ((operator, arguments),) = rule.items()
    if type(arguments) is not list or len(arguments) != 2:
        return None
    left, right = arguments
    name = attribute_name(left)
    if operator == "in":
        if name is not None and type(right) is list and is_texts(right):
            return Membership(name, right, reads_numbers=True)
        return None
    if operator in ("==", "==="):
        if name is None:
            name, right = attribute_name(right), left
        if name is not None and type(right) is str and right.strip() and parse_float(right) is None:
            return Membership(name, [right], reads_numbers=False)
    return None


def is_texts(values: Sequence[Value]) -> bool:
    """Whether every value is text."""
    return not values or set(map(type, values)) == _TEXT


class Choices(Generic[T]):
    """Which of several memberships in one attribute holds first.

    Args:
        tests: The memberships and their choices; the first that holds wins.
        otherwise: The choice if none holds.
    """

    __slots__ = ("_by_number", "_otherwise", "_tests", "by_text")

    def __init__(self, tests: Sequence[tuple[Membership, T]], otherwise: T) -> None:
        self.by_text: dict[str, T] = {}
        for test, choice in reversed(tests):
            made = dict.fromkeys(test.texts, choice)
            if self.by_text:
                self.by_text.update(made)
            else:
                self.by_text = made
        self._tests = tests
        self._otherwise = otherwise
        self._by_number: dict[float, T] | None = None

    def other(self, value: object) -> T:
        """The choice for an attribute whose type isn't exactly ``str``."""
        value = plain(value)
        if type(value) is str:
            return self.by_text.get(value, self._otherwise)
        if type(value) is int or type(value) is float:
            if self._by_number is None:  # built for the first number; two threads build the same
                self._by_number = self._read_numbers()
            return self._by_number.get(as_float(value), self._otherwise)
        return self._otherwise

    def _read_numbers(self) -> dict[float, T]:
        by_number: dict[float, T] = {}
        for test, choice in reversed(self._tests):
            if test.reads_numbers:
                by_number.update(dict.fromkeys((parse_float(text) or 0.0 for text in test.texts), choice))
        return by_number


def _set_of(texts: Sequence[str]) -> set[str]:
    """Build a set from small sets that fit in the CPU cache; a million texts at once don't."""
    made: set[str] = set()
    for start in range(0, len(texts), _CHUNK):
        made |= set(texts[start : start + _CHUNK])
    return made


class TextSet:
    """A list of texts as a set.

    Args:
        texts: The texts.

    Attributes:
        texts: The texts as a set.
    """

    __slots__ = ("_numbers", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = _set_of(texts)
        self._numbers: frozenset[float] | None = None

    def holds(self, value: Value) -> bool:
        """Whether ``in`` finds the value; a number also finds text that parses to it."""
        if type(value) is str:
            return value in self.texts
        if type(value) is int or type(value) is float:
            if self._numbers is None:  # built for the first number; two threads build the same
                self._numbers = frozenset(parse_float(text) or 0.0 for text in self.texts)
            return as_float(value) in self._numbers
        return False


class LiteralSets:
    """One set per literal list, since shared rules use the same list in many flags."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[Sequence[str], TextSet]] = {}

    def of(self, texts: Sequence[str]) -> TextSet:
        """The set of a literal list of texts."""
        kept = self._texts.get(id(texts))
        if kept is None:  # keeping the list keeps its id unique
            kept = self._texts[id(texts)] = (texts, TextSet(texts))
        return kept[1]

    def test_for(self, values: Value) -> Callable[[Value], bool] | None:
        """A set-based membership test for a literal list; None for mixed types or anything but a list."""
        if type(values) is not list:
            return None
        if is_texts(values):
            return self.of(values).holds
        if set(map(type, values)) in _NUMBERS:
            numbers = frozenset(map(as_float, values))
            return lambda value: type(value) in (int, float) and as_float(value) in numbers  # type: ignore[arg-type]
        return None
