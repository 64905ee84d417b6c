"""The lint rules: one file per subject, each a few pure functions from a flag to hits."""

from windsock.lint.rules.catalogue import BY_CODE, CATALOGUE
from windsock.lint.rules.rule import Level, LintRule

__all__ = ["BY_CODE", "CATALOGUE", "Level", "LintRule"]
