"""Explain values: layer by layer, condition by condition, and at a time in the past."""

from windsock.provenance.explanation import Explanation, Provenance
from windsock.provenance.fields import explain

__all__ = ["Explanation", "Provenance", "explain"]
