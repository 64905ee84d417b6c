"""Identify values in use by their place and fingerprint."""

import json
from collections.abc import Mapping
from hashlib import sha256

ValueKey = tuple[str, str, str]
"""The place of a value: (flag key, variant, top-level field). A sharded flag has a single key."""

Withdrawn = Mapping[ValueKey, str]
"""Fingerprints of withdrawn values, by place. A different value at the same place is served."""


def fingerprint(value: object) -> str:
    """Fingerprint a value: the first 16 hex digits of the SHA-256 of its JSON with sorted keys.

    ``1`` and ``1.0`` count as the same value, because flagd's RPC turns integers inside objects into floats.
    """
    text = json.dumps(_numbers_alike(value), sort_keys=True, default=repr)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _numbers_alike(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _numbers_alike(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers_alike(each) for each in value]
    return value
