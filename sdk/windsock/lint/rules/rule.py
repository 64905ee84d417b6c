"""The model of a lint rule: its code, severity and meaning."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding.

    Errors are served incorrectly or rejected by an engine. Warnings mean different things to different
    engines, or are almost certainly mistakes. Notes are worth a look and never fail a check.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class LintRule:
    """One lint rule.

    Attributes:
        code: Its stable name.
        level: The severity of a hit.
        title: A short description of what it finds.
        explanation: Why it matters and what to do instead.
        opt_in: Whether a project must enable it.
        fixable: Whether ``--fix`` can correct it.
    """

    code: str
    level: Level
    title: str
    explanation: str
    opt_in: bool = False
    fixable: bool = False
