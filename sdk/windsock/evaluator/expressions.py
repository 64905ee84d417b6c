"""Compile a rule into closures; everything that depends only on the rule is computed once."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from windsock.evaluator.bucketing import parse_split
from windsock.evaluator.comparison import COMPARE, metered_comparison, with_literal
from windsock.evaluator.fractional import Hashing, LiteralSplit, compile_split, hashing_for, split_arguments
from windsock.evaluator.membership import LiteralSets, attribute_name
from windsock.evaluator.operators import (
    EAGER,
    QUADRATIC,
    Operator,
    compile_set,
    contains,
    contains_metered,
)
from windsock.evaluator.values import (
    PLAIN,
    Expression,
    RuleError,
    Value,
    plain,
    trim,
)
from windsock.evaluator.variables import walk
from windsock.evaluator.work_limit import metered, spend, spend_on_each
from windsock.flags import Bucketing
from windsock.flags.kinds import may_be_object

FLAGD: Final = "$flagd"
"""The attribute that flagd adds to every context, with ``flagKey`` and ``timestamp`` (Unix seconds)."""


class Constant:
    """An expression that has the same value for any data."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __call__(self, _: Value) -> Value:
        """Return the value."""
        return self.value


_UNCOUNTED: Final = 100
"""Operators of a rule that run without counting steps; those beyond may multiply a long attribute."""

_COMPILING: Final = 40
"""The cost of compiling the smallest rule, in steps."""

_COMPILING_EACH: Final = 3
"""The cost of compiling each value of a rule, in steps, beyond counting it."""


class RuleScope(NamedTuple):
    """The scope that rules are compiled for.

    Attributes:
        hashing: How users are hashed.
        flag_key: The flag's key; None inside list operators, where the data is an element and the key is
            unknown.
        elements: The scope inside list operators; None for that scope itself.
    """

    hashing: Hashing
    flag_key: str | None
    elements: "RuleScope | None" = None

    @classmethod
    def of(cls, bucketing: Bucketing, flag_key: str) -> "RuleScope":
        """The scope of one flag's rule."""
        return cls(hashing_for(bucketing, flag_key), flag_key, cls(hashing_for(bucketing, ""), None))

    def compile(self, rule: Value) -> Expression:
        """Compile a rule without caching anything."""
        return Compiler(self, LiteralSets()).compile(rule)

    def compile_found(self, rule: Value) -> Expression:
        """Compile a rule found during an evaluation, at that evaluation's cost."""
        spend(_COMPILING + _COMPILING_EACH * spend_on_each(rule))
        return self.compile(rule)


class Compiler:
    """Compiles rules, each part only once.

    Args:
        scope: The scope that the rules are compiled for.
        sets: The sets built from literal lists so far.

    Attributes:
        reads_flagd: Whether a rule compiled so far may read ``$flagd`` from the data.
    """

    def __init__(self, scope: RuleScope, sets: LiteralSets) -> None:
        self.scope = scope
        self.reads_flagd = False
        self.sets = sets
        self._found = 0

    def compile(self, rule: Value) -> Expression:
        """Compile one rule; parts that can't be evaluated raise ``RuleError`` when reached."""
        if type(rule) is list:
            return self._list(rule)
        if type(rule) is not dict or len(rule) != 1:
            return Constant(rule)  # an object with several keys, or none, is a value
        ((name, arguments),) = rule.items()
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, arguments)
        operator = EAGER.get(name)
        if operator is None:
            return _failing(f"{name!r} is not an operator that flagd knows")
        self.reads_flagd |= name in QUADRATIC
        return self._applied(operator, self.compile(arguments))

    def _applied(self, operator: Operator, arguments: Expression) -> Expression:
        used = metered(operator) if self._repeats() else operator
        return lambda data: used(arguments(data), data)

    def _repeats(self) -> bool:
        """Whether an operator's steps count: it runs once for each element, or in a long rule."""
        if self.scope.flag_key is None:
            return True
        self._found += 1
        long = self._found > _UNCOUNTED
        self.reads_flagd |= long  # then the steps are counted
        return long

    def _list(self, items: list[Value]) -> Expression:
        if not any(type(item) in (dict, list) for item in items):
            return Constant(items)
        compiled = [self.compile(item) for item in items]
        if all(isinstance(item, Constant) for item in compiled):
            return Constant([item(None) for item in compiled])
        return lambda data: [item(data) for item in compiled]

    def setting(self, arguments: Value) -> Expression:
        """``set``."""
        self.reads_flagd = True  # flagd evaluates the value that it sets again
        return compile_set(self.compile(arguments), self.scope.compile_found)

    # -- var and comparison ---------------------------------------------------------------------------------

    def var(self, arguments: Value) -> Expression:
        """``var``."""
        name, default = _literal_name(arguments)
        if name is None:
            self.reads_flagd = True
            return self._applied(EAGER["var"], self.compile(arguments))
        path = tuple(filter(None, name.split(".")))
        if path[0] == FLAGD and self.scope.flag_key is not None:
            if path == (FLAGD, "flagKey"):
                return Constant(self.scope.flag_key)
            self.reads_flagd = True
        if len(path) == 1 and default is None and self.scope.flag_key is not None:
            return _attribute(path[0])
        return lambda data: default if data is None else walk(data, path, default)

    def missing(self, name: str, arguments: Value) -> Expression:
        """``missing`` and ``missing_some``, which read the attributes named in their arguments."""
        self.reads_flagd = True
        return self._applied(EAGER[name], self.compile(arguments))

    def comparison(self, name: str, arguments: Value) -> Expression:
        """``==``, ``<`` and so on between two values, one of which is often a literal."""
        if type(arguments) is not list or len(arguments) != 2:
            return self._applied(EAGER[name], self.compile(arguments))
        left, right = map(self.compile, arguments)
        if isinstance(left, Constant) and isinstance(right, Constant):
            return self._applied(EAGER[name], Constant([left.value, right.value]))
        compare = COMPARE[name]
        if self.scope.flag_key is None:
            compare = metered_comparison(compare)
        if isinstance(right, Constant):
            return with_literal(name, compare, left, right.value)
        return lambda data: compare(left(data), right(data))

    def within(self, arguments: Value) -> Expression:
        """``in``; a literal list becomes a set."""
        if type(arguments) is not list or len(arguments) != 2:
            return self._applied(EAGER["in"], self.compile(arguments))
        needle, haystack = map(self.compile, arguments)
        test = self.sets.test_for(haystack.value) if isinstance(haystack, Constant) else None
        if test is not None:
            return lambda data: test(needle(data))
        search = contains_metered if self._repeats() else contains
        return lambda data: search(needle(data), haystack(data))

    # -- logic ----------------------------------------------------------------------------------------------

    def conjunction(self, arguments: Value) -> Expression:
        """``and``: the first false value, else the last one."""
        if type(arguments) is not list:
            return _failing("and needs a list of conditions")
        parts = [self.compile(argument) for argument in arguments]
        if len(parts) == 2:
            first, second = parts
            return lambda data: first(data) and second(data)

        def run(data: Value) -> Value:
            last: Value = None
            for part in parts:
                last = part(data)
                if not last:
                    break
            return last

        return run

    def disjunction(self, arguments: Value) -> Expression:
        """``or``: the first true value, else the last one."""
        if type(arguments) is not list:
            return _failing("or needs a list of conditions")
        parts = [self.compile(argument) for argument in arguments]
        if len(parts) == 2:
            first, second = parts
            return lambda data: first(data) or second(data)

        def run(data: Value) -> Value:
            last: Value = None
            for part in parts:
                last = part(data)
                if last:
                    break
            return last

        return run

    def conditional(self, arguments: Value) -> Expression:
        """``if``: pairs of condition and value, then the value for else."""
        if type(arguments) is not list:
            return _failing("if needs a list of conditions and values")
        compiled = [self.compile(argument) for argument in arguments]
        self.reads_flagd |= any(map(may_be_object, arguments))
        pairs = list(zip(compiled[::2], compiled[1::2], strict=False))
        otherwise = compiled[-1] if len(compiled) % 2 else Constant(None)

        scope = self.scope

        def run(data: Value) -> Value:
            for condition, value in pairs:
                if condition(data):
                    return again(value(data), data, scope)
            return again(otherwise(data), data, scope)

        return run

    # -- lists, text, fractional ----------------------------------------------------------------------------

    def listing(self, name: str, arguments: Value) -> Expression:
        """``filter``, ``map``, ``all``, ``some``, ``none`` and ``reduce``."""
        from windsock.evaluator import list_operators  # noqa: PLC0415 - few rules use them

        least = 3 if name == "reduce" else 2
        if type(arguments) is not list or len(arguments) < least:
            return list_operators.compile_without_condition(name, arguments, self.compile)
        self.reads_flagd = True  # a condition reads the context too, see ``variables.solve``
        subject = list_operators.Subject(arguments[0], self.compile(arguments[0]))
        elements = self.scope.elements or self.scope
        ready = Compiler(elements, self.sets).compile(arguments[1])
        condition = list_operators.Condition(arguments[1], ready, elements.compile_found)
        if name == "reduce":
            return list_operators.compile_reduce(subject, condition, self.compile(arguments[2]))
        return list_operators.COMPILE[name](subject, condition)

    def cat(self, arguments: Value) -> Expression:
        """``cat``, with a shortcut for the usual bucketing value: a flag key or text before one attribute."""
        general = self._applied(EAGER["cat"], self.compile(arguments))
        if type(arguments) is not list or len(arguments) != 2 or self.scope.flag_key is None:
            return general
        prefix = self.scope.flag_key if arguments[0] == {"var": "$flagd.flagKey"} else arguments[0]
        name = attribute_name(arguments[1])
        if type(prefix) is not str or name is None:
            return general

        def run(data: Value) -> Value:
            value = data.get(name) if type(data) is dict else None
            return trim(prefix + value) if type(value) is str else general(data)

        return run

    def fractional(self, arguments: Value) -> Expression:
        """``fractional``."""
        literal = self.literal_split(arguments)
        if isinstance(literal, LiteralSplit):
            return compile_split(literal, self.scope.hashing)
        return literal

    def literal_split(self, arguments: Value) -> LiteralSplit[Value] | Expression:
        """The split of a ``fractional`` with literal, well-formed buckets; else an expression."""
        hashing = self.scope.hashing
        if type(arguments) is not list or not arguments:
            evaluate = self.compile(arguments)
            return lambda data: split_arguments(evaluate(data), data, hashing)
        parts = [self.compile(argument) for argument in arguments]

        def general(data: Value) -> Value:
            return split_arguments([part(data) for part in parts], data, hashing)

        if self.scope.flag_key is None:  # elements that aren't objects aren't hashed
            return general
        own_key = type(arguments[0]) is not list
        buckets = [part.value for part in parts[own_key:] if isinstance(part, Constant)]
        if len(buckets) + own_key != len(parts) or (own_key and not isinstance(arguments[0], (str, dict))):
            return general
        split = parse_split(buckets)
        return general if split is None else LiteralSplit(split, parts[0] if own_key else None, None, general)


def again(result: Value, data: Value, scope: RuleScope) -> Value:
    """The value of an ``if`` branch; flagd evaluates objects again."""
    return scope.compile_found(result)(data) if type(result) is dict else result


def _failing(message: str) -> Expression:
    def run(_: Value) -> Value:
        raise RuleError(message)

    return run


def _attribute(name: str) -> Expression:
    def run(data: Value) -> Value:
        value = data.get(name) if type(data) is dict or isinstance(data, Mapping) else None
        return value if type(value) in PLAIN else plain(value)

    return run


def _literal_name(arguments: Value) -> tuple[str | None, Value]:
    """The literal path and default of a ``var``; None if the path is computed or refers to all data."""
    default: Value = None
    if type(arguments) is list and 1 <= len(arguments) <= 2:
        if len(arguments) == 2:
            default = arguments[1]
        arguments = arguments[0]
    if type(arguments) is str and arguments.strip(".") and type(default) not in (dict, list):
        return arguments, default
    return None, None


def _named(
    method: Callable[[Compiler, str, Value], Expression], name: str, compiler: Compiler, arguments: Value
) -> Expression:
    return method(compiler, name, arguments)


_SPECIAL: Final[dict[str, Callable[[Compiler, Value], Expression]]] = {
    "var": Compiler.var,
    "in": Compiler.within,
    "and": Compiler.conjunction,
    "or": Compiler.disjunction,
    "if": Compiler.conditional,
    "?:": Compiler.conditional,
    "cat": Compiler.cat,
    "fractional": Compiler.fractional,
    "set": Compiler.setting,
    **{name: partial(_named, Compiler.missing, name) for name in ("missing", "missing_some")},
    **{name: partial(_named, Compiler.comparison, name) for name in COMPARE},
    **{
        name: partial(_named, Compiler.listing, name)
        for name in ("filter", "map", "all", "some", "none", "reduce")
    },
}
