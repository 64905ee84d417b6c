"""A decoded document, JSON or YAML, before its flags are checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from windsock.flags.model import JsonValue

MAX_FAULTS: Final = 100
"""Maximum faults recorded per document; correcting these reveals the next."""

Tokens: TypeAlias = tuple[str | int, ...]
"""The unescaped steps of a JSON pointer."""

Place: TypeAlias = tuple[int, int]
"""One-based line and column."""


class Malformed(NamedTuple):
    """A fault at one place in a document; ``flag`` is the key of the enclosing flag."""

    tokens: Tokens
    place: Place
    message: str
    flag: str | None = None


class RawFlag(NamedTuple):
    """A flag as written: its key, the pointer to it, the place of its key, and its value."""

    key: str
    tokens: Tokens
    place: Place
    value: JsonValue


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A decoded document.

    Attributes:
        flags: The flags that could be decoded, in the order written.
        evaluators: The value of ``$evaluators``; an empty mapping if missing.
        metadata: The value of ``metadata``; an empty mapping if missing.
        faults: Faults found by decoding that don't reject the document.
        place_of: Finds the place of a value by its pointer's steps. Searches the text again, so it's only for
            problems.
        mentions_references: False if it can't contain a ``$ref``.
        words: Unquoted text that YAML 1.1 parsers read as a boolean, such as ``on``: the place and the text.
    """

    flags: tuple[RawFlag, ...]
    evaluators: JsonValue
    metadata: JsonValue
    place_of: Callable[[Tokens], Place]
    faults: tuple[Malformed, ...] = ()
    mentions_references: bool = True
    words: tuple[tuple[Tokens, str], ...] = ()
