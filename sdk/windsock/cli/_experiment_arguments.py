"""What the sub-commands of `windsock experiment` take: an experiment's name, and the folder of the flags."""

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="The experiment, declared in <flags>/experiments/<name>.yaml.")]
Flags = Annotated[Path, typer.Option(help="The folder of the flags.")]
