"""JSON text with positions: the standard library decodes values, and places are found on demand."""

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from math import isinf
from typing import Final, NamedTuple

from windsock.errors import FlagFileError
from windsock.flags.model import JsonValue

MAX_DEPTH: Final = 200
"""Maximum nesting of objects and lists; over gRPC, flagd's own clients fail from a depth of about 40."""

TOO_DEEP: Final = f"objects and lists are nested more than {MAX_DEPTH} deep; flatten this value"

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_BRACKETS: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{\]}]', re.DOTALL)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class RefusedNumberError(ValueError):
    """A token that Python's scanner accepts but JSON or flagd doesn't: NaN, Infinity, 1e400."""


class Decoded(NamedTuple):
    """A decoded value, where it ends, and the duplicate keys inside it."""

    value: JsonValue
    start: int
    end: int
    duplicates: tuple[str, ...]


class JsonText:
    """JSON text that can be walked member by member, with the positions of its values.

    Args:
        text: The text.
        source: The name used in errors.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self._duplicates: list[str] = []
        self._line_ends: array[int] | None = None
        self._places: dict[int, dict[str | int, int]] = {}
        # not a bound method: a reference cycle would leave 40 MB of text to the garbage collector
        paired = partial(_object, self._duplicates)
        self._strict = json.JSONDecoder(
            object_pairs_hook=paired, parse_float=_finite, parse_constant=_refuse, parse_int=_integer
        )

    def position(self, at: int) -> tuple[int, int]:
        """The one-based line and column of a character offset."""
        if self._line_ends is None:  # built at the first problem, so that thousands of them stay linear
            self._line_ends = array("Q", (found.start() for found in re.finditer("\n", self.text)))
        line = bisect_left(self._line_ends, at)
        return line + 1, at - (self._line_ends[line - 1] if line else -1)

    def fail(self, at: int, message: str) -> FlagFileError:
        """The error that rejects the whole text, with its place."""
        return FlagFileError(self.source, message, *self.position(min(at, len(self.text))))

    def skip_space(self, at: int) -> int:
        """The offset of the next token at or after ``at``."""
        return _space(self.text, at)

    def decode(self, at: int) -> Decoded:
        """Decode the value that starts at ``at``.

        Raises:
            RefusedNumberError: A number in it is unusable; ``end_of`` still finds where the value ends.
            FlagFileError: The text isn't JSON.
        """
        self._duplicates.clear()
        value, end = self._run(self._strict, at)
        return Decoded(value, at, end, tuple(self._duplicates))

    def end_of(self, at: int) -> int:
        """The end of the value at ``at``, even if its numbers are unusable."""
        return self._run(_LENIENT, at)[1]

    def _run(self, decoder: json.JSONDecoder, at: int) -> tuple[JsonValue, int]:
        try:
            value, end = decoder.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            raise self.fail(error.pos, _syntax_message(self.text, error)) from None
        except RecursionError:
            raise self.too_deep(at) from None
        return value, end

    def too_deep(self, at: int) -> FlagFileError:
        """The error for nesting beyond ``MAX_DEPTH``, at the place where the limit is exceeded."""
        return self.fail(
            self.depth_passed_at(at, len(self.text)) or at,
            TOO_DEEP,
        )

    def depth_passed_at(self, start: int, end: int) -> int | None:
        """The offset where the nesting between two offsets exceeds ``MAX_DEPTH``, or None."""
        if self._has_few_brackets(start, end):
            return None
        depth = 0
        for found in _BRACKETS.finditer(self.text, start, end):
            bracket = found.group()
            if bracket in "[{":
                depth += 1
                if depth > MAX_DEPTH:
                    return found.start()
            elif bracket in "]}":
                depth -= 1
        return None

    def _has_few_brackets(self, start: int, end: int) -> bool:
        """Whether there are too few brackets to exceed `MAX_DEPTH`; stops counting at one too many.

        Searching for a character is several times as fast as counting it.
        """
        found = 0
        for bracket in "{[":
            at = self.text.find(bracket, start, end)
            while at >= 0:
                found += 1
                if found > MAX_DEPTH:
                    return False
                at = self.text.find(bracket, at + 1, end)
        return True

    def has_lone_surrogate(self, start: int, end: int) -> bool:
        r"""Whether an escape between two offsets may be half of a surrogate pair (``\ud800``)."""
        if self.text.find("\\", start, end) < 0:
            return False
        return _SURROGATE.search(self.text, start, end) is not None

    def members(self, at: int, read: Callable[[str, int, int], int]) -> int:
        """Walk the object at ``at``.

        Args:
            at: The offset of its opening brace.
            read: Called with each key, its offset and its value's offset; returns the offset where the value
                ends.

        Returns:
            The offset after the closing brace.
        """
        text = self.text
        at = _space(text, at + 1)
        if text[at : at + 1] == "}":
            return at + 1
        while True:
            if text[at : at + 1] != '"':
                raise self.fail(at, f"expected a property name in double quotes{_found(text, at)}")
            key_at = at
            decoded, at = self._run(_LENIENT, at)
            at = _space(text, at)
            if text[at : at + 1] != ":":
                raise self.fail(at, f"expected ':' after the property name{_found(text, at)}")
            at = _space(text, read(str(decoded), key_at, _space(text, at + 1)))
            if text[at : at + 1] == "}":
                return at + 1
            if text[at : at + 1] != ",":
                raise self.fail(at, f"expected ',' or '}}'{_found(text, at)}")
            at = _space(text, at + 1)

    def elements(self, at: int, read: Callable[[int, int], int]) -> int:
        """Walk the list at ``at``: ``read`` takes each index and offset; returns where the element ends."""
        text = self.text
        at = _space(text, at + 1)
        if text[at : at + 1] == "]":
            return at + 1
        index = 0
        while True:
            at = _space(text, read(index, at))
            if text[at : at + 1] == "]":
                return at + 1
            if text[at : at + 1] != ",":
                raise self.fail(at, f"expected ',' or ']'{_found(text, at)}")
            at = _space(text, at + 1)
            index += 1

    def locate(self, at: int, tokens: tuple[str | int, ...]) -> int:
        """The offset of the value reached by steps from the value at ``at``, or of its nearest parent."""
        for token in tokens:
            inner = self._inner(at).get(token)
            if inner is None:
                return at
            at = inner
        return at

    def _inner(self, at: int) -> dict[str | int, int]:
        """The offset of each value in the container at ``at``; cached, so that lookups stay linear."""
        found = self._places.get(at)
        if found is not None:
            return found
        places = self._places[at] = {}

        def note(token: str | int, value_at: int) -> int:
            places[token] = value_at
            return self.end_of(value_at)

        start = self.text[at : at + 1]
        if start == "{":
            self.members(at, lambda key, _, value_at: note(key, value_at))
        elif start == "[":
            self.elements(at, note)
        return places

    def faults(self, at: int, limit: int) -> Iterator[tuple[tuple[str | int, ...], int, str]]:
        """The first duplicate keys and unusable numbers inside a value: steps, offset, message."""
        found: list[tuple[tuple[str | int, ...], int, str]] = []

        def value(tokens: tuple[str | int, ...], value_at: int) -> int:
            start = self.text[value_at : value_at + 1]
            if start == "{":
                seen: dict[str, int] = {}

                def member(key: str, key_at: int, inner_at: int) -> int:
                    if key in seen and len(found) < limit:
                        first = self.position(seen[key])[0]
                        found.append(((*tokens, key), key_at, written_twice(key, first)))
                    seen.setdefault(key, key_at)
                    return value((*tokens, key), inner_at)

                return self.members(value_at, member)
            if start == "[":
                return self.elements(value_at, lambda index, inner_at: value((*tokens, index), inner_at))
            if start != '"':
                try:
                    self.decode(value_at)
                except RefusedNumberError as error:
                    if len(found) < limit:
                        found.append((tokens, value_at, str(error)))
            return self.end_of(value_at)

        value((), at)
        yield from found


def written_twice(key: str, first: int) -> str:
    """The message for a duplicate key in an object."""
    return f"{key!r} is written twice (first in line {first}) and the last one counts; keep one"


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _found(text: str, at: int) -> str:
    if at >= len(text):
        return ", but the text ends here: was it cut off?"
    return f", found {text[at]!r}"


def _syntax_message(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text.rstrip()):
        return "the text ends in the middle of a value: was it cut off?"
    return f"not JSON: {error.msg[0].lower()}{error.msg[1:]}"


def _object(duplicates: list[str], pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Build an object from its members; duplicate keys are recorded, and the last one wins."""
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                duplicates.append(key)
            seen.add(key)
    return members


def _refuse(token: str) -> JsonValue:
    raise RefusedNumberError(f"{token} is not a JSON number; write a finite number or a string")


def _finite(token: str) -> float:
    value = float(token)
    if isinf(value):
        raise RefusedNumberError(f"{_short(token)} is beyond the range of a double (about 1.8e308)")
    return value


def _integer(token: str) -> int:
    if len(token) > 300:  # a double has at most 309 digits before the decimal point
        _finite(token)
    return int(token)


def _short(token: str) -> str:
    return token if len(token) <= 24 else f"{token[:20]}… ({len(token)} digits)"


_LENIENT: Final = json.JSONDecoder(parse_int=lambda _: 0, parse_constant=lambda _: 0)
