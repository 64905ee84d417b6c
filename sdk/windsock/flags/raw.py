"""A decoded document before its flags are checked, whatever it was written in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from windsock.flags.model import JsonValue

MAX_FAULTS: Final = 100
"""Most faults noted in one document; correcting these reveals the next."""

Tokens: TypeAlias = tuple[str | int, ...]
"""The unescaped steps of a JSON pointer."""

Place: TypeAlias = tuple[int, int]
"""One-based line and column."""


class Malformed(NamedTuple):
    """Something wrong at one place of a document; ``flag`` is the key of the flag around it."""

    tokens: Tokens
    place: Place
    message: str
    flag: str | None = None


class RawFlag(NamedTuple):
    """One flag as written: its key, the pointer to it, the place of its key and its value."""

    key: str
    tokens: Tokens
    place: Place
    value: JsonValue


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A decoded document.

    Attributes:
        flags: The flags that could be decoded, in the order written.
        evaluators: The value of ``$evaluators``; an empty mapping without one.
        metadata: The value of ``metadata``; an empty mapping without one.
        faults: What decoding found wrong without refusing the document.
        place_of: Finds the place of a value by its pointer's steps; searches the text again, so only for
            problems.
        mentions_references: False when no ``$ref`` can occur in it.
        words: Text without quotes that YAML 1.1 parsers read as a boolean, such as ``on``: where, and which.
    """

    flags: tuple[RawFlag, ...]
    evaluators: JsonValue
    metadata: JsonValue
    place_of: Callable[[Tokens], Place]
    faults: tuple[Malformed, ...] = ()
    mentions_references: bool = True
    words: tuple[tuple[Tokens, str], ...] = ()
