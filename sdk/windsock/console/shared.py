"""Data that pages share: how many users each profile has, and each flag's Git history."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from windsock.console.cached import CachedValue, Computed
from windsock.console.options import Console
from windsock.console.reading import QUERIES, analysis, git_flags, shown_flag
from windsock.console.usage_counts import UsageCounts, UsageQuestion, counted
from windsock.console.views.flags import running
from windsock.errors import WindsockError
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag
from windsock.gitops.history import HistoryEntry, histories
from windsock.gitops.population import Alike, alike
from windsock.gitops.repository import Repository

if TYPE_CHECKING:
    import psycopg

    Connect = Callable[[], AbstractContextManager[psycopg.Connection[tuple[Any, ...]]]]

COMMITS: Final = 50
"""How many commits to the flag files are read."""

_WAIT: Final = 0.05
"""Seconds that a page waits for a count that is computed for the first time."""


@dataclass(frozen=True, slots=True)
class GitPast:
    """The flags' history in Git.

    Attributes:
        head: The commit at which it was read.
        by_key: The commits that changed each flag, newest first.
        flags: The flags as committed.
        fault: Why the history can't be read.
    """

    head: str = ""
    by_key: Mapping[str, Sequence[HistoryEntry]] = field(default_factory=dict)
    flags: Mapping[str, Flag] = field(default_factory=dict)
    fault: str = ""


class Shared:
    """Values cached between pages.

    Args:
        console: What the console shows.
        connect: Opens a connection in a transaction.
    """

    def __init__(self, console: Console, connect: "Connect") -> None:
        self._console = console
        self._connect = connect
        self._past = GitPast()
        self.users: CachedValue[Mapping[str, int]] = CachedValue(
            "how many users each profile has", self._count
        )
        self.exposed: CachedValue[Sequence[Alike]] = CachedValue(
            "how many users the usage log has", self._exposed
        )
        self._usage: dict[UsageQuestion, CachedValue[UsageCounts]] = {}
        self.past: CachedValue[GitPast] = CachedValue("the flags' history in Git", self._read)
        self.decisions: CachedValue[Mapping[str, str]] = CachedValue("what experiments decide", self._decide)

    def begin(self) -> None:
        """Compute the values before the first request."""
        self.users.begin()
        self.past.begin()

    def close(self) -> None:
        """Wait for work in progress."""
        self.users.close()
        self.past.close()
        self.decisions.close()
        self.exposed.close()
        for each in list(self._usage.values()):  # a page may add one meanwhile
            each.close()

    def usage(self, question: UsageQuestion) -> Computed[UsageCounts] | None:
        """What the usage log adds up to; None while it is counted for the first time."""
        cached = self._usage.setdefault(question, CachedValue("usage", lambda: self._count_usage(question)))
        return cached.soon(_WAIT)

    def _count(self) -> Mapping[str, int]:
        with self._connect() as connection:
            return dict(connection.execute(QUERIES["users_by_profile"]).fetchall())

    def _count_usage(self, question: UsageQuestion) -> UsageCounts:
        with self._connect() as connection:
            return counted(connection, question)

    def _exposed(self) -> Sequence[Alike]:
        return alike(self._console.database_url)

    def _decide(self) -> Mapping[str, str]:
        """The decision of each running experiment's report; experiments without a report are left out."""
        found = {}
        for name in sorted(running(git_flags(self._console).flags.values())):
            try:
                found[name] = str(analysis(self._console, name, looks=0).decision.state)
            except WindsockError:
                continue
        return found

    def _shown(self, flag: Flag) -> Flag:
        return shown_flag(self._console, flag)

    def _read(self) -> GitPast:
        """Read Git if there are new commits."""
        try:
            repository = Repository()
            head = repository.resolve("HEAD")
            if head != self._past.head:
                paths = [self._console.flags]
                committed = flag_set(repository.files_at(head, paths)).flags
                self._past = GitPast(head, histories(repository, paths, COMMITS, self._shown), committed)
        except WindsockError as error:
            self._past = GitPast(fault=str(error))
        return self._past
