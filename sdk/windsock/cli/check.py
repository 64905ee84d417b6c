"""`windsock check`: do the flag files fit the settings classes that read them?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_ERROR
from windsock.cli._findings import Format, write
from windsock.cli._project import Classes, at_least_one, settings_classes
from windsock.cli._say import note, warn
from windsock.flagfiles.files import read_files, with_mirror
from windsock.flagfiles.sets import flag_set
from windsock.gitops.misfits import located, misfits, pins
from windsock.lint.linter import Finding, Level
from windsock.settings.declaration import Declaration
from windsock.text import count


def command(
    classes: Classes = None,
    *,
    flags: Annotated[
        list[Path] | None, typer.Option(help="Flag files or folders; by default flagd/.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to write what was found.")] = Format.TABLE,
) -> None:
    """Check every variant in every environment against the settings classes. Exit 1 where one is refused.

    Example: windsock check app.settings:Teacher
    """
    declarations = at_least_one(settings_classes(classes or ()))
    files = read_files(flags or with_mirror())
    served = flag_set(files)
    for declaration in declarations:
        _tell_absent(declaration, served.flags)
        _tell_unmarked(declaration)
    for problem in served.problems:
        warn(f"{problem}")
    refused = located(misfits(served, declarations), files, "settings-value", Level.ERROR)
    pinned = located(pins(served, declarations), files, "settings-default", Level.WARNING)
    write(sorted([*refused, *pinned], key=_place), form)
    note(
        f"checked {count(len(declarations), 'settings class', 'settings classes')}, "
        f"{count(len(served.flags), 'flag')}: {count(len(refused), 'value')} refused"
        + (f", {len(pinned)} equal to the default" if pinned else "")
    )
    if refused:
        raise typer.Exit(EXIT_ERROR)


def _tell_unmarked(declaration: Declaration) -> None:
    """Warn of text fields that look like an address or a credential and that a profile could redirect."""
    if names := declaration.unmarked():
        warn(
            f"{declaration.settings_class.__name__}: a profile can set {', '.join(names)}; mark each as"
            " `Annotated[str, windsock.Fixed]`, or `windsock.Tunable` if that is intended"
        )


def _tell_absent(declaration: Declaration, flags: Mapping[str, object]) -> None:
    if declaration.flag not in flags:
        name = declaration.settings_class.__name__
        warn(f"{name}: no file has the flag {declaration.flag!r}; code defaults serve")


def _place(finding: Finding) -> tuple[str, int, int]:
    return finding.source, finding.line, finding.column
