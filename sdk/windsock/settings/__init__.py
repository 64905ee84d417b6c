"""Declaring settings and features, and reading them."""

from windsock.settings.features import Feature, feature
from windsock.settings.settings import Settings

__all__ = ["Feature", "Settings", "feature"]
