"""Operators that apply a condition to the elements of a list, as the flagd server's library does.

That library first replaces the condition's variables with values from the surrounding data
(``variables.solve``), so a condition can be compiled ahead only if nothing was replaced.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from windsock.evaluator.values import (
    Expression,
    RuleError,
    Value,
    describe,
    number,
    text_of,
    truthy,
)
from windsock.evaluator.variables import names_something, solve
from windsock.evaluator.work_limit import spend, spend_on_each
from windsock.flags.size import expanded_size

Compile: TypeAlias = Callable[[Value], Expression]
"""Compiles a rule for evaluation on an element instead of the context."""


class Condition:
    """The condition of a list operator: its rule and the means to evaluate it.

    Args:
        rule: The condition as written.
        ready: The condition compiled for elements.
        compile_rule: Compiles other rules for elements, during evaluation.

    Attributes:
        rule: The condition as written.
        steps: The cost of running it on one element.
    """

    def __init__(self, rule: Value, ready: Expression, compile_rule: Compile) -> None:
        self.rule = rule
        self.steps = 1 + expanded_size(rule)[0]  # type: ignore[arg-type]
        self._ready = ready
        self._compile = compile_rule
        self._names = names_something(rule)

    def evaluate(self, rule: Value, data: Value) -> Value:
        """Evaluate any rule."""
        return self._compile(rule)(data)

    def solved(self, rule: Value, data: Value) -> Value:
        """The rule with variables replaced by their values, where the data has them."""
        if not self._names:
            return rule
        spend_on_each(rule)
        return solve(rule, data, self.evaluate)

    def of(self, rule: Value) -> Expression:
        """The compiled rule; any rule but the one as written is compiled now, at a cost in steps."""
        if rule is self.rule:
            return self._ready
        steps, run = spend_on_each(rule), self._compile(rule)

        def metered(item: Value) -> Value:
            spend(steps)
            return run(item)

        return metered

    def of_object(self, rule: Value) -> Expression:
        """Like ``of``, for operators that accept only an object."""
        if type(rule) is not dict:
            raise RuleError(f"the condition must be an operator, not {describe(rule)}")
        return self.of(rule)


class Subject(NamedTuple):
    """The list that an operator runs over: a literal, an operator's result, or None."""

    written: Value
    evaluate: Expression

    def of(self, data: Value) -> Value:
        """The list for this data, or None."""
        if type(self.written) is list:
            return self.written
        return self.evaluate(data) if type(self.written) is dict else None


def elements(subject: Value, condition: Condition) -> Iterator[Value]:
    """Yield the subject's elements, charging for one run of the condition each."""
    if type(subject) is not list:
        raise RuleError(f"a list is needed, not {describe(subject)}")
    for item in subject:
        spend(condition.steps)
        yield item


def compile_filter(subject: Subject, condition: Condition) -> Expression:
    """``filter``: the elements for which the condition is true."""

    def run(data: Value) -> Value:
        found = subject.of(data)
        if found is None:
            return []
        holds = condition.of(condition.solved(condition.rule, data))
        return [item for item in elements(found, condition) if truthy(holds(item))]

    return run


def compile_map(subject: Subject, condition: Condition) -> Expression:
    """``map``: the rule's result for each element."""
    transform = condition.of(condition.rule)

    def run(data: Value) -> Value:
        found = subject.of(data)
        return [] if found is None else [transform(item) for item in elements(found, condition)]

    return run


def compile_all(subject: Subject, condition: Condition) -> Expression:
    """``all``: every element meets the condition; false for an empty list."""

    def run(data: Value) -> Value:
        found = subject.of(data)
        return truthy(found) and all(
            truthy(condition.of_object(condition.solved(condition.rule, item))(item))
            for item in elements(found, condition)
        )

    return run


def compile_some(subject: Subject, condition: Condition) -> Expression:
    """``some``: at least one element meets the condition."""

    def run(data: Value) -> Value:
        found = subject.of(data)
        if not truthy(found):
            return False
        rule = condition.solved(condition.rule, data)
        return any(
            truthy(condition.of_object(condition.solved(rule, item))(item))
            for item in elements(found, condition)
        )

    return run


def compile_none(subject: Subject, condition: Condition) -> Expression:
    """``none``: no element meets the condition; true for an empty list."""

    def run(data: Value) -> Value:
        found = subject.of(data)
        if not truthy(found):
            return True
        holds = condition.of_object(condition.solved(condition.rule, data))
        return not any(truthy(holds(item)) for item in elements(found, condition))

    return run


def compile_reduce(subject: Subject, condition: Condition, initial: Expression) -> Expression:
    """``reduce``: an accumulator carried over the elements, which keeps the type of its initial value."""

    def run(data: Value) -> Value:
        start = initial(data)
        keep = _KEEP.get(type(start))
        if keep is None:
            raise RuleError(f"reduce starts with a number, text or boolean, not with {describe(start)}")
        found = subject.of(data)
        if found is None:
            return 0.0
        step = condition.of_object(condition.rule) if found else None
        scope: dict[str, Value] = {
            "current": 0.0,
            "accumulator": keep(start),
            "valueType": _NAMES[type(start)],
        }
        for item in elements(found, condition):
            if item is not None and step is not None:
                scope["current"] = item
                scope["accumulator"] = keep(step(scope))
        return scope["accumulator"]

    return run


def compile_without_condition(name: str, arguments: Value, compile_rule: Compile) -> Expression:
    """Compile a list operator that lacks its condition; some operators need it only if there are elements."""

    def fail(_: Value) -> Value:
        raise RuleError(f"{name} needs a list and a condition")

    if type(arguments) is not list:
        return fail
    if name not in _OF_NOTHING:
        return lambda _: 0.0 if name == "reduce" else []
    if not arguments:
        return fail
    subject = Subject(arguments[0], compile_rule(arguments[0]))
    return lambda data: fail(data) if truthy(subject.of(data)) else _OF_NOTHING[name]


COMPILE: Final[Mapping[str, Callable[[Subject, Condition], Expression]]] = {
    "filter": compile_filter,
    "map": compile_map,
    "all": compile_all,
    "some": compile_some,
    "none": compile_none,
}
"""The operators with a list and a condition; ``reduce`` has an initial value too."""

_OF_NOTHING: Final = {"all": False, "some": False, "none": True}
"""The operators' results for an empty list."""

_KEEP: Final[dict[type, Callable[[Value], Value]]] = {bool: truthy, int: number, float: number, str: text_of}
_NAMES: Final = {bool: "bool", int: "number", float: "number", str: "string"}
