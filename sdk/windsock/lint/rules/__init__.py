"""The lint rules: one file per subject, each with a few pure functions that find hits in a flag."""

from windsock.lint.rules.catalogue import BY_CODE, CATALOGUE
from windsock.lint.rules.rule import Level, LintRule

__all__ = ["BY_CODE", "CATALOGUE", "Level", "LintRule"]
