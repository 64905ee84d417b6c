"""``fractional``: which bucket a user falls into, v2 as in the flagd server, v3 as in flagd-core 2.0.

Both hash with murmur3 (32 bit) and divide the hash space by weight with integer arithmetic. They differ in
their input: v2 hashes the bytes of the flag key and the targeting key, or of the bucketing text; v3 hashes
the canonical CBOR (RFC 8949) of the pair, or of a bucketing value of any type. See docs/bucketing.md.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

import mmh3

from windsock.evaluator.values import Value, as_float, is_number
from windsock.evaluator.work_limit import counted_apart, spend

T = TypeVar("T")

MAX_WEIGHT: Final = 2**31 - 1
"""Maximum for a single weight and for the sum of weights."""

_hash: Final = mmh3.hash

HashValue: TypeAlias = Callable[[Value], int | None]
"""Hashes an explicit bucketing value; None if that value can't be bucketed."""

HashKey: TypeAlias = Callable[[str], int]
"""Hashes a targeting key, for rules without a bucketing value."""


class Split(NamedTuple, Generic[T]):
    """Buckets laid end to end.

    Attributes:
        limits: Ends of the buckets in the hash space (0 to 2**32), each exclusive, ascending.
        choices: Each bucket's result.
    """

    limits: tuple[int, ...]
    choices: tuple[T, ...]

    def at(self, hashed: int) -> T:
        """The result of the bucket that contains a hash."""
        return self.choices[bisect_right(self.limits, hashed)]


def parse_split(buckets: Sequence[Value]) -> Split[Value] | None:
    """Lay out buckets as flagd reads them; None if one is malformed or all weights are zero.

    A bucket is a list of variant and weight. The weight must be a whole number; it counts as 1 if omitted or
    null, and as 0 if negative. In integers, ``floor(hash * total / 2**32) < end`` is equivalent to ``hash <
    ceil(end * 2**32 / total)``.
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
    """Encode as UTF-8 with U+FFFD for lone surrogates, as Go does; mmh3 crashes the process on them."""
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
    """The v2 hash of a bucketing value. Only text hashes; otherwise the targeting key decides."""
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
    """The v3 hash of a bucketing value of any type; null can't be bucketed."""
    if value is None:
        return None
    with counted_apart():  # most rules begin no count
        encoded = _cbor(_whole(value))
    return _hash(encoded, 0, False)  # noqa: FBT003 - positional only


_TEXT_HEADS: Final = tuple(bytes([0x60 + n] if n < 24 else [0x78, n]) for n in range(256))
"""The CBOR head for text of n bytes. Encoding a UUID this way takes 100 ns; the library takes 8 µs."""


def _cbor(value: Value) -> bytes:
    """Encode as canonical CBOR. The first v3 flag imports the library; v2 never needs it."""
    import cbor2  # noqa: PLC0415 - a tenth of what `import windsock` takes

    encoded: bytes = cbor2.dumps(value, canonical=True)
    return encoded


_ENCODING: Final = 10
"""The cost of encoding a value of a list or an object, in steps."""


def _whole(value: Value) -> Value:
    """Turn whole floats that fit in 64 bits into integers, so that 5 and 5.0 bucket alike."""
    if isinstance(value, dict):
        spend(_ENCODING * len(value))
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        spend(_ENCODING * len(value))
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value <= 2**64 - 1:
        return int(value)
    return value
