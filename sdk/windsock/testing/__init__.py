"""Tools for a service's tests: force values for a block, a test or a user, and choose what to test under."""

from windsock.testing.moments import at
from windsock.testing.overriding import override
from windsock.testing.variants import each_variant, pairwise, profile

__all__ = ["at", "each_variant", "override", "pairwise", "profile"]
