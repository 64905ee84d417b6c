"""A user's values explained, field by field and rule by rule."""

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
    """A user's values for one class.

    Attributes:
        explanation: The explanation, field by field.
        rules: By flag, each condition with the values it saw.
        log: The log entries for that point in time.
    """

    explanation: Explanation
    rules: tuple[tuple[str, tuple[RuleStep, ...]], ...]
    log: tuple[str, ...] = ()


def class_shown(explained: ExplanationWithRules) -> ClassOf:
    """An explanation of the past, for the template."""
    return ClassOf(
        explained.explanation, tuple(_short(key, steps) for key, steps in explained.rules), explained.log
    )


def now(explanation: Explanation, flags: Mapping[str, Flag], context: Mapping[str, object]) -> ClassOf:
    """What applies now. A mirror's flag lists its users, so its result is shown without walking the list."""
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
    """The first and last UUID with this prefix; None if no UUID can have it."""
    digits = beginning.lower().replace("-", "")
    if not digits or len(digits) > 32 or not _HEX.issuperset(digits):
        return None
    return str(UUID(digits.ljust(32, "0"))), str(UUID(digits.ljust(32, "f")))


def last_profiles(rows: Sequence[tuple[datetime, str | None, str | None]]) -> list[tuple[datetime, str]]:
    """Which profile a user had when; deleted profiles appear by id."""
    return [(when, name or config_id or "none") for when, config_id, name in rows]
