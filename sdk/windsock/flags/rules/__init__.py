"""The lint rules: one file per subject, each a few pure functions from a flag to hits."""

from windsock.flags.rules.catalogue import BY_CODE, CATALOGUE, Level, Rule

__all__ = ["BY_CODE", "CATALOGUE", "Level", "Rule"]
