"""For a service's own tests: values forced for a block, a test or one user, and what to run a test under."""

from windsock.testing.moments import at
from windsock.testing.overriding import override
from windsock.testing.variants import each_variant, pairwise, profile

__all__ = ["at", "each_variant", "override", "pairwise", "profile"]
