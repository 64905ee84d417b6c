"""flagd rules compiled once to closures, with the same results as flagd. No I/O, no threads."""

from typing import TYPE_CHECKING

from windsock.lazy import lazy_face

if TYPE_CHECKING:
    from windsock.evaluator.compiled import CompiledFlag
    from windsock.evaluator.flag_evaluator import FlagEvaluator
    from windsock.evaluator.outcome import Outcome

__all__ = ["CompiledFlag", "FlagEvaluator", "Outcome"]

__getattr__ = lazy_face(
    __name__, {"CompiledFlag": "compiled", "FlagEvaluator": "flag_evaluator", "Outcome": "outcome"}
)
