"""Declaring settings and features, and reading them."""

from windsock.settings.features import Feature, feature
from windsock.settings.marks import Fixed, Tunable
from windsock.settings.settings import Settings

__all__ = ["Feature", "Fixed", "Settings", "Tunable", "feature"]
