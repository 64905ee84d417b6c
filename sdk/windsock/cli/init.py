"""`windsock init`: a repository's first flag file, and what Git needs to know about it."""

from typing import Annotated

import typer

from windsock.cli._project import settings_classes
from windsock.cli._say import note, say_whole
from windsock.flagfiles.scaffold import first_files


def command(
    classes: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODULE:CLASS", help="Settings classes to import and write flags for."),
    ] = None,
) -> None:
    """Write the first flag files into flagd/, and lines for .gitignore and .gitattributes.

    Example: windsock init app.settings:Teacher
    """
    declarations = [each.__windsock__.declaration for each in settings_classes(classes or ())]
    written = first_files(declarations)
    for path in written:
        say_whole(str(path))
    if not written:
        note("nothing to do: everything exists already")
    note("next: git config diff.flagd.textconv 'windsock diff --textconv'; windsock lint")
