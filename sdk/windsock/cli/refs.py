"""`windsock refs`: where flags and fields are used in Python."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._code import scanned
from windsock.cli._complete import flag_keys
from windsock.cli._options import CodePaths, JsonList
from windsock.cli._say import note, print_json, say
from windsock.errors import ConfigurationError
from windsock.text import count


def command(
    key: Annotated[
        str | None,
        typer.Argument(help="A flag, or flag.field; by default all of them.", autocompletion=flag_keys),
    ] = None,
    *,
    code: CodePaths = None,
    as_json: JsonList = False,
) -> None:
    """Show where flags, settings classes and their fields are used in Python.

    Example: windsock refs teacher.retrieval_top_k --code app
    """
    uses = scanned(code or [Path()]).uses_of(key)
    if key is not None and not uses:
        raise ConfigurationError(f"no Python file here uses {key!r}; windsock refs lists what is used")
    if as_json:
        print_json([asdict(use) for use in uses])
        return
    for use in uses:
        name = use.flag if use.field is None else f"{use.flag}.{use.field}"
        say(f"{use.path}:{use.line}:{use.column}  {use.kind:<7}  {name}")
    note(count(len(uses), "use"))
