"""The other evaluators, as the evaluator's tests have them."""

from tests.evaluator.conftest import flagd, npm

__all__ = ["flagd", "npm"]
