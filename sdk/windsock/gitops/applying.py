"""Applying a plan: all of its steps or none, and only where the base is what the plan was made for."""

import contextlib
from pathlib import Path

from windsock.errors import PlanError, UnreachableError
from windsock.flagfiles.files import read_bytes, write_bytes
from windsock.gitops.plan import Plan, Step, sha256
from windsock.gitops.repository import Repository


def apply_to_folder(plan: Plan, root: Path) -> tuple[str, ...]:
    """Write the plan's files below a folder.

    Returns:
        The paths that were written or removed; none where all of it stands already.

    Raises:
        PlanError: A file is not as it was at the plan's base; nothing was changed.
        UnreachableError: A file cannot be written; those before it were put back.
    """
    there = {step.path: _content(_inside(root, step.path)) for step in plan.steps}
    steps = _to_do(plan, there, str(root))
    done: list[Step] = []
    try:
        for step in steps:
            _put(_inside(root, step.path), None if step.after is None else step.after.encode())
            done.append(step)
    except UnreachableError:
        for step in reversed(done):
            with contextlib.suppress(UnreachableError):
                _put(_inside(root, step.path), there[step.path])
        raise
    return tuple(step.path for step in steps)


def apply_to_branch(plan: Plan, branch: str, message: str, repository: Repository) -> str | None:
    """Commit the plan's files on a branch, without touching the working tree.

    Returns:
        The commit, or None where the branch has all of it already.

    Raises:
        PlanError: A file is not as it was at the plan's base, or the branch is checked out or moved.
    """
    at = branch if repository.has_branch(branch) else "HEAD"
    there = {step.path: repository.content(at, step.path) for step in plan.steps}
    steps = _to_do(plan, there, at)
    if not steps:
        return None
    contents = {step.path: None if step.after is None else step.after.encode() for step in steps}
    return repository.commit(branch, contents, message)


def _to_do(plan: Plan, there: dict[str, bytes | None], where: str) -> list[Step]:
    """The steps that are not done yet; refuses when one starts from something else."""
    if plan.findings:
        listed = "\n  ".join(plan.findings)
        raise PlanError(f"the plan has findings, so it is not applied:\n  {listed}")
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
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise PlanError(
            f"{path}: the plan names a file outside of the folder; make it again with relative paths"
        )
    return found


def _content(path: Path) -> bytes | None:
    return read_bytes(path) if path.exists() else None


def _put(path: Path, data: bytes | None) -> None:
    if data is not None:
        write_bytes(path, data)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be removed: {error.strerror}") from error
