"""The history of one flag: the commits that changed it, and what each changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from windsock.errors import FlagFileError
from windsock.flagfiles.sets import flag_set
from windsock.flags import Flag, FlagSet
from windsock.gitops.changes import Change, changed_keys, flag_changes
from windsock.gitops.repository import Commit, Repository

MOST_COMMITS = 10_000
"""Number of commits examined."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A commit that changed a flag, with the change; or one whose files can't be read, with the reason."""

    commit: Commit
    changes: tuple[Change, ...]
    fault: str = ""


def history(repository: Repository, key: str, paths: Sequence[Path]) -> Iterator[HistoryEntry]:
    """List the commits that changed a flag, newest first; a commit whose files can't be read is reported.

    It looks at the newest `MOST_COMMITS` commits of these paths.

    Args:
        repository: The repository.
        key: The flag's key.
        paths: Flag files or folders.
    """
    commits = repository.commits(paths, MOST_COMMITS)
    states = [_flag_at(repository, commit.revision, key, paths) for commit in commits]
    for number, (commit, state) in enumerate(zip(commits, states, strict=True)):
        if isinstance(state, str):
            yield HistoryEntry(commit, (), state)
            continue
        before = next((each for each in states[number + 1 :] if not isinstance(each, str)), None)
        changes = () if before is None and state is None else tuple(flag_changes(key, before, state))
        if changes:
            yield HistoryEntry(commit, changes)


def histories(
    repository: Repository, paths: Sequence[Path], most: int, shown: Callable[[Flag], Flag]
) -> dict[str, list[HistoryEntry]]:
    """List the commits that changed each flag, newest first; commits whose files can't be read are skipped.

    Args:
        repository: The repository.
        paths: Flag files or folders.
        most: How many commits of these paths are examined.
        shown: Makes a flag safe to show.
    """
    found: dict[str, list[HistoryEntry]] = {}
    commits = repository.commits(paths, most + 1)
    after, later = None, None
    for number, commit in enumerate((*commits, None)):
        if commit is None and number > most:
            break
        try:
            before = FlagSet({}, "") if commit is None else _set_at(repository, commit.revision, paths)
        except FlagFileError:
            continue
        if after is not None and later is not None:
            for key in changed_keys(before, after):
                ends = (flags.get(key) for flags in (before.flags, after.flags))
                if changes := tuple(flag_changes(key, *(each and shown(each) for each in ends))):
                    found.setdefault(key, []).append(HistoryEntry(later, changes))
        after, later = before, commit
    return found


def _set_at(repository: Repository, revision: str, paths: Sequence[Path]) -> FlagSet:
    files = repository.files_at(revision, paths)
    return flag_set(files)


def _flag_at(repository: Repository, revision: str, key: str, paths: Sequence[Path]) -> Flag | str | None:
    """The flag at a commit, None if there was none, or why it can't be determined."""
    try:
        return _set_at(repository, revision, paths).flags.get(key)
    except FlagFileError as error:
        return str(error)
