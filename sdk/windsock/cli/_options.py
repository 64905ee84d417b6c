"""Options and arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

CodePaths = Annotated[
    list[Path] | None, typer.Option(help="Python files or folders; by default this folder.")
]
Environment = Annotated[str, typer.Option(envvar="ENVIRONMENT", help="The attribute `environment`.")]
FlagFiles = Annotated[list[Path] | None, typer.Option(help="Flag files or folders; by default flagd/.")]
FlagFolder = Annotated[Path, typer.Option(help="The folder of the flag files.")]
JsonList = Annotated[bool, typer.Option("--json", help="One JSON list.")]
JsonObject = Annotated[bool, typer.Option("--json", help="One JSON object.")]
User = Annotated[str | None, typer.Option("--user", "-u", help="The targeting key.")]
UserIds = Annotated[
    list[str] | None, typer.Argument(help="User ids; without any, read from stdin, one per line.")
]
