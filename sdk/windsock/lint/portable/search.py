"""Finding the constructs in a rule on which the flagd implementations disagree."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from windsock.flags.kinds import LIST_OPERATORS, Kinds, choices, kinds_of, miscounted, unfit
from windsock.flags.model import CONTAINERS, Flag, JsonValue, pointer_of
from windsock.flags.raw import Tokens
from windsock.lint.portable.known import BY_CODE, CONSTRUCTS, Construct

__all__ = ["BY_CODE", "CONSTRUCTS", "Construct", "Finding", "find_in_flag", "find_in_rule"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A construct at one place.

    Attributes:
        construct: What was found.
        pointer: Where, as a JSON pointer from the rule, or from the flag for ``find_in_flag``.
    """

    construct: Construct
    pointer: str


def find_in_flag(flag: Flag) -> tuple[Finding, ...]:
    """The constructs in a flag's rule and variant names; those that only attributes show are not found."""
    names = tuple(
        Finding(BY_CODE["variant-characters"], pointer_of("variants", name))
        for name in flag.variants
        if _ESCAPED.search(name)
    )
    found = _Finder().find(flag.targeting) if flag.targeting is not None else ()
    return names + tuple(Finding(BY_CODE[code], pointer_of("targeting", *tokens)) for code, tokens in found)


def find_in_rule(rule: JsonValue) -> tuple[Finding, ...]:
    """As ``find_in_flag``, for a rule by itself."""
    return tuple(Finding(BY_CODE[code], pointer_of(*tokens)) for code, tokens in _Finder().find(rule))


_ESCAPED: Final = re.compile(r'["\\<>&\x00-\x1f\u2028\u2029]')
_FULL_VERSION: Final = re.compile(
    r"[vV]?\d{1,15}\.\d{1,15}\.\d{1,15}(-(?!.*\d{16})[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII
)
_COMPARISONS: Final = ("==", "!=", "===", "!==", "<", "<=", ">", ">=")
_ARITHMETIC: Final = ("+", "-", "*", "/", "%", "min", "max")
_LOGIC: Final = ("if", "?:", "and", "or", "!", "!!")
_OTHERS: Final = ("var", "missing", "missing_some", "in", "cat", "substr", "merge")
_FLAGD: Final = ("fractional", "sem_ver", "starts_with", "ends_with")
_KNOWN: Final = frozenset((*_COMPARISONS, *_ARITHMETIC, *LIST_OPERATORS, *_LOGIC, *_OTHERS, *_FLAGD))
_RELATIONS: Final = ("=", "!=", "<", "<=", ">", ">=", "^", "~")
_MOST_EXACT: Final = 2**53
_TOLD: Final = CONTAINERS | {int, float}  # types of what `_walk` has to look at

_Found = tuple[str, Tokens]


class _Finder:
    """Walks one rule; a shared rule is walked at its first place only."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def find(self, rule: JsonValue) -> tuple[_Found, ...]:
        if not isinstance(rule, dict):
            return (("rule-not-object", ()),)
        return (*self._results(rule, ()), *self._walk(rule, ()))

    def _results(self, value: JsonValue, at: Tokens) -> Iterator[_Found]:
        """What the rule gives, at the ends of its branches."""
        if isinstance(value, str) and _ESCAPED.search(value):
            yield "variant-characters", at
            return
        inner = choices(value)
        for tokens, result in inner:
            yield from self._results(result, (*at, *tokens))
        if not inner:
            kinds = kinds_of(value)
            if "list" in kinds:
                yield "list-result", at
            if "number" in kinds:
                yield "number-result", at

    def _walk(self, value: JsonValue, at: Tokens) -> Iterator[_Found]:
        if isinstance(value, (dict, list)):
            if id(value) in self._seen:
                return
            self._seen.add(id(value))
        if isinstance(value, dict):
            yield from self._operation(value, at)
        elif isinstance(value, list):
            if _TOLD.isdisjoint(map(type, value)):
                return
            for index, item in enumerate(value):
                if isinstance(item, (dict, list)) or _is_big(item):
                    yield from self._walk(item, (*at, index))
        elif _is_big(value):
            yield "big-integer", at

    def _operation(self, value: Mapping[str, JsonValue], at: Tokens) -> Iterator[_Found]:
        if len(value) > 1:
            yield "several-operators", at
        for name, arguments in value.items():
            if len(value) == 1:
                if name not in _KNOWN:
                    yield "unknown-operator", (*at, name)
                for check in (_CHECKS.get(name), _arguments):
                    if check is not None:
                        yield from ((code, (*at, name, *inner)) for code, inner in check(name, arguments))
            if name == "var" and arguments in ("", [""]) and not _in_condition(at):
                yield "argument-type", (*at, name)
            if name == "fractional" and _in_condition(at):  # it reads the targeting key, of the element
                yield "variable-in-list-condition", (*at, name)
            yield from self._walk(arguments, (*at, name))


def _in_condition(at: Tokens) -> bool:
    """Whether a place is inside what a list operator runs on its elements."""
    return any(name in LIST_OPERATORS and index != 0 for name, index in pairwise(at))


def _is_big(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and abs(value) > _MOST_EXACT


def _always(code: str) -> "_Check":
    return lambda _name, _arguments: iter([(code, ())])


def _needs_list(code: str) -> "_Check":
    return lambda _name, arguments: iter(() if isinstance(arguments, list) else [(code, ())])


def _arguments(name: str, arguments: JsonValue) -> Iterator[_Found]:
    """What every operator is asked: the number of its arguments, and their types."""
    if miscounted(name, arguments):
        if isinstance(arguments, list) or name not in _LOGIC:
            yield "argument-count", ()
        return
    for index in unfit(name, arguments):
        yield "argument-type", (index,)
    if name in _LOGIC and isinstance(arguments, list):
        conditions = arguments[:-1:2] if name in ("if", "?:") else arguments
        for index, condition in enumerate(conditions):
            if "object" in kinds_of(condition) and not (isinstance(condition, dict) and len(condition) > 1):
                yield "object-as-condition", (index * (2 if name in ("if", "?:") else 1),)


def _in(_: str, arguments: JsonValue) -> Iterator[_Found]:
    if not isinstance(arguments, list) or len(arguments) != 2:
        yield "in-mixed-list", ()
        return
    needle, haystack = arguments
    needles, haystacks = _plain(kinds_of(needle)), _plain(kinds_of(haystack))
    if "text" in haystacks and needles != {"text"}:
        yield "in-text-needle", (1,)
    if not haystacks <= {"text", "list"}:
        yield "argument-type", (1,)
    if not needles <= {"text", "number"}:
        yield "argument-type", (0,)
    if isinstance(haystack, list):
        # texts are of one plain kind, so of a million the last one stands for all
        each = {type(item) if isinstance(item, str) else id(item): item for item in haystack}
        kinds = frozenset().union(*map(_plain, map(kinds_of, each.values())))
        if len(kinds) > 1 or not kinds <= {"text", "number"} or (kinds and not needles <= kinds):
            yield "in-mixed-list", (1,)


def _plain(kinds: Kinds) -> Kinds:
    return frozenset("text" if kind == "numeral" else kind for kind in kinds)


def _comparison(name: str, arguments: JsonValue) -> Iterator[_Found]:
    most = 3 if name in ("<", "<=", ">", ">=") else 2
    if not isinstance(arguments, list) or not 2 <= len(arguments) <= most:
        yield "comparison-arguments", ()
        return
    given = [kinds_of(value) for value in arguments]
    every = frozenset().union(*given)
    if (_mixed(every, ordered=most == 3) or any(map(_is_astral, arguments))) and name not in ("===", "!=="):
        yield "compare-types", ()
    for index, value in enumerate(arguments):
        if given[index] & {"list", "object"}:
            yield "compare-lists", (index,)
        elif name in ("===", "!=="):
            if isinstance(value, (bool, int, float)) and value in (0, 1):
                yield "strict-boolean", (index,)
        elif name not in ("<", ">") and _is_zero(value) and any("null" in each or not each for each in given):
            yield "compare-with-zero", (index,)
        if isinstance(value, dict) and "boolean" in given[index]:
            yield "compare-conditions", (index,)


def _mixed(kinds: Kinds, *, ordered: bool) -> bool:
    """Whether values of these kinds are compared by what each language makes of them."""
    if ordered and kinds & {"boolean", "null"}:
        return True
    types = kinds & {"text", "number", "boolean"}
    return len(types) > 1 or ("numeral" in kinds and bool(kinds & {"boolean", "null"}))


def _is_astral(value: JsonValue) -> bool:
    return isinstance(value, str) and not value.isascii() and max(value) > "\uffff"


def _is_zero(value: JsonValue) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, (int, float)) and value == 0


def _division(_: str, arguments: JsonValue) -> Iterator[_Found]:
    divisors = arguments[1:] if isinstance(arguments, list) else [None]
    if not all(isinstance(value, (int, float)) and value for value in divisors):
        yield "division", ()


def _cat(_: str, arguments: JsonValue) -> Iterator[_Found]:
    parts = arguments if isinstance(arguments, list) else [arguments]
    for index, part in enumerate(parts):
        if isinstance(part, str) and ((index == 0 and part[:1].isspace()) or part[-1:].isspace()):
            yield "cat-space", (index,)
        elif part is None or isinstance(part, (bool, list)):
            yield "cat-missing", (index,)
        elif part == 0 and str(part).startswith("-"):
            yield "argument-type", (index,)


def _var(_: str, arguments: JsonValue) -> Iterator[_Found]:
    name = arguments
    if isinstance(arguments, list):
        name = arguments[0] if 1 <= len(arguments) <= 2 else None
    if isinstance(name, (int, float)) and not isinstance(name, bool):
        yield "var-number", ()
    elif not isinstance(name, (str, dict)):
        yield "argument-type", ()
    elif isinstance(name, str) and name and "" in name.split("."):
        yield "var-leading-dot", ()


def _listing(name: str, arguments: JsonValue) -> Iterator[_Found]:
    if isinstance(arguments, list) and len(arguments) >= 2:
        if isinstance(arguments[0], list) and any(isinstance(item, (dict, list)) for item in arguments[0]):
            yield "argument-type", (0,)
        if not isinstance(arguments[1], dict):
            yield "argument-type", (1,)
        for index, condition in enumerate(arguments[1:], 1):
            if any(reading != "" or name == "reduce" for reading in _variables(condition)):
                yield "variable-in-list-condition", (index,)


def _variables(rule: JsonValue) -> Iterator[JsonValue]:
    if isinstance(rule, dict):
        for name, value in rule.items():
            if name == "var":
                yield value
            yield from _variables(value)
    elif isinstance(rule, list):
        for item in rule:
            yield from _variables(item)


def _sem_ver(_: str, arguments: JsonValue) -> Iterator[_Found]:
    versions = arguments[::2] if isinstance(arguments, list) else []
    if isinstance(arguments, list) and len(arguments) == 3 and arguments[1] not in _RELATIONS:
        yield "argument-type", (1,)
    for index, version in enumerate(versions):
        if not isinstance(version, dict) and not (
            isinstance(version, str) and _FULL_VERSION.fullmatch(version)
        ):
            yield "version-literal", (index * 2,)


def _fractional(_: str, arguments: JsonValue) -> Iterator[_Found]:
    if not isinstance(arguments, list) or not arguments:
        yield "fractional-weight", ()
        return
    key, buckets, offset = arguments[0], arguments, 0
    if not isinstance(key, list):
        buckets, offset = arguments[1:], 1
        if isinstance(key, str):
            if not key.isascii():
                yield "fractional-non-ascii", (0,)
        elif not isinstance(key, dict) or next(iter(key), "") != "cat":
            yield "fractional-key", (0,)
    for index, bucket in enumerate(buckets, offset):
        if not isinstance(bucket, list) or not 1 <= len(bucket) <= 2 or not _is_weight(bucket[1:]):
            yield "fractional-weight", (index,)
        elif kinds_of(bucket[0]) & {"list", "object"}:
            yield "argument-type", (index, 0)


def _is_weight(weight: list[JsonValue]) -> bool:
    """Whether there is no weight or a whole one; a computed one neither divides nor reads, for Python."""
    if not weight:
        return True
    if isinstance(weight[0], dict):
        return not any(operator in ("/", "%", "var") for operator in _operators(weight[0]))
    return isinstance(weight[0], int) and not isinstance(weight[0], bool)


def _operators(rule: JsonValue) -> Iterator[str]:
    if isinstance(rule, dict):
        for name, value in rule.items():
            yield name
            yield from _operators(value)
    elif isinstance(rule, list):
        for item in rule:
            yield from _operators(item)


def _substr(_: str, arguments: JsonValue) -> Iterator[_Found]:
    if isinstance(arguments, list) and len(arguments) == 3:
        length = arguments[2]
        if not isinstance(length, (int, float)) or length < 0:
            yield "substr-length", (2,)
    if isinstance(arguments, list) and len(arguments) >= 2:
        text, start = arguments[:2]
        if isinstance(text, str) and isinstance(start, (int, float)) and start > len(text):
            yield "substr-beyond", (1,)


_Check = Callable[[str, JsonValue], Iterator[_Found]]

_CHECKS: Final[Mapping[str, _Check]] = {
    "in": _in,
    "cat": _cat,
    "substr": _substr,
    "var": _var,
    "/": _division,
    "%": _always("modulo"),
    "missing": _always("missing"),
    "missing_some": _always("missing"),
    "sem_ver": _sem_ver,
    "fractional": _fractional,
    "if": _needs_list("arguments-without-list"),
    "?:": _needs_list("arguments-without-list"),
    "and": _needs_list("arguments-without-list"),
    "or": _needs_list("arguments-without-list"),
    "!": _needs_list("negation-without-list"),
    "!!": _needs_list("negation-without-list"),
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(LIST_OPERATORS, _listing),
}
