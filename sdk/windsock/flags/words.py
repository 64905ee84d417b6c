"""Targeting rules in words, for plans, differences, explanations and pages."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final, NamedTuple, TypeGuard

from windsock.flags.model import JsonValue

LAST_SECOND: Final = 253_402_300_799
"""The last second of the year 9999 in Unix time, the last that `datetime` supports."""

_TIME: Final = {"var": "$flagd.timestamp"}
_DEFAULT_KEY: Final = {"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}
_PLAIN: Final = re.compile(r"[\w$][\w$.:@/-]*")
_MEMBERS: Final = 5  # of a list, before it is cut
_DEEPEST: Final = 20  # conditions inside conditions; anything deeper is shown as JSON

_EQUAL: Final = {"==": "is", "===": "is", "!=": "is not", "!==": "is not"}
_ORDER: Final = {"<": "<", "<=": "≤", ">": ">", ">=": "≥"}
_MOMENT: Final = {"<": "before", "<=": "until", ">": "after", ">=": "from"}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TEXT: Final = {"starts_with": "starts with", "ends_with": "ends with"}
_SEMVER: Final = {**_ORDER, "=": "is", "!=": "is not", "^": "has the major version of", "~": "is close to"}


class Branch(NamedTuple):
    """One branch of a rule.

    Attributes:
        conditions: The conditions that lead to it, outermost first; None for an ``otherwise``.
        gives: Its result; None for the default variant.
        is_end: False if it contains further branches, so that `gives` has no meaning.
    """

    conditions: tuple[JsonValue, ...]
    gives: JsonValue = None
    is_end: bool = True


class SplitWords(NamedTuple):
    """A ``fractional`` rule.

    Attributes:
        weights: Weight by variant, in bucket order.
        by: The hashed value in words; empty for the targeting key.
    """

    weights: Mapping[str, int]
    by: str

    def share(self, variant: str) -> str:
        """The variant's share, such as ``12.5 %``."""
        return f"{100 * self.weights.get(variant, 0) / sum(self.weights.values()):.4g} %"


def rule_in_words(rule: JsonValue, default_variant: str | None) -> tuple[str, ...]:
    """A flag's targeting rule in words, one line per branch; inner branches are indented by two spaces.

    For example, ``if tier is "pro": on`` or ``otherwise: on 10 %, off 90 %``. Parts that have no words are
    written as JSON. The text comes from a flag file, so terminals and pages must escape it.

    Args:
        rule: ``Flag.targeting``; None for a flag without a rule.
        default_variant: The variant to serve if the rule selects none; None for the caller's default.
    """
    return tuple(branch_in_words(branch, default_variant) for branch in branches(rule))


def branch_in_words(branch: Branch, default_variant: str | None) -> str:
    """One branch in words, indented by its depth."""
    gives = gives_in_words(branch.gives, default_variant) if branch.is_end else ""
    if not branch.conditions:
        return gives
    indent = "  " * (len(branch.conditions) - 1)
    return f"{indent}{when_in_words(branch.conditions[-1])}: {gives}".rstrip()


def when_in_words(condition: JsonValue) -> str:
    """A condition as the beginning of a sentence: ``if …``, ``before …``, or ``otherwise`` for None."""
    if condition is None:
        return "otherwise"
    moment = _moment(*_operation(condition))
    return moment or f"if {condition_in_words(condition)}"


def where_in_words(conditions: Sequence[JsonValue]) -> str:
    """All conditions of a branch; empty if there are none."""
    return ", ".join(map(when_in_words, conditions))


def gives_in_words(rule: JsonValue, default_variant: str | None) -> str:
    """A branch's result: a variant, or shares such as ``on 10 %, off 90 %``."""
    if rule is None:
        return "the caller's default" if default_variant is None else f"{_name(default_variant)} by default"
    split = split_of(rule)
    if split is None:
        return _name(rule) if isinstance(rule, str) else _json(rule)
    shares = ", ".join(f"{_name(variant)} {split.share(variant)}" for variant in split.weights)
    return f"{shares} by {split.by}" if split.by else shares


def split_of(rule: JsonValue) -> SplitWords | None:
    """Parse a ``fractional`` rule of named variants with whole weights; None for anything else."""
    name, buckets = _operation(rule)
    if name != "fractional" or not buckets:
        return None
    by = ""
    if not isinstance(buckets[0], list):
        by = "" if buckets[0] == _DEFAULT_KEY else _operand(buckets[0], 1)
        buckets = buckets[1:]
    weights: dict[str, int] = {}
    for bucket in buckets:
        if not isinstance(bucket, list) or len(bucket) not in (1, 2) or not isinstance(bucket[0], str):
            return None
        weight = bucket[1] if len(bucket) == 2 else 1
        if type(weight) is not int or weight < 0 or bucket[0] in weights:
            return None
        weights[bucket[0]] = weight
    return SplitWords(weights, by) if any(weights.values()) else None


def branches(rule: JsonValue, around: tuple[JsonValue, ...] = ()) -> Iterator[Branch]:
    """A rule's branches in order; an ``if`` in the ``else`` position continues the outer branches."""
    choices = _choices(rule, around)
    if choices is None:
        yield Branch(around, rule)
        return
    while choices is not None:
        for condition, gives in zip(choices[:-1:2], choices[1::2], strict=False):
            inside = (*around, condition)
            if _choices(gives, inside) is None:
                yield Branch(inside, gives)
            else:
                yield Branch(inside, is_end=False)
                yield from branches(gives, inside)
        rule = choices[-1] if len(choices) % 2 else None
        choices = _choices(rule, around)
    yield Branch((*around, None), rule)


def _choices(rule: JsonValue, around: Sequence[JsonValue]) -> Sequence[JsonValue] | None:
    name, arguments = _operation(rule)
    return arguments if name in ("if", "?:") and len(arguments) > 1 and len(around) < _DEEPEST else None


def condition_in_words(rule: JsonValue, depth: int = 0) -> str:  # noqa: PLR0911 - one for each form
    """A condition in words, such as ``tier is "pro" and email ends with "@example.org"``."""
    name, arguments = _operation(rule)
    if depth > _DEEPEST:
        return _json(rule)
    match name, arguments:
        case ("and" | "or", [_, _, *_]):
            parts = [condition_in_words(each, depth + 1) for each in arguments]
            nested = [_operation(each)[0] in ("and", "or") for each in arguments]
            return f" {name} ".join(
                f"({part})" if is_nested else part for part, is_nested in zip(parts, nested, strict=True)
            )
        case ("!", [inner]):
            return f"not ({condition_in_words(inner, depth + 1)})"
        case ("!!", [inner]):
            return f"{_operand(inner, depth)} is set"
        case ("in", [member, members]) if _is_listing(members):
            return f"{_operand(member, depth)} is one of {listed(members)}"
        case ("in", [part, text]):
            return f"{_operand(text, depth)} contains {_operand(part, depth)}"
        case ("sem_ver", [left, str() as how, right]) if how in _SEMVER:
            return f"{_operand(left, depth)} {_SEMVER[how]} {_operand(right, depth)} (semantic version)"
        case (_, [left, right]) if name in _EQUAL or name in _TEXT:
            verb = _EQUAL.get(name) or _TEXT[name]
            return f"{_operand(left, depth)} {verb} {_operand(right, depth)}"
        case _ if name in _ORDER:
            moment = _moment(name, arguments)
            return moment or f" {_ORDER[name]} ".join(_operand(each, depth) for each in arguments)
    return _operand(rule, depth)


def _moment(name: str, arguments: Sequence[JsonValue]) -> str:
    """A comparison of the evaluation time with fixed times, such as ``before 2026-11-01 00:00 UTC``."""
    if name not in _MOMENT:
        return ""
    match list(arguments):
        case [time, int() as at] if time == _TIME:
            return f"{_MOMENT[name]} {_date(at)}"
        case [int() as at, time] if time == _TIME:
            return f"{_MOMENT[_TURNED[name]]} {_date(at)}"
        case [int() as first, time, int() as last] if time == _TIME and name in ("<", "<="):
            return f"{_MOMENT[_TURNED[name]]} {_date(first)}, {_MOMENT[name]} {_date(last)}"
    return ""


def _date(at: int) -> str:
    if not 0 <= at <= LAST_SECOND:
        return f"second {at}"
    form = "%Y-%m-%d %H:%M UTC" if at % 60 == 0 else "%Y-%m-%d %H:%M:%S UTC"
    return f"{datetime.fromtimestamp(at, UTC):{form}}"


def _operand(rule: JsonValue, depth: int) -> str:  # noqa: PLR0911 - one for each form
    name, arguments = _operation(rule)
    if depth > _DEEPEST:
        return _json(rule)
    match name, arguments:
        case ("var", [str() as attribute]) if attribute:
            return "the time" if rule == _TIME else _name(attribute)
        case ("var", [str() as attribute, otherwise]) if attribute:
            return f"{_name(attribute)} (else {_operand(otherwise, depth + 1)})"
        case ("cat", [_, *_]):
            return " + ".join(_operand(each, depth + 1) for each in arguments)
        case ("%" | "*" | "/" | "-", [left, right]):
            return f"({_operand(left, depth + 1)} {name} {_operand(right, depth + 1)})"
    if name in _EQUAL or name in _ORDER or name in _TEXT or name in ("and", "or", "!", "!!", "in", "sem_ver"):
        words = condition_in_words(rule, depth + 1)
        return words if words == _json(rule) else f"({words})"
    return _json(rule)


def members_of(condition: JsonValue) -> tuple[JsonValue, Sequence[JsonValue]] | None:
    """The two sides of an ``in`` with a list; None for any other condition."""
    match _operation(condition):
        case ("in", [member, list() as members]):
            return member, members
    return None


def _is_listing(value: JsonValue) -> TypeGuard[Collection[JsonValue]]:
    """Whether a value is a list, in memory or not."""
    return isinstance(value, Collection) and not isinstance(value, str | Mapping)


def listed(members: Collection[JsonValue]) -> str:
    """The first members of a list and the number of the rest."""
    shown = ", ".join(map(_json, islice(members, _MEMBERS)))
    more = len(members) - _MEMBERS
    return f"{shown} and {more:,} more" if more > 0 else shown or "nothing"


def _operation(rule: JsonValue) -> tuple[str, Sequence[JsonValue]]:
    """The operator and its arguments; an empty name for a plain value."""
    if not isinstance(rule, Mapping) or len(rule) != 1:
        return "", ()
    ((name, arguments),) = rule.items()
    return name, arguments if isinstance(arguments, list) else [arguments]


def _name(text: str) -> str:
    """A variant or an attribute, quoted if it could be mistaken for words."""
    return text if _PLAIN.fullmatch(text) else _json(text)


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, default=list)  # a list may not be in memory
