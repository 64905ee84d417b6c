"""The model of a construct on which flagd's evaluators disagree, and helpers for its examples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from windsock.flags.model import JsonValue
from windsock.flags.raw import Tokens

Dissenter: TypeAlias = Literal["npm", "python"]

Found: TypeAlias = tuple[str, Tokens]
"""A construct's code and its place in the rule."""


@dataclass(frozen=True, slots=True)
class Construct:
    """A construct in rules that not every flagd evaluates alike.

    Attributes:
        code: The stable code that the linter and the documentation use.
        name: A short description.
        explanation: How the flagd server (and windsock) handles it, how others do, and what to write
            instead.
        dissenters: The evaluators that disagree with the server on the example.
        rule: An example.
        context: Attributes with which the example shows the disagreement.
        in_rule: Whether the rule alone shows it; otherwise it depends on the attributes at run time.
    """

    code: str
    name: str
    explanation: str
    dissenters: tuple[Dissenter, ...]
    rule: JsonValue
    context: Mapping[str, JsonValue] = field(default_factory=dict)
    in_rule: bool = True


def when(condition: JsonValue) -> JsonValue:
    """A rule that returns a if a condition holds, else b."""
    return {"if": [condition, "a", "b"]}


def var(name: str) -> JsonValue:
    """An attribute."""
    return {"var": name}


BOTH: Final[tuple[Dissenter, ...]] = ("npm", "python")
NPM: Final[tuple[Dissenter, ...]] = ("npm",)
PYTHON: Final[tuple[Dissenter, ...]] = ("python",)
