"""Explain a flag's result: its rule's conditions one by one, with the values that they saw."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from windsock.evaluator.expressions import FLAGD, RuleScope
from windsock.evaluator.fractional import hash_targeting_key, hashing_for
from windsock.evaluator.values import RuleError, truthy
from windsock.evaluator.work_limit import begin
from windsock.flags import Flag, JsonValue
from windsock.flags.operations import operations
from windsock.flags.words import condition_in_words, gives_in_words

_SHOWN: Final = 20
"""Maximum list items at the start of a line, which is cut after 100 characters."""


@dataclass(frozen=True, slots=True)
class RuleStep:
    """One step of the evaluation.

    Attributes:
        depth: Its nesting depth in the rule.
        text: What was evaluated.
        found: The result.
    """

    depth: int
    text: str
    found: str


def trace(flag: Flag, context: Mapping[str, object], timestamp: int) -> tuple[RuleStep, ...]:
    """Follow a flag's rule for one context.

    Args:
        flag: The flag.
        context: The attributes, including ``targetingKey``, if any.
        timestamp: Unix seconds, for ``$flagd.timestamp``.
    """
    if not flag.enabled:
        return (RuleStep(0, "state", "DISABLED: the code default is used"),)
    if flag.targeting is None:
        return (RuleStep(0, "no targeting", f"the default variant {flag.default_variant!r}"),)
    data = {**context, FLAGD: {"flagKey": flag.key, "timestamp": timestamp}}
    return tuple(_Trace(flag, data).follow(flag.targeting, 0))


class _Trace:
    def __init__(self, flag: Flag, data: Mapping[str, object]) -> None:
        self._flag = flag
        self._data = data
        begin()
        self._scope = RuleScope.of(flag.bucketing, flag.key)
        self._hashing = hashing_for(flag.bucketing, flag.key)

    def follow(self, rule: JsonValue, depth: int) -> Iterator[RuleStep]:
        """The steps in one branch."""
        if isinstance(rule, Mapping) and len(rule) == 1:
            ((name, arguments),) = rule.items()
            if name in ("if", "?:") and isinstance(arguments, list):
                yield from self._conditions(arguments, depth)
                return
            if name == "fractional" and isinstance(arguments, list):
                yield self._split(rule, arguments, depth)
                return
        yield RuleStep(depth, "gives", self._shown(rule))

    def _conditions(self, clauses: list[JsonValue], depth: int) -> Iterator[RuleStep]:
        for index in range(0, len(clauses) - 1, 2):
            try:
                holds = truthy(self._value(clauses[index]))
            except RuleError as error:
                yield RuleStep(depth, condition_in_words(clauses[index]), f"fails: {error}")
                return
            seen = ", ".join(
                f"{name} = {_written(value)}" for name, value in self._attributes(clauses[index])
            )
            text = condition_in_words(clauses[index])
            yield RuleStep(depth, text, f"{str(holds).lower()}{f'  ({seen})' if seen else ''}")
            if holds:
                yield from self.follow(clauses[index + 1], depth + 1)
                return
        if len(clauses) % 2:
            yield from self.follow(clauses[-1], depth + 1)
        else:
            yield RuleStep(depth, "no condition holds", f"the default variant {self._flag.default_variant!r}")

    def _split(self, rule: JsonValue, arguments: list[JsonValue], depth: int) -> RuleStep:
        words = gives_in_words(rule, None)
        key = arguments[0] if arguments and not isinstance(arguments[0], list) else None
        try:
            by = self._value(key) if key is not None else self._data.get("targetingKey")
            hashed = (
                self._hashing.value(by) if key is not None else hash_targeting_key(self._data, self._hashing)
            )
        except RuleError as error:
            return RuleStep(depth, words, f"fails: {error}")
        if hashed is None:
            return RuleStep(depth, words, f"{_written(by)} is not bucketed; {self._shown(rule)}")
        share = 100 * (hashed % 2**32) / 2**32
        found = f"{_written(by)} is at {share:.2f} % ({self._flag.bucketing}): {self._shown(rule)}"
        return RuleStep(depth, words, found)

    def _shown(self, rule: JsonValue) -> str:
        try:
            value = self._value(rule)
        except RuleError as error:
            return f"fails: {error}"
        if value is None:
            return f"the default variant {self._flag.default_variant!r}"
        name = self._flag.metadata.get(f"config.{value}")  # the mirror's, for a profile's id
        return _written(value if name is None else name)

    def _value(self, rule: JsonValue) -> object:
        return self._scope.compile(rule)(self._data)

    def _attributes(self, rule: JsonValue) -> Iterator[tuple[str, object]]:
        names = dict.fromkeys(_variables(rule))
        for name in names:
            yield name, self._scope.compile({"var": name})(self._data)


def _variables(rule: JsonValue) -> Iterator[str]:
    for operator, arguments in operations(rule):
        if operator == "var":
            name = arguments[0] if isinstance(arguments, list) and arguments else arguments
            if isinstance(name, str) and name:
                yield name


def _written(value: object) -> str:
    text = json.dumps(_cut(value), ensure_ascii=False, default=str)
    return text if len(text) <= 100 else f"{text[:97]}…"


def _cut(value: object) -> object:
    """A value with its lists shortened: a rule may name a million users, but only one line is shown."""
    if isinstance(value, Mapping):
        return {key: _cut(below) for key, below in value.items()}
    if not isinstance(value, list):
        return value
    shown = [_cut(each) for each in value[:_SHOWN]]
    return shown if len(value) <= _SHOWN else [*shown, f"… {len(value) - _SHOWN:,} more"]
