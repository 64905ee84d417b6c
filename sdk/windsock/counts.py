"""Counts rare events in this process by flag and field, for metrics.

Without a lock: a count lost now and then doesn't matter.
"""

from collections import Counter
from typing import Final

FALLBACKS: Final[Counter[tuple[str, str]]] = Counter()
"""Values that a class refused, so the layer below serves; counted when settings are made."""

HEALS: Final[Counter[tuple[str, str]]] = Counter()
"""Values that failed in use and were replaced by another."""

WITHDRAWALS: Final[Counter[tuple[str, str]]] = Counter()
"""Values withdrawn because they failed in use."""
