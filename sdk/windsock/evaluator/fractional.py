"""Compile ``fractional``: literal buckets are laid out once, computed ones per evaluation."""

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from windsock.evaluator.bucketing import (
    HashKey,
    HashValue,
    Split,
    hash_key_v2,
    hash_key_v3,
    hash_value_v2,
    hash_value_v3,
    parse_split,
)
from windsock.evaluator.values import Expression, Value
from windsock.flags import Bucketing

T = TypeVar("T")


class Hashing(NamedTuple):
    """How one flag's users are hashed.

    Attributes:
        key: Hashes a targeting key.
        value: Hashes a bucketing value; returns None if it can't be bucketed.
        falls_back: Whether the targeting key decides if the bucketing value can't be bucketed.
    """

    key: HashKey
    value: HashValue
    falls_back: bool


def hashing_for(bucketing: Bucketing, flag_key: str) -> Hashing:
    """The hashing that a bucketing version uses for one flag."""
    if bucketing == "v3":
        return Hashing(hash_key_v3(flag_key), hash_value_v3, falls_back=False)
    return Hashing(hash_key_v2(flag_key), hash_value_v2, falls_back=True)


def hash_targeting_key(data: Value, hashing: Hashing) -> int | None:
    """The hash of the targeting key in the data, or None without a usable one."""
    key = data.get("targetingKey") if type(data) is dict or isinstance(data, Mapping) else None
    return hashing.key(key) if isinstance(key, str) and key else None


def split_arguments(arguments: Value, data: Value, hashing: Hashing) -> Value:
    """Evaluate ``fractional`` from evaluated arguments; None means the default variant."""
    if type(arguments) is not list or not arguments or not isinstance(data, Mapping):
        return None
    first, buckets = arguments[0], arguments
    hashed: int | None = None
    if type(first) is not list:
        hashed = hashing.value(first)
        if hashed is None and not hashing.falls_back:
            return None
        if hashed is not None or first is None:
            buckets = arguments[1:]
    split = parse_split(buckets)
    if split is None:
        return None
    if hashed is None:
        hashed = hash_targeting_key(data, hashing)
    return None if hashed is None else split.at(hashed)


class LiteralSplit(NamedTuple, Generic[T]):
    """A split whose buckets are literal.

    Attributes:
        split: The buckets and their results.
        key: Computes the bucketing value; None to hash the targeting key.
        nothing: The result if there's nothing to hash.
        general: Evaluates the whole operator with arguments unknown in advance, for a bucketing value that is
            a list.
    """

    split: Split[T]
    key: Expression | None
    nothing: T
    general: Callable[[Value], T]


def compile_split(literal: LiteralSplit[T], hashing: Hashing) -> Callable[[Value], T]:
    """Compile a literal split."""
    if literal.key is not None:
        return _split_by_value(literal, literal.key, hashing)
    if len(literal.split.choices) == 2:
        return _split_in_two(literal, hashing)
    hash_key, at, nothing = hashing.key, literal.split.at, literal.nothing

    def run(data: Value) -> T:
        key = data.get("targetingKey") if type(data) is dict or isinstance(data, Mapping) else None
        return at(hash_key(key)) if isinstance(key, str) and key else nothing

    return run


def _split_in_two(literal: LiteralSplit[T], hashing: Hashing) -> Callable[[Value], T]:
    """Compile the common case: a hash and one comparison."""
    limit = literal.split.limits[0]
    first, second = literal.split.choices
    hash_key, nothing = hashing.key, literal.nothing

    def run(data: Value) -> T:
        key = data.get("targetingKey") if type(data) is dict or isinstance(data, Mapping) else None
        if not isinstance(key, str) or not key:
            return nothing
        return first if hash_key(key) < limit else second

    return run


def _split_by_value(literal: LiteralSplit[T], key: Expression, hashing: Hashing) -> Callable[[Value], T]:
    hash_value, at, nothing = hashing.value, literal.split.at, literal.nothing

    def run(data: Value) -> T:
        value = key(data)
        if type(value) is list:
            return literal.general(data)
        hashed = hash_value(value)
        if hashed is None:
            hashed = hash_targeting_key(data, hashing) if value is None and hashing.falls_back else None
            if hashed is None:
                return nothing
        return at(hashed)

    return run
