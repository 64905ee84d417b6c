"""Flag files in Git: as they stood at a revision, and written as a commit without a working tree."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from windsock.errors import ConfigurationError, PlanError, UnreachableError
from windsock.flagfiles.files import SUFFIXES, FlagFile


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that touched flag files: its full hash, author's date (ISO 8601), author and subject."""

    revision: str
    date: str
    author: str
    subject: str


class Repository:
    """A Git repository, through the `git` program.

    Args:
        folder: A folder inside the working tree; paths are relative to it.

    Raises:
        UnreachableError: There is no Git, or the folder is in no repository.
    """

    def __init__(self, folder: Path = Path()) -> None:
        self._folder = folder
        self.prefix = self._text("rev-parse", "--show-prefix").strip()

    def resolve(self, revision: str) -> str:
        """The full hash of a revision.

        Raises:
            ConfigurationError: There is none of that name here; says so where the clone is shallow.
        """
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
        hint = "fetch it, or name another"
        if self.is_shallow():
            hint = "the clone is shallow: git fetch --unshallow, or fetch-depth: 0 in the checkout action"
        raise ConfigurationError(f"{revision}: Git has no such revision here; {hint}")

    def is_shallow(self) -> bool:
        """Whether the clone lacks older commits."""
        return self._text("rev-parse", "--is-shallow-repository").strip() == "true"

    def files_at(self, revision: str, paths: Sequence[Path]) -> tuple[FlagFile, ...]:
        """The flag files that the paths name, as they stood at a revision."""
        commit = self.resolve(revision)
        names = [name for path in paths for name in self._names(commit, path)]
        contents = self._contents(commit, names)
        return tuple(FlagFile(name, contents[name]) for name in names)

    def revision_at(self, when: str) -> str | None:
        """The last commit of HEAD's first-parent line at a moment (ISO 8601); None before the first."""
        found = self._text("rev-list", "-1", "--first-parent", f"--before={when}", "HEAD").strip()
        return found or None

    def has_branch(self, name: str) -> bool:
        """Whether there is a branch of that name."""
        return self._run("rev-parse", "--verify", "--quiet", f"refs/heads/{name}").returncode == 0

    def content(self, revision: str, path: str) -> bytes | None:
        """A file's bytes at a revision; None where it is not there."""
        commit = self.resolve(revision)
        if not self._text("ls-tree", "--name-only", commit, "--", path):
            return None
        return self._contents(commit, [path])[path]

    def uncommitted(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """The paths that differ from HEAD in the working tree, or are not tracked."""
        listed = self._text("status", "--porcelain", "-z", "--", *map(str, paths))
        return tuple(entry[3:] for entry in listed.split("\0") if entry)

    def commits(self, paths: Sequence[Path], limit: int) -> tuple[Commit, ...]:
        """The commits that touched the paths, newest first."""
        # %x00 cannot stand in an author's name or a subject
        form = "--format=%H%x00%aI%x00%an%x00%s"
        listed = self._text("log", form, f"--max-count={limit}", "--", *map(str, paths))
        return tuple(Commit(*line.split("\0", 3)) for line in listed.splitlines())

    def parent(self, revision: str) -> str | None:
        """The first parent of a commit; None where it has none, or the clone does not reach it."""
        done = self._run("rev-parse", "--verify", "--quiet", f"{revision}^")
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def commit(self, branch: str, files: Mapping[str, bytes | None], message: str) -> str:
        """Make a commit on a branch without touching the working tree or the index.

        Args:
            branch: The branch; made from HEAD where it is not there.
            files: Path to content; None removes the file.
            message: The commit's message.

        Returns:
            The commit's hash.

        Raises:
            PlanError: The branch is checked out, or moved meanwhile.
        """
        reference = f"refs/heads/{branch}"
        if self._run("symbolic-ref", "--quiet", "HEAD").stdout.decode().strip() == reference:
            raise PlanError(
                f"branch {branch} is checked out here; apply to the folder, or name another branch"
            )
        there = self._run("rev-parse", "--verify", "--quiet", reference)
        old = there.stdout.decode().strip() if there.returncode == 0 else ""
        parent = old or self.resolve("HEAD")
        index = Path(self._text("rev-parse", "--absolute-git-dir").strip()) / f"windsock-{os.getpid()}.index"
        try:
            tree = self._tree(parent, files, index)
            made = self._text("commit-tree", tree, "-p", parent, "-m", message).strip()
        finally:
            index.unlink(missing_ok=True)
        if self._run("update-ref", reference, made, old or "0" * len(made)).returncode:
            raise PlanError(f"branch {branch} moved meanwhile; nothing was changed: make the plan again")
        return made

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

    def _names(self, commit: str, path: Path) -> list[str]:
        name = path.as_posix().rstrip("/")
        listed = self._text("ls-tree", "-z", "--name-only", commit, "--", name, f"{name}/")
        names = [each for each in listed.split("\0") if each.endswith(SUFFIXES)]
        return sorted(names) if names != [name] else names

    def _contents(self, commit: str, names: Sequence[str]) -> dict[str, bytes]:
        if not names:
            return {}
        asked = "".join(f"{commit}:{self.prefix}{name}\n" for name in names).encode()
        answer = self._checked("cat-file", "--batch", data=asked)
        contents: dict[str, bytes] = {}
        at = 0
        for name in names:
            line, _, _ = answer[at:].partition(b"\n")
            at += len(line) + 1
            size = int(line.rsplit(b" ", 1)[1])
            contents[name] = answer[at : at + size]
            at += size + 1
        return contents

    def _text(self, *arguments: str, data: bytes = b"", variables: Mapping[str, str] | None = None) -> str:
        return self._checked(*arguments, data=data, variables=variables).decode(errors="replace")

    def _checked(
        self, *arguments: str, data: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes:
        done = self._run(*arguments, data=data, variables=variables)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
            raise UnreachableError(f"git {arguments[0]}: {said}")
        return done.stdout

    def _run(
        self, *arguments: str, data: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", *arguments],
                cwd=self._folder,
                input=data,
                capture_output=True,
                check=False,
                env={**os.environ, **(variables or {})},
            )
        except OSError as error:
            raise UnreachableError(f"git cannot be run: {error.strerror}; install Git") from error
