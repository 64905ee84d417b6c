"""Declare and read settings and features."""

from typing import TYPE_CHECKING

from windsock.lazy import lazy_face
from windsock.settings.marks import Fixed, Tunable
from windsock.settings.settings import Settings

if TYPE_CHECKING:
    from windsock.settings.features import Feature, feature

__all__ = ["Feature", "Fixed", "Settings", "Tunable", "feature"]

__getattr__ = lazy_face(__name__, {"Feature": "features", "feature": "features"})
