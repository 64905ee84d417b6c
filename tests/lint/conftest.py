"""The npm core, as the evaluator's tests have it."""

from tests.evaluator.conftest import npm

__all__ = ["npm"]
