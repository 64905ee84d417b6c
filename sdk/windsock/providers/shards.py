"""Profile flags that the mirror split across several files, presented as the single flag they represent.

The mirror publishes ``<name>.profile.shards`` = S and the flags ``<name>.profile.0`` to ``<S-1>``. A user's
shard is the first eight hex digits of sha256(targeting key) modulo S: one line of code in any language.
Callers of windsock's own providers request ``<name>.profile``.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from windsock.evaluator import CompiledFlag, Outcome
from windsock.evaluator.compiled import Evaluate
from windsock.flag_names import COUNT, shard_of


class ShardedFlag:
    """One flag in S shards; evaluating it evaluates the user's shard.

    Args:
        key: The key that callers use: ``teacher.profile``.
        shards: The compiled shard flags, by number.

    Attributes:
        key: As given.
        flag: The first shard's flag.
        rule: Evaluates the user's shard; raises as its rule does.
    """

    __slots__ = ("_count", "_shards", "flag", "key", "rule")
    constant = None
    decided_by = None

    def __init__(self, key: str, shards: list[CompiledFlag]) -> None:
        self.key = key
        self.flag = shards[0].flag
        self._shards = shards
        self._count = len(shards)
        self.rule: Final = _rule([shard.rule for shard in shards])

    def shard(self, targeting_key: object) -> CompiledFlag:
        """The shard of a user; the first without a targeting key."""
        return self._shards[shard_of(targeting_key if type(targeting_key) is str else None, self._count)]

    def evaluate(self, context: Mapping[str, object]) -> Outcome:
        """Evaluate the user's shard; never raises."""
        return self.shard(context.get("targetingKey")).evaluate(context)


def _rule(rules: Sequence[Evaluate]) -> Evaluate:
    """One rule for all shards: a function rather than a method, as it is called for each user."""
    count = len(rules)

    def run(context: Mapping[str, object]) -> Outcome:
        key = context.get("targetingKey")
        return rules[shard_of(key if type(key) is str else None, count)](context)

    return run


def sharded(compiled: Mapping[str, CompiledFlag]) -> dict[str, ShardedFlag]:
    """Find the sharded flags in a set, by the key that callers use.

    A flag with missing shards is left out, so that all its users get the layers below rather than only some
    getting a profile; the mirror writes every shard before it publishes the count.
    """
    found = {}
    for name, flag in compiled.items():
        count = flag.evaluate({}).value if name.endswith(COUNT) else None
        if type(count) is not int or count < 2:  # one shard is the flag itself
            continue
        key = name.removesuffix(COUNT)
        shards = [compiled[each] for number in range(count) if (each := f"{key}.{number}") in compiled]
        if len(shards) == count:
            found[key] = ShardedFlag(key, shards)
    return found
