"""How one flag came to be what it is: the commits that changed it, and what each changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from windsock.errors import FlagFileError
from windsock.flags import Flag, merge, read_document
from windsock.gitops.changes import Change, flag_changes
from windsock.gitops.repository import Commit, Repository

MOST_COMMITS = 10_000
"""Commits that are looked at."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A commit that changed a flag, and what it changed; or one whose files cannot be read, and why."""

    commit: Commit
    changes: tuple[Change, ...]
    fault: str = ""


def history(
    repository: Repository,
    key: str,
    paths: Sequence[Path],
    most: int = MOST_COMMITS,
    shown: Callable[[Flag], Flag] = lambda flag: flag,
) -> Iterator[HistoryEntry]:
    """The commits that changed a flag, newest first; one whose files can't be read is reported.

    Args:
        repository: The repository.
        key: The flag's key.
        paths: Flag files or folders.
        most: How many commits of these paths are looked at.
        shown: The flag as it may be shown.
    """
    commits = repository.commits(paths, most)
    states = [_flag_at(repository, commit.revision, key, paths) for commit in commits]
    for number, (commit, state) in enumerate(zip(commits, states, strict=True)):
        if isinstance(state, str):
            yield HistoryEntry(commit, (), state)
            continue
        before = next((each for each in states[number + 1 :] if not isinstance(each, str)), None)
        ends = [each and shown(each) for each in (before, state)]
        changes = () if before is None and state is None else tuple(flag_changes(key, *ends))
        if changes:
            yield HistoryEntry(commit, changes)


def _flag_at(repository: Repository, revision: str, key: str, paths: Sequence[Path]) -> Flag | str | None:
    """The flag at a commit, None where there was none, or why that cannot be said."""
    try:
        files = repository.files_at(revision, paths)
        return merge([read_document(file.data, file.path) for file in files]).flags.get(key)
    except FlagFileError as error:
        return str(error)
