"""`windsock apply`: carry out a plan, all of it or nothing."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._say import note, say, say_whole
from windsock.flagfiles.files import DEFAULT_FOLDER, read_bytes
from windsock.gitops.applying import apply_to_branch, apply_to_folder
from windsock.gitops.plan import load
from windsock.gitops.repository import Repository


def command(
    plan: Annotated[Path, typer.Argument(help="What `windsock plan --out` wrote.")],
    *,
    to: Annotated[Path, typer.Option(help="The folder that the plan's paths are relative to.")] = Path(),
    flags: Annotated[
        list[Path] | None,
        typer.Option(help="The folders or files that the plan may touch; by default flagd/."),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(help="Make a Git commit on this branch instead; keep the working tree."),
    ] = None,
    message: Annotated[
        str, typer.Option("--message", "-m", help="The commit's message.")
    ] = "Apply flag changes",
) -> None:
    """Apply a plan to flag files. If the base has changed, the plan is refused and nothing changes.

    Example: windsock apply plan.json --to /srv/flags
    """
    loaded = load(read_bytes(plan), str(plan))
    folders = flags or [DEFAULT_FOLDER]
    if branch is not None:
        commit = apply_to_branch(loaded, branch, message, Repository(), folders)
        say(commit or "nothing to do")
        return
    written = apply_to_folder(loaded, to, folders)
    for path in written:
        say_whole(str(path))
    if not written:
        note("nothing to do: everything is applied already")
