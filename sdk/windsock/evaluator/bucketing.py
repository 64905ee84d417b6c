"""``fractional``: which bucket a user falls into: v2 as in the flagd server, v3 as in flagd-core 2.0.

Both hash with murmur3 (32 bit) and cut the hash space by the weights with integer arithmetic. They differ
in what is hashed: v2 the bytes of the flag key and the targeting key, or of the bucketing text; v3
canonical CBOR (RFC 8949) of the pair, or of the bucketing value of any type. See docs/bucketing.md.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

import mmh3

from windsock.evaluator.values import Value, as_float, is_number

T = TypeVar("T")

MAX_WEIGHT: Final = 2**31 - 1
"""Largest weight and largest sum of weights."""

_hash: Final = mmh3.hash

HashValue: TypeAlias = Callable[[Value], int | None]
"""The hash of an explicit bucketing value, or None when that value does not bucket."""

HashKey: TypeAlias = Callable[[str], int]
"""The hash of a targeting key, where the rule names no bucketing value."""


class Split(NamedTuple, Generic[T]):
    """Buckets laid end to end.

    Attributes:
        limits: Ends of the buckets in the hash space (0 to 2**32), each exclusive, ascending.
        choices: What each bucket gives.
    """

    limits: tuple[int, ...]
    choices: tuple[T, ...]

    def at(self, hashed: int) -> T:
        """What the bucket of a hash gives."""
        return self.choices[bisect_right(self.limits, hashed)]


def parse_split(buckets: Sequence[Value]) -> Split[Value] | None:
    """Lay out buckets as flagd reads them; None when one is malformed or all weights are zero.

    A bucket is a list of variant and weight; the weight counts as 1 when it is left out or null, as 0 when
    negative, and must be whole. ``floor(hash * total / 2**32) < end`` is ``hash < ceil(end * 2**32 /
    total)`` in whole numbers.
    """
    parsed: list[tuple[Value, int]] = []
    for bucket in buckets:
        if type(bucket) is not list or not bucket or isinstance(bucket[0], (list, dict)):
            return None
        weight = _weight(bucket[1] if len(bucket) > 1 else None)
        if weight is None:
            return None
        parsed.append((bucket[0], weight))
    total = sum(weight for _, weight in parsed)
    if not 0 < total <= MAX_WEIGHT:
        return None
    limits: list[int] = []
    end = 0
    for _, weight in parsed:
        end += weight
        limits.append(-(-(end << 32) // total))
    return Split(tuple(limits), tuple(variant for variant, _ in parsed))


def _weight(value: Value) -> int | None:
    if value is None:
        return 1
    if not is_number(value):
        return None
    weight = as_float(value)  # type: ignore[arg-type]
    return max(0, int(weight)) if weight.is_integer() and -(2**63) <= weight <= MAX_WEIGHT else None


def _encoded(text: str) -> bytes:
    """UTF-8, with U+FFFD for half a surrogate pair, as Go does; mmh3 crashes the process when given one."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def hash_key_v2(flag_key: str) -> HashKey:
    """The v2 hash of a targeting key: murmur3 of the flag key followed by the targeting key."""

    def hashed(targeting_key: str) -> int:
        text = flag_key + targeting_key
        return _hash(text if text.isascii() else _encoded(text), 0, False)  # noqa: FBT003 - positional only

    return hashed


def hash_value_v2(value: Value) -> int | None:
    """The v2 hash of a bucketing value: text only; for anything else the targeting key decides."""
    return _hash(_encoded(value), 0, False) if type(value) is str else None  # noqa: FBT003 - positional only


def hash_key_v3(flag_key: str) -> HashKey:
    """The v3 hash of a targeting key: murmur3 of the CBOR list of flag key and targeting key."""
    prefix = b"\x82" + _cbor(flag_key)

    def hashed(targeting_key: str) -> int:
        text = _encoded(targeting_key)
        size = len(text)
        if size < len(_TEXT_HEADS):
            return _hash(prefix + _TEXT_HEADS[size] + text, 0, False)  # noqa: FBT003 - positional only
        return _hash(prefix + _cbor(text.decode()), 0, False)  # noqa: FBT003 - positional only

    return hashed


def hash_value_v3(value: Value) -> int | None:
    """The v3 hash of a bucketing value of any type; null does not bucket."""
    if value is None:
        return None
    return _hash(_cbor(_whole(value)), 0, False)  # noqa: FBT003 - positional only


_TEXT_HEADS: Final = tuple(bytes([0x60 + n] if n < 24 else [0x78, n]) for n in range(256))
"""The CBOR head of a text of n bytes. It encodes a UUID in 100 ns; the library takes 8 µs."""


def _cbor(value: Value) -> bytes:
    """Canonical CBOR. The first v3 flag imports the library; v2 never needs it."""
    import cbor2  # noqa: PLC0415 - a tenth of what `import windsock` takes

    encoded: bytes = cbor2.dumps(value, canonical=True)
    return encoded


def _whole(value: Value) -> Value:
    """Whole floats that fit in 64 bits become integers, so that 5 and 5.0 are the same bucketing value."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value <= 2**64 - 1:
        return int(value)
    return value
