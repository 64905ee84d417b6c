"""`windsock history`: the commits that changed one flag."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._complete import FlagKey
from windsock.cli._options import JsonList
from windsock.cli._say import print_json, say, warn
from windsock.errors import ConfigurationError
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.gitops.history import history
from windsock.gitops.repository import Repository


def command(
    key: FlagKey,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Flag files or folders; by default flagd/.")
    ] = None,
    *,
    as_json: JsonList = False,
) -> None:
    """Show who changed a flag, when, and what: newest first.

    Example: windsock history teacher
    """
    repository = Repository()
    events = list(history(repository, key, paths or [DEFAULT_FOLDER]))
    if repository.is_shallow():
        warn("the clone is shallow, older commits are missing: git fetch --unshallow")
    for event in events:
        if event.fault:
            warn(f"{event.commit.revision[:12]}: {event.fault}")
    changed = [event for event in events if event.changes]
    if not changed:
        raise ConfigurationError(f"no commit here changed a flag named {key!r}; is the name right?")
    if as_json:
        print_json([asdict(event) for event in changed])
        return
    for event in changed:
        commit = event.commit
        say(f"{commit.revision[:12]}  {commit.date[:10]}  {commit.author}  {commit.subject}")
        for change in event.changes:
            for line in change.lines():
                say(f"  {line}")
