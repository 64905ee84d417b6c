"""Applying a plan: all of its steps or none, and only to the base that the plan was made for."""

import contextlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from windsock.errors import PlanError, UnreachableError
from windsock.flag_names import SUFFIXES
from windsock.flagfiles.files import DEFAULT_FOLDER, read_bytes, replace_plain_file
from windsock.flags import read_document
from windsock.gitops.plan import Plan, PlanStep, sha256
from windsock.gitops.repository import Repository
from windsock.text import escaped

_OTHER_ON_WINDOWS: Final = frozenset("\\:")
"""Characters that Windows takes for the end of a folder's name, or of a file's."""

_SPECIAL: Final = frozenset({"", ".git", "git~1"})
"""Names of Git's folder and of the folder above, as `_folded` writes them."""


def apply_to_folder(plan: Plan, root: Path, flags: Sequence[Path] = (DEFAULT_FOLDER,)) -> tuple[str, ...]:
    """Write the plan's files below a folder.

    A plan may come from someone else, so only flag files below the folders of flags are touched, never
    through a link, and only with content that is a flag document.

    Args:
        plan: The plan.
        root: The folder that the plan's paths are relative to.
        flags: The folders of flag files, or the files, that the plan may touch; relative to `root`.

    Returns:
        The paths that were written or removed; empty if the change was already applied.

    Raises:
        PlanError: A file differs from the plan's base, or may not be touched; nothing was
            changed.
        FlagFileError: A file's new content is not a flag document; nothing was changed.
        UnreachableError: A file cannot be written; earlier ones were restored.
    """
    _check(plan, flags)
    contents = {step.path: _content(_inside(root, step.path)) for step in plan.steps}
    steps = _to_do(plan, contents, str(root))
    done: list[PlanStep] = []
    try:
        for step in steps:
            _put(_inside(root, step.path), None if step.after is None else step.after.encode())
            done.append(step)
    except UnreachableError:
        for step in reversed(done):
            with contextlib.suppress(UnreachableError):
                _put(_inside(root, step.path), contents[step.path])
        raise
    return tuple(step.path for step in steps)


def apply_to_branch(
    plan: Plan,
    branch: str,
    message: str,
    repository: Repository,
    flags: Sequence[Path] = (DEFAULT_FOLDER,),
) -> str | None:
    """Commit the plan's files on a branch, without touching the working tree; see `apply_to_folder`.

    Returns:
        The commit, or None if the branch already has the whole change.

    Raises:
        PlanError: A file differs from the plan's base or may not be touched, or the branch is
            checked out or moved.
        FlagFileError: A file's new content is not a flag document.
        ConfigurationError: Git refuses a branch of that name.
    """
    _check(plan, flags)
    exists = repository.has_branch(branch)
    at = f"refs/heads/{branch}" if exists else "HEAD"  # a tag may have the branch's name
    there = {step.path: repository.content(at, step.path) for step in plan.steps}
    steps = _to_do(plan, there, branch if exists else at)
    if not steps:
        return None
    contents = {step.path: None if step.after is None else step.after.encode() for step in steps}
    return repository.commit(branch, contents, message)


def _check(plan: Plan, flags: Sequence[Path]) -> None:
    """Refuse a plan that touches anything but flag files, or writes anything but a flag document into one."""
    for step in plan.steps:
        path = PurePosixPath(step.path)
        plain = (
            step.path == str(path)
            and step.path.isprintable()
            and _OTHER_ON_WINDOWS.isdisjoint(step.path)
            and _SPECIAL.isdisjoint(map(_folded, path.parts))
        )
        below = any(path.is_relative_to(PurePosixPath(each.as_posix())) for each in flags)
        if not plain or path.is_absolute() or not path.name.endswith(SUFFIXES) or not below:
            allowed = ", ".join(map(str, flags))
            raise PlanError(
                f"{escaped(step.path)}: not a flag file below {allowed}, so the plan must not touch it; "
                "nothing was changed: name the flags' folder with --flags"
            )
        if step.after is not None:
            read_document(step.after.encode(errors="surrogatepass"), step.path)


def _to_do(plan: Plan, there: dict[str, bytes | None], where: str) -> list[PlanStep]:
    """Return the steps that aren't done yet; refuse if one has a different base."""
    if plan.findings:
        refused = PlanError("the plan has findings, so it is not applied")
        for finding in plan.findings:
            refused.add_note(f"  {finding}")
        raise refused
    steps = []
    for step in plan.steps:
        data = there[step.path]
        if data == (None if step.after is None else step.after.encode()):
            continue
        if (None if data is None else sha256(data)) != step.before:
            raise PlanError(
                f"{step.path}: the base has moved: in {where} the file is not what it was at "
                f"{plan.base[:12]}; "
                "nothing was changed: make the plan again"
            )
        steps.append(step)
    return steps


def _inside(root: Path, path: str) -> Path:
    found = root / path
    below = [found, *(parent for parent in found.parents if parent != root and parent.is_relative_to(root))]
    linked = next((each for each in below if each.is_symlink()), None)
    if linked is not None:
        raise PlanError(
            f"{linked}: it is a link, and a plan isn't applied through links; nothing was changed"
        )
    return found


def _content(path: Path) -> bytes | None:
    return read_bytes(path) if path.exists() else None


def _put(path: Path, data: bytes | None) -> None:
    if data is not None:
        replace_plain_file(path, data)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be removed: {error.strerror}") from error


def _folded(name: str) -> str:
    """A name as Windows and macOS compare it: in lower case, without dots and spaces at its end."""
    return name.casefold().rstrip(". ")
