"""`windsock fmt`: write flag files in the one common form."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._say import say_whole, warn
from windsock.flagfiles.formatting import reformat


def command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Flag files, or folders of them; by default flagd/.")
    ] = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if a file would change.")
    ] = False,
) -> None:
    """Format flag files; values, numbers and the order of flags stay the same.

    Example: windsock fmt --check
    """
    failed = False
    for file in reformat(paths or (), write=not check):
        if file.refused is None:
            say_whole(str(file.path))
            failed |= check
        else:
            warn(f"{file.refused}")
            failed = True
    if failed:
        raise typer.Exit(EXIT_ERROR)
