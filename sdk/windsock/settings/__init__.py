"""Declaring settings and reading them."""

from windsock.settings.settings import Settings

__all__ = ["Settings"]
