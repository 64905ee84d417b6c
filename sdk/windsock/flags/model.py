"""A flagd document after reading: its flags, the set they form, and its problems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from windsock.text import printable, short

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""A JSON value. Lists and objects are shared between readers and must not be changed.

In a rule, a list of texts may be another collection of them, which isn't in memory.
"""

CONTAINERS: Final = frozenset({dict, list})
"""Container types; ``isdisjoint(map(type, values))`` quickly checks a million texts."""

Bucketing: TypeAlias = Literal["v2", "v3"]
"""Which hash a ``fractional`` rule uses; see docs/bucketing.md."""

DEFAULT_BUCKETING: Final[Bucketing] = "v2"
BUCKETINGS: Final[tuple[Bucketing, ...]] = ("v2", "v3")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a document that needs correcting.

    Attributes:
        source: The file or stream that the document came from.
        line: One-based line, or 0.
        column: One-based column in characters, or 0.
        flag: The flag concerned, or None for the document itself.
        pointer: Its place, as a JSON pointer (RFC 6901).
        message: What is wrong and what to do next.
    """

    source: str
    line: int
    column: int
    flag: str | None
    pointer: str
    message: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        flag = f" flag {short(self.flag)}" if self.flag is not None else ""
        pointer = f" {printable(self.pointer, 500)}" if self.pointer else ""
        return f"{where}:{flag}{pointer}{':' if flag or pointer else ''} {printable(self.message, 2_000)}"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as defined in a document.

    Attributes:
        key: The flag's key.
        enabled: False if its state is ``DISABLED``, so that the caller's default is used.
        variants: Maps variant names to values.
        default_variant: The variant to serve if targeting selects none; None for the caller's default.
        targeting: The rule, with each ``$ref`` replaced by the shared rule; None if there's no rule.
        metadata: The flag's own metadata merged over the set's.
        source: Where the flag was read from.
        line: One-based line of its key, or 0.
    """

    key: str
    enabled: bool
    variants: Mapping[str, JsonValue]
    default_variant: str | None
    targeting: JsonValue
    metadata: Mapping[str, JsonValue]
    source: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def bucketing(self) -> Bucketing:
        """The hash for this flag's ``fractional`` rules: from its metadata, else the set's, else ``v2``."""
        return "v3" if self.metadata.get("bucketing") == "v3" else DEFAULT_BUCKETING

    def same_as(self, other: "Flag") -> bool:
        """Whether both define the same flag, regardless of location; ``1``, ``1.0`` and ``true`` differ."""
        return self is other or (
            self == other
            and same_json(self.variants, other.variants)
            and same_json(self.targeting, other.targeting)
            and same_json(self.metadata, other.metadata)
        )


@dataclass(frozen=True, slots=True)
class Document:
    """One flagd document.

    Attributes:
        source: The file or stream that it came from.
        revision: The first twelve hexadecimal digits of the SHA-256 of its bytes.
        flags: The usable flags, by key.
        metadata: The set's own metadata.
        problems: What needs correcting, in the order found.
    """

    source: str
    revision: str
    flags: Mapping[str, Flag]
    metadata: Mapping[str, JsonValue]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class FlagSet:
    """The flags of several documents, merged.

    Attributes:
        flags: The flags by key.
        revision: Twelve hexadecimal digits that change when any document changes.
        problems: The documents' problems, then those from merging them.
        metadata: Set metadata, by key, on which all documents agree, the later document winning.
    """

    flags: Mapping[str, Flag]
    revision: str
    problems: tuple[Problem, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


def same_json(left: JsonValue, right: JsonValue) -> bool:
    """Whether two values are the same JSON; unlike ``==``, this distinguishes ``1``, ``1.0`` and ``True``."""
    if left is right:
        return True
    if type(left) is not type(right) or left != right:
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return all(same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return all(map(same_json, left, right))
    return True


def pointer_of(*tokens: str | int) -> str:
    """Write a JSON pointer (RFC 6901) from its unescaped tokens."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)
