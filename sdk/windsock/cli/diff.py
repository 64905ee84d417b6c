"""`windsock diff`: what changed between two states of the flags, flag by flag."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._app import EXIT_CHANGES
from windsock.cli._options import JsonList
from windsock.cli._say import print_json, say
from windsock.flagfiles.files import read_files
from windsock.flagfiles.sets import flag_set
from windsock.gitops.changes import as_lines, changes
from windsock.gitops.repository import read_sides


def command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Two files or folders, or with --against one; by default flagd/."),
    ] = None,
    *,
    against: Annotated[
        str | None, typer.Option(metavar="REV", help="Compare with this Git revision; by default HEAD.")
    ] = None,
    as_json: JsonList = False,
    textconv: Annotated[
        bool, typer.Option("--textconv", help="Print one file with one part per line, for `git diff`.")
    ] = False,
) -> None:
    """Show what changed, flag by flag. Exit 3 if anything changed, else 0.

    Example: windsock diff --against main
    """
    given = paths or []
    if textconv:
        _textconv(given)
        return
    if len(given) > 2 or (len(given) == 2 and against is not None):
        raise typer.BadParameter("give two paths, or one and --against")
    before, after = read_sides(given, against)
    found = changes(flag_set(before), flag_set(after))
    if as_json:
        print_json([asdict(change) for change in found])
    else:
        for change in found:
            for line in change.lines():
                say(line)
    if found:
        raise typer.Exit(EXIT_CHANGES)


def _textconv(paths: Sequence[Path]) -> None:
    if len(paths) != 1:
        raise typer.BadParameter("--textconv takes the one file that Git gives it")
    for line in as_lines(flag_set(read_files(paths)).flags):
        say(str(line))
