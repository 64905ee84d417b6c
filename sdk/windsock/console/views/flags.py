"""A flag in words: its state and rule, with splits as bars."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from windsock.code.stale import is_past, only_variant
from windsock.flags import Flag
from windsock.flags.words import SplitWords, branches, rule_in_words, split_of, where_in_words
from windsock.gitops.changes import ChangeKind
from windsock.gitops.history import HistoryEntry
from windsock.gitops.moments import moments

REASONS: Final[Mapping[str, str]] = {
    "STATIC": "the same for everybody",
    "DEFAULT": "no rule decided",
    "TARGETING_MATCH": "a rule decided",
    "DISABLED": "the flag is off",
    "ERROR": "the rule failed",
}
"""OpenFeature's reasons in words."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A flag's entry in a list.

    Attributes:
        flag: The flag.
        words: What its rule does, in one line.
        state: ``on``, ``off``, ``expired``, ``same for everybody``, ``rolling out`` or ``rolled out``.
    """

    flag: Flag
    words: str
    state: str


@dataclass(frozen=True, slots=True)
class Ages:
    """A flag's history in Git, as far back as commits were read.

    Attributes:
        changed: When it was last changed.
        author: Who made that change.
        added: When it was added.
    """

    changed: datetime
    author: str
    added: datetime | None


@dataclass(frozen=True, slots=True)
class SplitBar:
    """A split as a bar: where it applies, and each variant's percentage."""

    where: str
    parts: tuple[tuple[str, float, float], ...]
    by: str

    @property
    def words(self) -> str:
        """The bar as text, for screen readers."""
        return ", ".join(f"{name} {share:.4g} %" for name, _, share in self.parts)


def summary(flag: Flag) -> Summary:
    """Summarize a flag for a list."""
    lines = rule_in_words(flag.targeting, flag.default_variant)
    words = "; ".join(line.strip() for line in lines[:3]).replace(":; ", ": ")
    words += f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
    return Summary(flag, words, state(flag, datetime.now(UTC)))


def ages(events: Sequence[HistoryEntry]) -> Ages | None:
    """When a flag was added and last changed; None if none of the commits read changed it."""
    if not events:
        return None
    last, first = events[0], events[-1]
    is_added = any(change.kind is ChangeKind.ADDED and not change.pointer for change in first.changes)
    added = datetime.fromisoformat(first.commit.date) if is_added else None
    return Ages(datetime.fromisoformat(last.commit.date), last.commit.author, added)


def state(flag: Flag, now: datetime) -> str:
    """The first thing to know about a flag."""
    expires = flag.metadata.get("expires")
    if isinstance(expires, str) and is_past(expires, now.date()):
        return "expired"
    if not flag.enabled:
        return "off"
    if flag.targeting is not None and only_variant(flag) is not None:
        return "same for everybody"
    if (last := last_step(flag)) is not None:
        return "rolling out" if last > now else "rolled out"
    return "on"


def last_step(flag: Flag) -> datetime | None:
    """When time last changes the result of a flag's rule; None if the rule doesn't depend on time."""
    found = moments((flag, None), -1)
    if found.computed or not found.times:
        return None
    return datetime.fromtimestamp(found.times[-1], UTC)


def bars(flag: Flag) -> tuple[SplitBar, ...]:
    """Each split in a flag's rule."""
    return tuple(_bars(flag))


def _bars(flag: Flag) -> Iterator[SplitBar]:
    for branch in branches(flag.targeting):
        split = split_of(branch.gives) if branch.is_end else None
        if split is not None:
            yield SplitBar(where_in_words(branch.conditions), tuple(_parts(split)), split.by)


def _parts(split: SplitWords) -> Iterator[tuple[str, float, float]]:
    total, start = sum(split.weights.values()), 0.0
    for name, weight in split.weights.items():
        share = 100 * weight / total
        yield name, start, share
        start += share


def running(flags: Iterable[Flag]) -> set[str]:
    """The running experiments, according to the metadata that `windsock experiment start` writes."""
    return {str(flag.metadata["experiment"]) for flag in flags if flag.metadata.get("experiment")}


def matching(flags: Sequence[Flag], search: str) -> list[Flag]:
    """The flags whose key or owner contains some text."""
    text = search.casefold()
    return [
        flag
        for flag in flags
        if text in flag.key.casefold() or text in str(flag.metadata.get("owner", "")).casefold()
    ]
