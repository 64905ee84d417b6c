"""What each operator accepts: the official schema, except where the engines accept more."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from windsock.flags.model import JsonValue
from windsock.flags.references import REF
from windsock.lint.rules.site import Hit
from windsock.lint.rules.tree import Operation, Tree
from windsock.text import did_you_mean

_ANY: Final = 10**9
_COUNTS: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("==", "!=", "===", "!==", ">", ">=", "%", "/", "in"), (2, 2)),
    **dict.fromkeys(("map", "filter", "all", "none", "some", "starts_with", "ends_with"), (2, 2)),
    **dict.fromkeys(("<", "<=", "substr"), (2, 3)),
    **dict.fromkeys(("if", "?:", "and", "or", "+", "-", "max", "min", "merge", "cat"), (1, _ANY)),
    **dict.fromkeys(("reduce", "sem_ver"), (3, 3)),
    "*": (2, _ANY),
    "missing": (0, _ANY),
    "missing_some": (2, 2),
    "fractional": (1, _ANY),
}
"""The minimum and maximum number of arguments in a list."""

_RELATIONS: Final = ("=", "!=", "<", "<=", ">", ">=", "^", "~")
_FLAGD: Final = ("$flagd.flagKey", "$flagd.timestamp")
_NUMBER: Final = "(0|[1-9][0-9]*)"
_VERSION: Final = re.compile(
    rf"[vV]?{_NUMBER}(\.{_NUMBER}(\.{_NUMBER}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?)?)?"
)
"""Versions that every engine accepts; minor, patch and a leading ``v`` are optional."""


def operands(tree: Tree) -> Iterator[Hit]:
    """Operators with too few, too many or unfit arguments."""
    for operation in tree.operations:
        name, listed = operation.name, operation.listed
        if name == REF:
            yield Hit("unknown-reference", operation.tokens, f'"{REF}" names a shared rule, as text')
            continue
        for index, value in enumerate(listed):
            if value == {} and isinstance(value, dict):
                at = (*operation.tokens, index) if isinstance(operation.arguments, list) else operation.tokens
                yield _wrong(at, "{} is neither a rule nor a value; write a literal or an operator")
        counted = _miscounted(operation)
        if counted is not None:
            yield _wrong(operation.tokens, counted)
        else:
            yield from _unfit(operation)


def _wrong(tokens: tuple[str | int, ...], message: str) -> Hit:
    return Hit("operator-arguments", tokens, message)


def _miscounted(operation: Operation) -> str | None:
    least, most = _COUNTS.get(operation.name, (0, _ANY))
    if operation.name not in _COUNTS:
        return None
    if not isinstance(operation.arguments, list):
        return f"{operation.name} takes its arguments in a list; write one around them"
    count = len(operation.listed)
    if least <= count <= most:
        return None
    exactly = str(least) if least == most else f"{least} or {most}"
    wanted = f"at least {least}" if most == _ANY else exactly
    noun = "argument" if wanted.endswith("1") else "arguments"
    return f"{operation.name} takes {wanted} {noun}, not {count}"


def _unfit(operation: Operation) -> Iterator[Hit]:
    if operation.name == "var":
        yield from _var(operation)
    elif operation.name in ("starts_with", "ends_with"):
        for index, value in enumerate(operation.listed):
            if not isinstance(value, (str, dict)):
                yield _wrong((*operation.tokens, index), f"{operation.name} takes text, or a rule for it")
    elif operation.name == "sem_ver":
        yield from _versions(operation)
    elif operation.name == "missing":
        yield from _names(operation, operation.arguments)
    elif operation.name == "missing_some":
        least, names = operation.listed
        if not isinstance(least, (int, float)) or isinstance(least, bool) or not isinstance(names, list):
            yield _wrong(operation.tokens, "missing_some takes a number and a list of attributes")
        else:
            yield from _names(operation, names)
    elif operation.name == "fractional":
        yield from _buckets(operation)


def _var(operation: Operation) -> Iterator[Hit]:
    name = operation.listed[0] if operation.listed else None
    if isinstance(name, str) and name.startswith("$flagd.") and name not in _FLAGD:
        yield Hit("flagd-attribute", operation.tokens, f"{name!r} is always null{did_you_mean(name, _FLAGD)}")


def _versions(operation: Operation) -> Iterator[Hit]:
    left, relation, right = operation.listed
    if not isinstance(relation, str):
        yield _wrong((*operation.tokens, 1), f"sem_ver's operator is one of {' '.join(_RELATIONS)}, as text")
    elif relation not in _RELATIONS:
        message = f"sem_ver has no operator {relation!r}{did_you_mean(relation, _RELATIONS)}"
        yield _wrong((*operation.tokens, 1), message)
    for index, version in ((0, left), (2, right)):
        number = isinstance(version, (int, float)) and not isinstance(version, bool)
        if isinstance(version, str) and not _VERSION.fullmatch(version):
            yield _wrong(
                (*operation.tokens, index), f"{version[:40]!r} is not a version; write MAJOR.MINOR.PATCH"
            )
        elif not isinstance(version, (str, dict)) and not number:
            yield _wrong((*operation.tokens, index), "sem_ver takes a version as text, or a rule for it")


def _names(operation: Operation, names: JsonValue) -> Iterator[Hit]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        yield _wrong(operation.tokens, f"{operation.name} takes the names of attributes, as texts in a list")


def _buckets(operation: Operation) -> Iterator[Hit]:
    if not any(isinstance(bucket, list) for bucket in operation.listed):
        yield _wrong(operation.tokens, "fractional has no bucket, so no user is bucketed; add one")
    for index, bucket in enumerate(operation.listed):
        if isinstance(bucket, list):
            if bucket and isinstance(bucket[0], list):
                return  # a list of buckets has its own finding
            if not _is_bucket(bucket):
                message = 'a bucket is a variant and a weight, such as ["on", 10]'
                yield _wrong((*operation.tokens, index), message)
        elif index > 0 or not isinstance(bucket, (str, dict, int, float)) or isinstance(bucket, bool):
            yield _wrong(
                (*operation.tokens, index), "fractional takes a bucketing key first, then only buckets"
            )


def _is_bucket(bucket: list[JsonValue]) -> bool:
    """Whether it's a variant or a boolean, with or without a weight; both may be computed."""
    if not 1 <= len(bucket) <= 2 or not isinstance(bucket[0], (str, bool, dict)):
        return False
    weight = bucket[1] if len(bucket) == 2 else 1
    return isinstance(weight, (int, float, dict)) and not isinstance(weight, bool)
