"""A compiled flag: a closure from evaluation context to outcome."""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from itertools import groupby
from typing import Final, TypeAlias

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from windsock.evaluator.bucketing import Split
from windsock.evaluator.expressions import FLAGD, Compiler, Constant, RuleScope, again
from windsock.evaluator.fractional import LiteralSplit, compile_split
from windsock.evaluator.membership import Choices, LiteralSets, Membership, TextSet, membership
from windsock.evaluator.outcome import Outcome
from windsock.evaluator.reads import deciding_attribute
from windsock.evaluator.values import Expression, RuleError, Value, describe, plain
from windsock.evaluator.variant_names import is_plain_name, variant_name
from windsock.evaluator.work_limit import begin
from windsock.flags import Flag
from windsock.flags.kinds import may_be_object
from windsock.flags.values import quoted
from windsock.text import printable

Evaluate: TypeAlias = Callable[[Mapping[str, object]], Outcome]
"""Maps attributes (including ``targetingKey``, if any) to the outcome; never raises."""

Clock: TypeAlias = Callable[[], float]
"""Returns Unix seconds; called only for rules that use ``$flagd.timestamp``."""

frozen_at: Final[ContextVar[float | None]] = ContextVar("windsock_frozen_at", default=None)
"""The Unix time that rules see if a test froze it in this context; see `windsock.testing.at`."""


def unix_time() -> float:
    """The time for ``$flagd.timestamp``."""
    frozen = frozen_at.get()
    return time.time() if frozen is None else frozen


_Tail: TypeAlias = Callable[[Value], Outcome]

_ERROR_MAX: Final = 300
_RUNS_MAX: Final = 100
"""Maximum chained lookups in one rule; beyond that, the clauses are tried one by one."""


class CompiledFlag:
    """A flag ready to be evaluated.

    Args:
        flag: The flag.
        sets: Sets shared with the flags compiled before.
        clock: The source of ``$flagd.timestamp``.

    Attributes:
        key: The flag's key.
        flag: The flag.
        constant: The outcome, the same for every user, if the flag has no rule; else None.
        decided_by: The only attribute that the rule reads, according to `deciding_attribute`.
        rule: Maps a context to the outcome; raises if the context's values don't suit the rule.
        evaluate: The same, but returns an error outcome in that case; never raises.
    """

    __slots__ = ("constant", "decided_by", "evaluate", "flag", "key", "rule")

    def __init__(self, flag: Flag, sets: LiteralSets | None = None, clock: Clock = unix_time) -> None:
        self.key: Final = flag.key
        self.flag: Final = flag
        outcomes = Outcomes(flag)
        self.constant: Final = _constant(flag, outcomes)
        self.decided_by: Final = deciding_attribute(flag.targeting)
        self.rule: Final = _compile(flag, self.constant, outcomes, sets or LiteralSets(), clock)
        self.evaluate: Final = _guarded(self.rule, outcomes) if self.constant is None else self.rule


def _constant(flag: Flag, outcomes: "Outcomes") -> Outcome | None:
    if not flag.enabled:
        return outcomes.none(Reason.DISABLED)
    return outcomes.default(Reason.STATIC) if flag.targeting is None else None


def _compile(
    flag: Flag, constant: Outcome | None, outcomes: "Outcomes", sets: LiteralSets, clock: Clock
) -> Evaluate:
    if constant is not None:
        return lambda _: constant
    compiler = Compiler(RuleScope.of(flag.bucketing, flag.key), sets)
    try:
        tail = _Tails(compiler, outcomes).compile(flag.targeting)
    except RecursionError:
        failed = outcomes.error(ErrorCode.PARSE_ERROR, "the rule is nested too deep; flatten it")
        return lambda _: failed
    return _with_flagd(tail, flag.key, clock) if compiler.reads_flagd else tail


def _with_flagd(tail: _Tail, key: str, clock: Clock) -> _Tail:
    def run(context: Value) -> Outcome:
        begin()
        return tail({**context, FLAGD: {"flagKey": key, "timestamp": int(clock())}})  # type: ignore[dict-item]

    return run


def _guarded(rule: Evaluate, outcomes: "Outcomes") -> Evaluate:
    def evaluate(context: Mapping[str, object]) -> Outcome:
        try:
            return rule(context)
        except RuleError as error:
            return outcomes.error(
                ErrorCode.PARSE_ERROR, f"the rule cannot be evaluated for this context: {error}"
            )
        except Exception as error:  # noqa: BLE001 - the caller's objects may raise anything
            cause = f"{type(error).__name__}: {printable(error, _ERROR_MAX)}"
            return outcomes.error(ErrorCode.PARSE_ERROR, f"the rule failed on this context's values: {cause}")

    return evaluate


class Outcomes:
    """The possible outcomes of one flag."""

    def __init__(self, flag: Flag) -> None:
        self._flag = flag
        self._matches = {
            name: self._variant(name, Reason.TARGETING_MATCH) for name in flag.variants if is_plain_name(name)
        }
        self._escaped = {
            name: self._variant(name, Reason.TARGETING_MATCH)
            for name in flag.variants
            if name not in self._matches
        }
        self.fallback = self.default(Reason.DEFAULT)

    def none(self, reason: str) -> Outcome:
        """The outcome that leaves the value to the caller."""
        return Outcome(None, None, reason, None, None, self._flag.metadata, self._flag.key)

    def default(self, reason: str) -> Outcome:
        """The default variant, or the caller's default if the flag has none."""
        name = self._flag.default_variant
        return self.none(Reason.DEFAULT) if name is None else self._variant(name, reason)

    def error(self, code: ErrorCode, message: str) -> Outcome:
        """An error; the caller's default is used."""
        flag = self._flag
        where = f" ({flag.source}:{flag.line})" if flag.line else ""
        text = f"flag {flag.key!r}{where}: {message}"
        return Outcome(None, None, Reason.ERROR, code, text, flag.metadata, flag.key)

    def of(self, result: Value) -> Outcome:
        """The outcome for a rule's result."""
        if type(result) is str:
            found = self._matches.get(result)
            if found is not None:
                return found
        elif result is None:
            return self.fallback
        name = variant_name(result)
        found = self._matches.get(name) or self._escaped.get(name)
        if found is None:
            names = ", ".join(map(quoted, list(self._flag.variants)[:10])) or "none"
            given = quoted(result) if isinstance(result, str) else describe(result)
            message = f"the rule gives {given}, which is not a variant; the variants are: {names}"
            return self.error(ErrorCode.GENERAL, message)
        return found

    def _variant(self, name: str, reason: str) -> Outcome:
        flag = self._flag
        value = flag.variants[name]
        if value is None:
            message = f"variant {name!r} is null, which has no type; give it a value"
            return self.error(ErrorCode.TYPE_MISMATCH, message)
        return Outcome(value, name, reason, None, None, flag.metadata, flag.key)


class _Tails:
    """Compiles the parts of a rule in tail position, so that they return outcomes directly."""

    def __init__(self, compiler: Compiler, outcomes: Outcomes) -> None:
        self._compiler = compiler
        self._outcomes = outcomes

    def compile(self, rule: Value) -> _Tail:
        """Compile a whole rule."""
        if type(rule) is dict and len(rule) == 1:
            ((name, arguments),) = rule.items()
            if name in ("if", "?:") and type(arguments) is list:
                return self._conditional(arguments)
            if name == "fractional":
                return self._fractional(arguments)
        return self._result(self._compiler.compile(rule))

    def _result(self, expression: Expression, branch: Value = None) -> _Tail:
        of, scope = self._outcomes.of, self._compiler.scope
        if isinstance(expression, Constant):
            return self._constant(expression.value)
        if may_be_object(branch):
            self._compiler.reads_flagd = True
            return lambda data: of(again(expression(data), data, scope))
        return lambda data: of(expression(data))

    def _constant(self, value: Value) -> _Tail:
        try:
            return _Always(self._outcomes.of(value))
        except RuleError:  # each evaluation raises it again and turns it into an outcome
            return lambda _: self._outcomes.of(value)

    def _branch(self, rule: Value) -> _Tail:
        if type(rule) is dict and len(rule) == 1 and next(iter(rule)) in ("if", "?:", "fractional"):
            return self.compile(rule)
        return self._result(self._compiler.compile(rule), rule)

    def _conditional(self, clauses: list[Value]) -> _Tail:
        """Compile clauses from last to first; clauses on one attribute's texts become one lookup."""
        clauses = _flattened(clauses)
        otherwise = self._branch(clauses[-1]) if len(clauses) % 2 else _Always(self._outcomes.fallback)
        tested = [
            (membership(condition), condition, self._branch(value))
            for condition, value in zip(clauses[::2], clauses[1::2], strict=False)
        ]
        runs = [
            list(run)
            for _, run in groupby(tested, key=lambda each: each[0] and (each[0].name, type(each[0].texts)))
        ]
        if len(runs) > _RUNS_MAX:
            runs = [[(None, condition, value) for _, condition, value in tested]]
        for run in reversed(runs):
            tests = [(test, value) for test, _, value in run if test is not None]
            if tests:
                otherwise = _choose(tests, otherwise, self._compiler.sets)
            else:
                otherwise = _first(
                    [(self._compiler.compile(condition), value) for _, condition, value in run], otherwise
                )
        return otherwise

    def _fractional(self, arguments: Value) -> _Tail:
        literal = self._compiler.literal_split(arguments)
        if not isinstance(literal, LiteralSplit):
            return self._result(literal)
        of = self._outcomes.of
        choices = tuple(map(of, literal.split.choices))
        general = literal.general
        outcomes = LiteralSplit(
            Split(literal.split.limits, choices),
            literal.key,
            self._outcomes.fallback,
            lambda data: of(general(data)),
        )
        return compile_split(outcomes, self._compiler.scope.hashing)


class _Always:
    """A tail that always returns the same outcome."""

    __slots__ = ("outcome",)

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def __call__(self, _: Value) -> Outcome:
        return self.outcome


def _flattened(clauses: list[Value]) -> list[Value]:
    """Flatten an ``if`` in the else branch of another: the usual way to write else-if."""
    flat = list(clauses)
    while len(flat) % 2 and type(flat[-1]) is dict and len(flat[-1]) == 1:
        ((name, inner),) = flat[-1].items()
        if name not in ("if", "?:") or type(inner) is not list or not inner:
            break
        flat[-1:] = inner
    return flat


def _either(condition: Expression, value: _Tail, otherwise: _Tail) -> _Tail:
    if isinstance(value, _Always) and isinstance(otherwise, _Always):
        chosen, other = value.outcome, otherwise.outcome
        return lambda data: chosen if condition(data) else other
    return lambda data: value(data) if condition(data) else otherwise(data)


def _first(clauses: list[tuple[Expression, _Tail]], otherwise: _Tail) -> _Tail:
    """The value of the first clause that holds."""
    if len(clauses) == 1:
        return _either(*clauses[0], otherwise)

    def run(data: Value) -> Outcome:
        for condition, value in clauses:
            if condition(data):
                return value(data)
        return otherwise(data)

    return run


def _choose(tests: list[tuple[Membership, _Tail]], otherwise: _Tail, sets: LiteralSets) -> _Tail:
    """Compile clauses on one attribute to one lookup."""
    name = tests[0][0].name
    if isinstance(otherwise, _Always):
        test, value = tests[0]
        if len(tests) == 1 and isinstance(value, _Always) and type(test.texts) is list:
            if test.reads_numbers:
                return _choose_between(name, sets.of(test.texts), value.outcome, otherwise.outcome)
            return _choose_equal(name, next(iter(test.texts)), value.outcome, otherwise.outcome)
        known = [(test, value.outcome) for test, value in tests if isinstance(value, _Always)]
        if len(known) == len(tests):
            return _choose_outcome(name, Choices(known, otherwise.outcome), otherwise.outcome)
    choices = Choices(tests, otherwise)
    first_of, other = choices.first_of, choices.other

    def choose(data: Value) -> Outcome:
        value = data.get(name)  # type: ignore[attr-defined]
        return (first_of(value, otherwise) if type(value) is str else other(value))(data)

    return choose


def _choose_between(name: str, texts: TextSet, chosen: Outcome, otherwise: Outcome) -> _Tail:
    """Handle a single list: a set takes half a dict's memory, and flags with the same list share it."""
    known, holds = texts.texts, texts.holds

    def run(data: Value) -> Outcome:
        value = data.get(name)  # type: ignore[attr-defined]
        return chosen if (value in known if type(value) is str else holds(plain(value))) else otherwise

    return run


def _choose_equal(name: str, text: str, chosen: Outcome, otherwise: Outcome) -> _Tail:
    """Handle a single text that isn't a number."""

    def run(data: Value) -> Outcome:
        value = data.get(name)  # type: ignore[attr-defined]
        return chosen if (value if type(value) is str else plain(value)) == text else otherwise

    return run


def _choose_outcome(name: str, choices: Choices[Outcome], otherwise: Outcome) -> _Tail:
    first_of, other = choices.first_of, choices.other

    def run(data: Value) -> Outcome:
        value = data.get(name)  # type: ignore[attr-defined]
        return first_of(value, otherwise) if type(value) is str else other(value)

    return run
