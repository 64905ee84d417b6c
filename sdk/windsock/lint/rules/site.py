"""A lint rule's input and output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Literal, TypeAlias

from windsock.flags.model import JsonValue
from windsock.flags.raw import Tokens
from windsock.lint.rules.tree import Tree

Mending: TypeAlias = tuple[Literal["replace", "insert"], JsonValue]
"""How to fix a hit: replace the value at its place, or insert a member at the start of its object."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One match of a rule.

    Attributes:
        code: The code of the violated rule.
        tokens: Its place in the document, as the unescaped steps of a pointer.
        message: What is wrong and what to do next.
        at_key: Place the finding at the property's name instead of its value.
        change: The change, if any, that fixes it without changing what users get.
    """

    code: str
    tokens: Tokens
    message: str
    at_key: bool = False
    change: Mending | None = None


@dataclass(frozen=True, slots=True)
class LintOptions:
    """A project's lint options.

    Attributes:
        enabled: Codes of opt-in rules to enable.
        attributes: All attributes in the project's evaluation contexts; empty if not declared.
        today: The date to compare expiry dates with; None to skip them.
        by_attribute: Whether to find problems that depend on an attribute's presence and type.
    """

    enabled: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    today: date | None = None
    by_attribute: bool = False


@dataclass(frozen=True, slots=True)
class DocumentSite:
    """A document from the rules' point of view.

    Attributes:
        root: The names of the document's own properties.
        evaluators: The shared rules by name.
        metadata: The set's metadata as written.
        flags: The flags, in the order written.
        options: The project's options.
        size: The document's size in bytes.
        trees: The shared rules, parsed.
    """

    root: Sequence[str]
    evaluators: Mapping[str, JsonValue]
    metadata: JsonValue
    flags: "tuple[FlagSite, ...]"
    options: LintOptions
    size: int
    trees: Mapping[str, Tree] = field(default_factory=dict)


@dataclass(frozen=True)  # no slots: cached_property stores its result in the instance
class FlagSite:
    """A flag from the rules' point of view.

    Attributes:
        key: Its key.
        tokens: The pointer to it.
        body: Its properties as written.
        evaluators: The document's shared rules, parsed.
        options: The project's options.
    """

    key: str
    tokens: Tokens
    body: Mapping[str, JsonValue]
    evaluators: Mapping[str, Tree]
    options: LintOptions

    @cached_property
    def variants(self) -> Mapping[str, JsonValue]:
        """The variants; empty if they aren't an object."""
        variants = self.body.get("variants")
        return variants if isinstance(variants, dict) else {}

    @cached_property
    def metadata(self) -> Mapping[str, JsonValue]:
        """The flag's own metadata; empty if it isn't an object."""
        metadata = self.body.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    @cached_property
    def tree(self) -> Tree | None:
        """The parsed targeting rule; None if there's none."""
        rule = self.body.get("targeting")
        return None if rule is None or rule == {} else Tree(rule)

    def at(self, *inner: str | int) -> Tokens:
        """The pointer to something inside the flag."""
        return (*self.tokens, *inner)
