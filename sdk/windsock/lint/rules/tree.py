"""A targeting rule, parsed once: its operators, attributes, references and possible results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from windsock.flags.kinds import if_results
from windsock.flags.model import CONTAINERS, JsonValue
from windsock.flags.raw import Tokens
from windsock.flags.references import REF

_BOOLEAN: Final = frozenset(
    ("==", "!=", "===", "!==", "<", "<=", ">", ">=", "!", "!!", "in", "some", "all", "none")
)
"""Operators that return true or false."""

_LITERALS: Final = frozenset({str, int})


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator and its place."""

    tokens: Tokens
    name: str
    arguments: JsonValue

    @property
    def listed(self) -> Sequence[JsonValue]:
        """The arguments as a list."""
        return self.arguments if isinstance(self.arguments, list) else [self.arguments]


@dataclass(frozen=True, slots=True)
class NodeResult:
    """A possible result of the rule: a literal, or the name of the shared rule that yields it."""

    tokens: Tokens
    value: JsonValue
    reference: str | None = None


class Tree:
    """A parsed rule.

    Args:
        rule: The rule as written, with its references.

    Attributes:
        rule: The rule.
        operations: Every operator in it, outermost first.
        attributes: Every attribute that it names, with the place of the name.
        references: Every shared rule that it names, with the place of the reference.
        results: Its possible results, as far as they are literal.
        computed: Whether its result can depend on attributes alone.
    """

    def __init__(self, rule: JsonValue) -> None:
        self.rule = rule
        self.operations: list[Operation] = []
        self.attributes: list[tuple[Tokens, str]] = []
        self.references: list[tuple[Tokens, str]] = []
        self.results: list[NodeResult] = []
        self.computed = False
        self._walk(rule, ())
        self._collect(rule, ())

    def chains(self) -> "Iterator[Chain]":
        """Every ``if`` with the else-ifs that follow it."""
        continued: set[Tokens] = set()
        for operation in self.operations:
            if operation.name in ("if", "?:") and operation.tokens not in continued:
                yield _chain(operation, continued)

    def _walk(self, value: JsonValue, tokens: Tokens) -> None:
        if isinstance(value, list):
            if CONTAINERS.isdisjoint(map(type, value)):
                return
            for index, item in enumerate(value):
                if isinstance(item, (dict, list)):
                    self._walk(item, (*tokens, index))
        elif isinstance(value, dict):
            name = value.get(REF)
            if len(value) == 1 and isinstance(name, str):
                self.references.append((tokens, name))
                return
            for operator, arguments in value.items():
                self._operation(Operation((*tokens, operator), operator, arguments))

    def _operation(self, operation: Operation) -> None:
        self.operations.append(operation)
        if operation.name == "var":
            name = operation.listed[0] if operation.listed else None
            if isinstance(name, str) and name:
                self.attributes.append((operation.tokens, name))
        elif operation.name in ("missing", "missing_some"):
            for name in _flat(operation.arguments):
                if isinstance(name, str):
                    self.attributes.append((operation.tokens, name))
        self._walk(operation.arguments, operation.tokens)

    def _collect(self, value: JsonValue, tokens: Tokens) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            self.results.append(NodeResult(tokens, value))
        elif len(value) == 1:
            ((name, arguments),) = value.items()
            self._collect_operation(Operation((*tokens, name), name, arguments))
        else:
            self.computed = True

    def _collect_operation(self, operation: Operation) -> None:
        name, tokens, listed = operation.name, operation.tokens, operation.listed
        if name == REF:
            self.results.append(NodeResult(tokens[:-1], None, str(operation.arguments)))
        elif name in ("if", "?:"):
            for index, item in if_results(listed):
                self._collect(item, (*tokens, index))
        elif name == "fractional":
            for index, bucket in enumerate(listed):
                if isinstance(bucket, list) and bucket and not isinstance(bucket[0], list):
                    self._collect(bucket[0], (*tokens, index, 0))
        elif name in _BOOLEAN:
            self.results += [NodeResult(tokens, True), NodeResult(tokens, False)]  # noqa: FBT003 - values
        else:
            self.computed = True


def _flat(names: JsonValue) -> Iterator[JsonValue]:
    for name in names if isinstance(names, list) else [names]:
        yield from name if isinstance(name, list) else [name]


@dataclass(frozen=True, slots=True)
class Chain:
    """The conditions of an ``if`` and its else-ifs, with their places, and the place of the final else."""

    clauses: tuple[tuple[Tokens, JsonValue], ...]
    otherwise: Tokens | None


def _chain(operation: Operation, continued: set[Tokens]) -> Chain:
    clauses: list[tuple[Tokens, JsonValue]] = []
    while True:
        listed = operation.listed
        clauses += [
            ((*operation.tokens, index), listed[index])
            for index in range(0, len(listed) - len(listed) % 2, 2)
        ]
        if len(listed) % 2 == 0:
            return Chain(tuple(clauses), None)
        last = listed[-1]
        at: Tokens = (*operation.tokens, len(listed) - 1)
        inner = last.get("if") if isinstance(last, dict) and len(last) == 1 else None
        if not isinstance(inner, list) or not inner:
            return Chain(tuple(clauses), at)
        operation = Operation((*at, "if"), "if", inner)
        continued.add(operation.tokens)


def tested_literals(condition: JsonValue) -> tuple[str, Sequence[JsonValue]] | None:
    """The attribute that a condition tests and the literals that match; None for any other condition."""
    if not isinstance(condition, Mapping) or len(condition) != 1:
        return None
    ((name, arguments),) = condition.items()
    if name not in ("in", "==", "===") or not isinstance(arguments, list) or len(arguments) != 2:
        return None
    subject, values = arguments
    if name != "in":
        if isinstance(values, Mapping):
            subject, values = values, subject
        values = [values]
    attribute = subject.get("var") if isinstance(subject, Mapping) and len(subject) == 1 else None
    if not isinstance(attribute, str) or not isinstance(values, list):
        return None
    if not set(map(type, values)) <= _LITERALS:
        return None
    return attribute, values
