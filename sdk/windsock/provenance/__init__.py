"""Explain values: layer by layer, condition by condition, and at a time in the past."""

from windsock.provenance.fields import Explanation, Provenance, explain

__all__ = ["Explanation", "Provenance", "explain"]
