"""`windsock fmt`: write flag files in the one common form."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._say import warn
from windsock.errors import FlagFileError
from windsock.flagfiles.files import read_files, replace_flag_file
from windsock.flagfiles.formatting import formatted


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
    for file in read_files(paths or ()):
        if not file.path.endswith(".json"):
            continue
        try:
            data = formatted(file.data, file.path)
        except FlagFileError as error:
            warn(f"{error}")
            failed = True
            continue
        if data != file.data:
            print(file.path)
            failed |= check
            if not check:
                replace_flag_file(Path(file.path), data)
    if failed:
        raise typer.Exit(EXIT_ERROR)
