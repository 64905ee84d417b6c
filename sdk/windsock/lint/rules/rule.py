"""What a lint rule is: its code, how bad a hit is, and what it means."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is.

    An error is served wrongly, or refused by an engine; a warning means different things to different
    engines, or is almost certainly a mistake; a note is worth a look and fails nothing.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class LintRule:
    """One lint rule.

    Attributes:
        code: Its stable name.
        level: How bad a hit is.
        title: What it finds, in a few words.
        explanation: Why that matters and what to do instead.
        opt_in: Whether a project must ask for it.
        fixable: Whether ``--fix`` can correct it.
    """

    code: str
    level: Level
    title: str
    explanation: str
    opt_in: bool = False
    fixable: bool = False
