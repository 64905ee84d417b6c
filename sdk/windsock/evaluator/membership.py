"""Test one attribute against literal values with a lookup instead of a search."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias, TypeGuard, TypeVar

from windsock.evaluator.values import Value, as_float, parse_float, plain

Attributes: TypeAlias = Mapping[str, object]
T = TypeVar("T")

_TEXT: Final = {str}
_NUMBERS: Final = ({int}, {float}, {int, float})


class StoredTexts(Collection[str]):
    """A list of texts that isn't in memory; see `text_index`."""

    __slots__ = ()


class Membership(NamedTuple):
    """A condition that holds when an attribute is one of some texts.

    Attributes:
        name: The attribute.
        texts: The texts, as written in the rule.
        reads_numbers: Whether a number also matches text that parses to it, as with flagd's ``in`` but not
            with ``==`` and other text.
    """

    name: str
    texts: Collection[str]
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
        if name is not None and is_text_list(right):
            return Membership(name, right, reads_numbers=True)
        return None
    if operator in ("==", "==="):
        if name is None:
            name, right = attribute_name(right), left
        if name is not None and type(right) is str and right.strip() and parse_float(right) is None:
            return Membership(name, [right], reads_numbers=False)
    return None


def is_text_list(value: Value) -> TypeGuard[Collection[str]]:
    """Whether a value is a list of nothing but texts."""
    if type(value) is list:
        return not value or set(map(type, value)) == _TEXT
    return isinstance(value, StoredTexts)


class Choices(Generic[T]):
    """Which of several memberships in one attribute holds first.

    Args:
        tests: The memberships and their choices; the first that holds wins. Either all their texts are
            stored in one index or none are.
        otherwise: The choice if none holds.
    """

    __slots__ = ("_by_number", "_otherwise", "_tests", "first_of")

    def __init__(self, tests: Sequence[tuple[Membership, T]], otherwise: T) -> None:
        self.first_of: Final = _first_of(tests)
        self._tests = tests
        self._otherwise = otherwise
        self._by_number: dict[float, T] | None = None

    def other(self, value: object) -> T:
        """The choice for an attribute whose type isn't exactly ``str``."""
        value = plain(value)
        if type(value) is str:
            return self.first_of(value, self._otherwise)
        if type(value) is int or type(value) is float:
            if self._by_number is None:  # built for the first number; two threads build the same
                self._by_number = self._read_numbers()
            return self._by_number.get(as_float(value), self._otherwise)
        return self._otherwise

    def _read_numbers(self) -> dict[float, T]:
        if isinstance(self._tests[0][0].texts, StoredTexts):
            from windsock.evaluator.text_index import by_number  # noqa: PLC0415 - few documents have an index

            return by_number([(test.texts, choice) for test, choice in self._tests])
        made: dict[float, T] = {}
        for test, choice in reversed(self._tests):
            if test.reads_numbers:
                made.update(dict.fromkeys((parse_float(text) or 0.0 for text in test.texts), choice))
        return made


def _first_of(tests: Sequence[tuple[Membership, T]]) -> Callable[[str, T], T]:
    """Maps a text, and the choice if none holds, to the choice of the first test that holds."""
    if isinstance(tests[0][0].texts, StoredTexts):
        from windsock.evaluator.text_index import first_of  # noqa: PLC0415 - few documents have an index

        return first_of([(test.texts, choice) for test, choice in tests])
    by_text: dict[str, T] = {}
    for test, choice in reversed(tests):
        choices = dict.fromkeys(test.texts, choice)
        if by_text:
            by_text.update(choices)
        else:
            by_text = choices
    return by_text.get


class TextSet:
    """A list of texts as a set.

    Args:
        texts: The texts.

    Attributes:
        texts: The texts, which are quick to look up.
    """

    __slots__ = ("_numbers", "texts")

    def __init__(self, texts: Collection[str]) -> None:
        self.texts: Final = texts if isinstance(texts, StoredTexts) else set(texts)
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
        self._texts: dict[int, tuple[Collection[str], TextSet]] = {}

    def of(self, texts: Collection[str]) -> TextSet:
        """The set of a literal list of texts."""
        kept = self._texts.get(id(texts))
        if kept is None:  # keeping the list keeps its id unique
            kept = self._texts[id(texts)] = (texts, TextSet(texts))
        return kept[1]

    def test_for(self, values: Value) -> Callable[[Value], bool] | None:
        """A set-based membership test for a literal list; None for mixed types or anything but a list."""
        if is_text_list(values):
            return self.of(values).holds
        if type(values) is list and set(map(type, values)) in _NUMBERS:
            numbers = frozenset(map(as_float, values))
            return lambda value: type(value) in (int, float) and as_float(value) in numbers  # type: ignore[arg-type]
        return None
