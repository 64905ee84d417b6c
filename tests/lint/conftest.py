"""The npm core, as the evaluator's tests have it."""

from tests.evaluator.conftest import npm, silent_core

__all__ = ["npm", "silent_core"]
