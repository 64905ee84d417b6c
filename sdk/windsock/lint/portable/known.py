"""The list of constructs on which flagd (Go), flagd-core (npm) and flagd-core (Python) disagree."""

from collections.abc import Mapping
from typing import Final

from windsock.lint.portable.construct import Construct
from windsock.lint.portable.in_attributes import IN_ATTRIBUTES
from windsock.lint.portable.in_rules import IN_RULES

__all__ = ["BY_CODE", "CONSTRUCTS", "Construct"]

CONSTRUCTS: Final[tuple[Construct, ...]] = (*IN_RULES, *IN_ATTRIBUTES)
"""All constructs, in documentation order."""

BY_CODE: Final[Mapping[str, Construct]] = {construct.code: construct for construct in CONSTRUCTS}
"""All constructs by code."""
