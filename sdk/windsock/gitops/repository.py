"""Flag files in Git: read at a revision, and written as a commit without a working tree."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from windsock.errors import ConfigurationError, PlanError, UnreachableError, WindsockError
from windsock.flag_names import SUFFIXES
from windsock.flagfiles.files import DEFAULT_FOLDER, FlagFile, check_name, read_files

_HOOK_VARIABLES: Final = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Variables Git sets for a hook. With GIT_DIR alone, Git takes the current folder for the top of the tree."""

_OPTIONS: Final = ("--literal-pathspecs", "--no-optional-locks", "-c", "safe.bareRepository=explicit")
"""The last keeps Git (2.38 or later) from obeying a folder of the tree that looks like a bare repository."""

_PLAIN_FILES: Final = ("100644", "100755")
"""The modes of files in a tree; 120000 is a link, 160000 a submodule."""

_NO_DATE: Final = "1970-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that touched flag files: its full hash, author's date (ISO 8601), author and subject.

    A date that Python can't represent in UTC, such as one in the year 10000, is given as 1970-01-01.
    """

    revision: str
    date: str
    author: str
    subject: str


class Repository:
    """A Git repository, through the `git` program.

    Args:
        folder: A folder inside the working tree; paths are relative to it.

    Raises:
        UnreachableError: Git isn't installed, or the folder isn't in a repository.
    """

    def __init__(self, folder: Path = Path()) -> None:
        self._folder = folder
        self._environment = self._without_hook()
        self.prefix = self._text("rev-parse", "--show-prefix").strip()

    def resolve(self, revision: str) -> str:
        """The full hash of a revision.

        Raises:
            ConfigurationError: No such revision here; the message says so if the clone is shallow.
        """
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
        hint = "fetch it, or name another"
        if self.is_shallow():
            hint = "the clone is shallow: git fetch --unshallow, or fetch-depth: 0 in the checkout action"
        elif revision == "HEAD":
            hint = "commit the flag files first"
        raise ConfigurationError(f"{revision}: Git has no such revision here; {hint}")

    def is_shallow(self) -> bool:
        """Whether the clone lacks older commits."""
        return self._text("rev-parse", "--is-shallow-repository").strip() == "true"

    def files_at(self, revision: str, paths: Sequence[Path]) -> tuple[FlagFile, ...]:
        """The flag files that the paths name, as of a revision."""
        commit = self.resolve(revision)
        blobs = {name: blob for path in paths for name, blob in self._blobs(commit, path).items()}
        return tuple(map(FlagFile, blobs, self._contents(list(blobs.values()))))

    def revision_at(self, when: str) -> str | None:
        """The last commit of HEAD's first-parent line at a moment (ISO 8601); None before the first."""
        found = self._text("rev-list", "-1", "--first-parent", f"--before={when}", "HEAD").strip()
        return found or None

    def has_branch(self, name: str) -> bool:
        """Whether a branch of that name exists.

        Raises:
            ConfigurationError: Git refuses a branch of that name.
        """
        reference = f"refs/heads/{name}"
        if (
            name.startswith("-")
            or name in ("HEAD", "@")
            or self._run("check-ref-format", reference).returncode
        ):
            raise ConfigurationError(f"{name!r} cannot be a branch's name; see `git help check-ref-format`")
        return self._run("rev-parse", "--verify", "--quiet", reference).returncode == 0

    def content(self, revision: str, path: str) -> bytes | None:
        """A file's bytes at a revision; None if it doesn't exist there.

        Raises:
            PlanError: It is a link or a submodule.
        """
        blob = self._tree_entries(self.resolve(revision), path).get(path)
        return None if blob is None else self._contents([blob])[0]

    def uncommitted(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """The paths that differ from HEAD in the working tree, or are not tracked."""
        listed = self._text("status", "--porcelain", "-z", "--", *map(str, paths))
        return tuple(entry[3:] for entry in listed.split("\0") if entry)

    def commits(self, paths: Sequence[Path], limit: int) -> tuple[Commit, ...]:
        """The commits that touched the paths, newest first."""
        # neither an author's name nor a subject can hold a NUL; with -z it also ends each commit
        form = "--format=%H%x00%aI%x00%an%x00%s"
        listed = self._text("log", "-z", form, f"--max-count={limit}", "--", *map(str, paths))
        parts = listed.split("\0")
        return tuple(
            Commit(parts[start], _date(parts[start + 1]), *parts[start + 2 : start + 4])
            for start in range(0, len(parts) - 3, 4)
        )

    def parent(self, revision: str) -> str | None:
        """The first parent of a commit; None if it has none, or the shallow clone doesn't include it."""
        done = self._run("rev-parse", "--verify", "--quiet", f"{revision}^")
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def commit(self, branch: str, files: Mapping[str, bytes | None], message: str) -> str:
        """Make a commit on a branch without touching the working tree or the index.

        Args:
            branch: The branch; created from HEAD if it doesn't exist.
            files: Path to content; None removes the file.
            message: The commit's message.

        Returns:
            The commit's hash.

        Raises:
            PlanError: The branch is checked out, or has moved in the meantime.
        """
        reference = f"refs/heads/{branch}"
        if self._run("symbolic-ref", "--quiet", "HEAD").stdout.decode().strip() == reference:
            raise PlanError(
                f"branch {branch} is checked out here; apply to the folder, or name another branch"
            )
        found = self._run("rev-parse", "--verify", "--quiet", reference)
        old = found.stdout.decode().strip() if found.returncode == 0 else ""
        parent = old or self.resolve("HEAD")
        index = Path(self._text("rev-parse", "--absolute-git-dir").strip()) / f"windsock-{os.getpid()}.index"
        try:
            tree = self._tree(parent, files, index)
            commit = self._text("commit-tree", tree, "-p", parent, "-m", message).strip()
        finally:
            index.unlink(missing_ok=True)
        if self._run("update-ref", reference, commit, old or "0" * len(commit)).returncode:
            raise PlanError(f"branch {branch} has moved in the meantime; nothing was changed: plan again")
        return commit

    def _tree(self, parent: str, files: Mapping[str, bytes | None], index: Path) -> str:
        variables = {"GIT_INDEX_FILE": str(index)}
        self._text("read-tree", parent, variables=variables)
        for name, data in files.items():
            path = str(PurePosixPath(self.prefix) / name)
            if data is None:
                self._text("update-index", "--force-remove", "--", path, variables=variables)
                continue
            blob = self._text("hash-object", "-w", "--stdin", data=data).strip()
            self._text("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", variables=variables)
        return self._text("write-tree", variables=variables).strip()

    def _blobs(self, commit: str, path: Path) -> dict[str, str]:
        """The flag files that a path names at a commit, in order, each with the hash of its content."""
        name = path.as_posix().rstrip("/")
        above = () if path.is_absolute() or ".." in path.parts else map(str, path.parents[:-1])
        found = self._tree_entries(commit, name, f"{name}/", *above)
        return {each: found[each] for each in sorted(found) if each.endswith(SUFFIXES)}

    def _tree_entries(self, commit: str, *names: str) -> dict[str, str]:
        """The named files of a tree, each with its hash; folders are left out."""
        found: dict[str, str] = {}
        # bytes that aren't UTF-8 become halves of surrogate pairs, which `check_name` refuses: with one
        # replacement for all of them, two files would have the same name
        listed = self._checked("ls-tree", "-z", commit, "--", *names).decode(errors="surrogateescape")
        for entry in listed.split("\0"):
            head, _, name = entry.partition("\t")
            mode, _, rest = head.partition(" ")
            # a link or a submodule in the place of a folder that was asked for, or of one above it
            replaced = mode not in {"", "040000", *_PLAIN_FILES} and any(
                f"{each}/".startswith(f"{name}/") for each in names
            )
            if not replaced and (not entry or mode == "040000" or not name.endswith(SUFFIXES)):
                continue
            check_name(name)
            if mode not in _PLAIN_FILES:
                raise PlanError(f"{name}: Git has a link or a submodule here; flag files are plain files")
            found[name] = rest.partition(" ")[2]
        return found

    def _contents(self, blobs: Sequence[str]) -> list[bytes]:
        """The contents of blobs by their hashes, which unlike names cannot hold a line break."""
        answer = self._checked("cat-file", "--batch", data="".join(f"{blob}\n" for blob in blobs).encode())
        contents: list[bytes] = []
        at = 0
        for blob in blobs:
            line = answer[at : answer.index(b"\n", at)]
            at += len(line) + 1
            size = line.rpartition(b" ")[2]
            if not size.isdigit():  # the clone is partial or damaged
                raise UnreachableError(f"git cat-file: {blob} is missing in this clone; run git fetch")
            contents.append(answer[at : at + int(size)])
            at += int(size) + 1
        return contents

    def _without_hook(self) -> Mapping[str, str]:
        """The environment without Git's hook variables, if Git finds the folder's repository without them."""
        ours = dict(os.environ)
        if "GIT_DIR" in ours and "GIT_WORK_TREE" not in ours:
            without = {name: value for name, value in ours.items() if name not in _HOOK_VARIABLES}
            if _git(self._folder, ["rev-parse", "--git-dir"], without).returncode == 0:
                return without
        return ours

    def _text(self, *arguments: str, data: bytes = b"", variables: Mapping[str, str] | None = None) -> str:
        return self._checked(*arguments, data=data, variables=variables).decode(errors="replace")

    def _checked(
        self, *arguments: str, data: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes:
        done = self._run(*arguments, data=data, variables=variables)
        if done.returncode:
            message = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
            if message.startswith("not a git repository"):
                message += "; run this in the project's folder, or `git init` and commit the flags first"
            raise UnreachableError(f"git {arguments[0]}: {message}")
        return done.stdout

    def _run(
        self, *arguments: str, data: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return _git(self._folder, arguments, {**self._environment, **(variables or {})}, data)


def _git(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str], data: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *_OPTIONS, *arguments],
            cwd=folder,
            input=data,
            capture_output=True,
            check=False,
            env=environment,
        )
    except OSError as error:
        raise UnreachableError(f"git cannot be run: {error.strerror}; install Git") from error


@dataclass(frozen=True, slots=True)
class Revisions:
    """The flag files before and after a change.

    Attributes:
        base: The revision that is served, resolved.
        before: Its files.
        after: The files after the change.
        uncommitted: Uncommitted files of the working tree, if the working tree is the new state.
    """

    base: str
    before: Sequence[FlagFile]
    after: Sequence[FlagFile]
    uncommitted: Sequence[str]


def read_revisions(paths: Sequence[Path], against: str, head: str | None) -> Revisions:
    """Read a change: from one revision to another, or to the working tree.

    Args:
        paths: Flag files or folders.
        against: The revision that is served.
        head: The new revision; None for the working tree.

    Raises:
        UnreachableError: Git or a file cannot be read.
    """
    repository = Repository()
    before = repository.files_at(against, paths)
    after = repository.files_at(head, paths) if head is not None else read_files(paths)
    uncommitted = repository.uncommitted(paths) if head is None else ()
    return Revisions(repository.resolve(against), before, after, uncommitted)


def read_sides(paths: Sequence[Path], against: str | None) -> tuple[Sequence[FlagFile], Sequence[FlagFile]]:
    """Read two states to compare: two paths, or paths at a revision and in the working tree.

    Raises:
        UnreachableError: A path exists neither here nor at the revision.
    """
    if len(paths) == 2 and against is None:
        for path in paths:
            if not path.exists() and (hint := _revision_hint(path)):
                raise UnreachableError(f"{path}: there is no such file{hint}")
        return read_files(paths[:1]), read_files(paths[1:])
    named = paths or (DEFAULT_FOLDER,)
    before = Repository().files_at(against or "HEAD", named)
    here = [path for path in named if path.exists()]
    for path in named:
        if path not in here and not any(Path(file.path).is_relative_to(path) for file in before):
            raise UnreachableError(f"{path}: neither here nor in {against or 'HEAD'}{_revision_hint(path)}")
    return before, read_files(here) if here or not before else ()


def _revision_hint(path: Path) -> str:
    """What to write instead of a Git revision in the place of a path; empty for anything else."""
    try:
        Repository().resolve(str(path))
    except WindsockError:
        return ""
    return f", but a Git revision; to compare with it, write --against {path}"


def _date(text: str) -> str:
    """A commit's date as Git prints it, which may be anything that its author wrote."""
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return _NO_DATE
    return text
