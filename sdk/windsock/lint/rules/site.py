"""What a lint rule sees, and what it reports."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Literal, TypeAlias

from windsock.flags.model import JsonValue
from windsock.flags.raw import Tokens
from windsock.lint.rules.tree import Tree

Mending: TypeAlias = tuple[Literal["replace", "insert"], JsonValue]
"""How to correct a hit: replace the value at its place, or insert a member first in its object."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found.

    Attributes:
        code: The code of the rule that was broken.
        tokens: Where in the document, as the unescaped steps of a pointer.
        message: What is wrong and what to do next.
        at_key: Place the finding at the property's name instead of its value.
        change: The change that corrects it without changing what users are served, if there is one.
    """

    code: str
    tokens: Tokens
    message: str
    at_key: bool = False
    change: Mending | None = None


@dataclass(frozen=True, slots=True)
class LintOptions:
    """What a project decides about its lint.

    Attributes:
        enabled: Codes of rules that are off unless asked for.
        attributes: All attributes that the project's evaluation contexts have; none when it does not say.
        today: The date that expiry dates are compared with; None leaves them alone.
        by_attribute: Whether to find what depends on an attribute being there, and on its type.
    """

    enabled: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    today: date | None = None
    by_attribute: bool = False


@dataclass(frozen=True, slots=True)
class DocumentSite:
    """One document as the rules see it.

    Attributes:
        root: The names of the document's own properties.
        evaluators: The shared rules by name.
        metadata: The set's metadata as written.
        flags: The flags, in the order written.
        options: The project's decisions.
        size: The document's bytes.
        trees: The shared rules, walked.
    """

    root: Sequence[str]
    evaluators: Mapping[str, JsonValue]
    metadata: JsonValue
    flags: "tuple[FlagSite, ...]"
    options: LintOptions
    size: int
    trees: Mapping[str, Tree] = field(default_factory=dict)


@dataclass(frozen=True)  # no slots: cached_property keeps what it worked out in the instance
class FlagSite:
    """One flag as the rules see it.

    Attributes:
        key: Its key.
        tokens: The pointer to it.
        body: Its properties as written.
        evaluators: The document's shared rules, walked.
        options: The project's decisions.
    """

    key: str
    tokens: Tokens
    body: Mapping[str, JsonValue]
    evaluators: Mapping[str, Tree]
    options: LintOptions

    @cached_property
    def variants(self) -> Mapping[str, JsonValue]:
        """The variants; empty if they are not an object."""
        variants = self.body.get("variants")
        return variants if isinstance(variants, dict) else {}

    @cached_property
    def metadata(self) -> Mapping[str, JsonValue]:
        """The flag's own metadata; empty if it is not an object."""
        metadata = self.body.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    @cached_property
    def tree(self) -> Tree | None:
        """The targeting rule, walked; None without one."""
        rule = self.body.get("targeting")
        return None if rule is None or rule == {} else Tree(rule)

    def at(self, *inner: str | int) -> Tokens:
        """The pointer to something inside the flag."""
        return (*self.tokens, *inner)


FlagCheck: TypeAlias = Callable[[FlagSite], Iterator[Hit]]
DocumentCheck: TypeAlias = Callable[[DocumentSite], Iterator[Hit]]
