"""What a construct is on which flagd's evaluators disagree, and how its examples are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from windsock.flags.model import JsonValue
from windsock.flags.raw import Tokens

Dissenter: TypeAlias = Literal["npm", "python"]

Found: TypeAlias = tuple[str, Tokens]
"""A construct's code, and where in the rule it is."""


@dataclass(frozen=True, slots=True)
class Construct:
    """Something that a rule may contain and that not every flagd evaluates alike.

    Attributes:
        code: The stable code that the linter and the documentation use.
        name: What it is, in a few words.
        explanation: What the flagd server makes of it (and windsock with it), what others make of it, what
            to write.
        dissenters: Who disagrees with the server about the example.
        rule: An example.
        context: Attributes for which the example shows the disagreement.
        in_rule: Whether the rule alone shows it; otherwise it depends on the attributes that come at run
            time.
    """

    code: str
    name: str
    explanation: str
    dissenters: tuple[Dissenter, ...]
    rule: JsonValue
    context: Mapping[str, JsonValue] = field(default_factory=dict)
    in_rule: bool = True


def when(condition: JsonValue) -> JsonValue:
    """A rule that gives a where a condition holds, else b."""
    return {"if": [condition, "a", "b"]}


def var(name: str) -> JsonValue:
    """An attribute."""
    return {"var": name}


BOTH: Final[tuple[Dissenter, ...]] = ("npm", "python")
NPM: Final[tuple[Dissenter, ...]] = ("npm",)
PYTHON: Final[tuple[Dissenter, ...]] = ("python",)
