"""For a service's own tests: values forced for a block, a test or one user, and what was recorded."""

from windsock.testing.overriding import override
from windsock.testing.variants import each_variant

__all__ = ["each_variant", "override"]
