"""flagd's rules compiled once to closures, with flagd's own results. No I/O, no threads."""

from windsock.evaluator.compiled import CompiledFlag
from windsock.evaluator.flag_evaluator import FlagEvaluator
from windsock.outcome import Outcome

__all__ = ["CompiledFlag", "FlagEvaluator", "Outcome"]
