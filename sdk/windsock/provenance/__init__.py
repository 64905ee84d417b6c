"""Why a value is what it is: layer by layer, condition by condition, and at a past moment."""

from windsock.provenance.fields import Explanation, Provenance, explain

__all__ = ["Explanation", "Provenance", "explain"]
