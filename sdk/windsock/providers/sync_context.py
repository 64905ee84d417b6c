"""Flags evaluated with attributes that the server lays below every evaluation context."""

from collections.abc import Mapping

from openfeature.evaluation_context import EvaluationContextAttribute

from windsock.evaluator import CompiledFlag, Outcome
from windsock.providers.shards import ShardedFlag


class FlagInContext:
    """A flag evaluated with the server's attributes; the caller's attributes take precedence.

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
        """Evaluate; raises what the flag's own rule raises."""
        return self._inner.rule({**self._below, **context})
