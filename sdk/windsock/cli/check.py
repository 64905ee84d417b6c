"""`windsock check`: do the flag files fit the settings classes and features that read them?"""

from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._findings import Format, write
from windsock.cli._options import FlagFiles
from windsock.cli._project import Classes, declared
from windsock.cli._say import note, warn, warn_first
from windsock.flagfiles.files import with_mirror
from windsock.gitops.checking import check
from windsock.text import count


def command(
    classes: Classes = None,
    *,
    flags: FlagFiles = None,
    form: Annotated[Format, typer.Option("--format", help="How to write what was found.")] = Format.TABLE,
) -> None:
    """Check every variant against the settings classes, and the features of their modules.

    Exit 1 if one is refused.

    Example: windsock check app.settings:Teacher
    """
    declarations, features = declared(classes or ())
    found = check(flags or with_mirror(), declarations, features)
    for warning in found.warnings:
        warn(warning)
    warn_first(found.problems)
    write(found.findings, form)
    note(
        f"checked {count(len(declarations), 'settings class', 'settings classes')}, "
        + (f"{count(len(features), 'feature')}, " if features else "")
        + f"{count(found.flags, 'flag')}: {count(found.refused, 'value')} refused"
        + (f", {found.pinned} equal to the default" if found.pinned else "")
    )
    if found.refused:
        raise typer.Exit(EXIT_ERROR)
