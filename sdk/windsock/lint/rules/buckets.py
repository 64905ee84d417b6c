"""``fractional``: its buckets, weights and bucketing key."""

from collections.abc import Iterator, Sequence

from windsock.flags.model import JsonValue
from windsock.lint.rules.site import Hit
from windsock.lint.rules.tree import Operation, Tree


def fractional(tree: Tree) -> Iterator[Hit]:
    """Malformed buckets, and weights that don't bucket any user."""
    for operation in tree.operations:
        if operation.name == "fractional":
            yield from _buckets(operation)
            yield from _key(operation)


def _buckets(operation: Operation) -> Iterator[Hit]:
    listed = operation.listed
    for index, bucket in enumerate(listed):
        if isinstance(bucket, list) and bucket and isinstance(bucket[0], list):
            message = "these buckets are in one list too many, so no user is bucketed; write them one by one"
            yield Hit("nested-buckets", (*operation.tokens, index), message)
            return
    weights = _weights([bucket for bucket in listed if isinstance(bucket, list)])
    if not weights:
        return
    total = sum(weights)
    if total == 0:
        yield Hit(
            "no-weight", operation.tokens, "all weights are zero, so no user is bucketed; give one a weight"
        )
    elif total != 100 and len(weights) > 1:
        message = f"the weights add up to {total:g}, not 100; they are shares of their sum"
        yield Hit("weights-not-100", operation.tokens, message)


def _weights(buckets: Sequence[JsonValue]) -> list[float]:
    """The weights; empty if one is computed or isn't a number. Omitted weights count as 1."""
    weights: list[float] = []
    for bucket in buckets:
        weight = bucket[1] if isinstance(bucket, list) and len(bucket) > 1 else 1
        if not isinstance(weight, (int, float)) or isinstance(weight, bool):
            return []
        weights.append(max(0, weight))
    return weights


def _key(operation: Operation) -> Iterator[Hit]:
    key = operation.listed[0] if operation.listed else None
    if isinstance(key, (str, int, float)):
        message = "this literal puts every user into the same bucket; leave it out to bucket by targetingKey"
        yield Hit("constant-bucketing-key", (*operation.tokens, 0), message)
    if not isinstance(key, dict):
        return
    tree = Tree(key)
    names = [name for _, name in tree.attributes]
    salted = any(
        isinstance(part, str) and operation.name == "cat"
        for operation in tree.operations
        for part in operation.listed
    )
    if names and "$flagd.flagKey" not in names and not salted:  # literal text is a seed, shared intentionally
        message = (
            f"users are bucketed by {names[0]!r} alone, alike in every flag that does so; write "
            f'{{"cat": [{{"var": "$flagd.flagKey"}}, {{"var": "{names[0]}"}}]}}'
        )
        yield Hit("bucketing-without-flag-key", (*operation.tokens, 0), message)
