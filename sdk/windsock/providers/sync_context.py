"""Flags whose server lays attributes below every evaluation context."""

from collections.abc import Mapping

from openfeature.evaluation_context import EvaluationContextAttribute

from windsock.evaluator import CompiledFlag, Outcome
from windsock.providers.shards import ShardedFlag


class FlagInContext:
    """One flag that is evaluated over the server's attributes; the caller's own win.

    Args:
        inner: The flag.
        below: The server's attributes.
    """

    __slots__ = ("_below", "_inner", "constant", "decided_by", "flag", "key")

    def __init__(
        self, inner: CompiledFlag | ShardedFlag, below: Mapping[str, EvaluationContextAttribute]
    ) -> None:
        self.key = inner.key
        self.flag = inner.flag
        self.constant = inner.constant
        self.decided_by = inner.decided_by
        self._inner = inner
        self._below = below

    def evaluate(self, context: Mapping[str, object]) -> Outcome:
        """Evaluate; never raises."""
        return self._inner.evaluate({**self._below, **context})

    def rule(self, context: Mapping[str, object]) -> Outcome:
        """Evaluate; raises as the flag's own rule does."""
        return self._inner.rule({**self._below, **context})
