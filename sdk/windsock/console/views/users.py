"""A user's values and why: field by field, rule by rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from windsock.flag_names import is_profile
from windsock.flags import Flag
from windsock.gitops.explaining import ExplanationWithRules, rules_of
from windsock.provenance import Explanation
from windsock.provenance.rule import RuleStep

_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ClassOf:
    """One class's values of a user.

    Attributes:
        explanation: Field by field.
        rules: By flag, each condition with what it saw.
        log: What the log of that moment says.
    """

    explanation: Explanation
    rules: tuple[tuple[str, tuple[RuleStep, ...]], ...]
    log: tuple[str, ...] = ()


def told_of(told: ExplanationWithRules) -> ClassOf:
    """A past moment's explanation, for the template."""
    return ClassOf(told.explanation, tuple(_short(key, steps) for key, steps in told.rules), told.log)


def now(explanation: Explanation, flags: Mapping[str, Flag], context: Mapping[str, object]) -> ClassOf:
    """What serves now. A mirror's flag lists its users: what it found is told without walking the list."""
    own = [key for key in explanation.reasons if key in flags and not is_profile(key)]
    rules = rules_of(flags, own, context, datetime.now(UTC))
    assigned = [
        (key, (RuleStep(0, "the profile that the user is assigned to", explanation.config_id or "none"),))
        for key in explanation.reasons
        if is_profile(key)
    ]
    return ClassOf(explanation, (*rules, *assigned))


def _short(key: str, steps: tuple[RuleStep, ...]) -> tuple[str, tuple[RuleStep, ...]]:
    return key, steps[:200]


def between(beginning: str) -> tuple[str, str] | None:
    """The first and last UUID that begin so; None where none can."""
    digits = beginning.lower().replace("-", "")
    if not digits or len(digits) > 32 or not _HEX.issuperset(digits):
        return None
    return str(UUID(digits.ljust(32, "0"))), str(UUID(digits.ljust(32, "f")))


def is_uuid(user: str) -> bool:
    """Whether an id can be that of a row in `profiles`."""
    try:
        UUID(user)
    except ValueError:
        return False
    return True


def last_profiles(rows: Sequence[tuple[datetime, str | None, str | None]]) -> list[tuple[datetime, str]]:
    """When a user had which profile; one that is gone by its id."""
    return [(when, name or config_id or "none") for when, config_id, name in rows]
