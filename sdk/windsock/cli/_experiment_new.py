"""`windsock experiment new`: a document to fill in."""

from typing import Annotated

import typer

from windsock.cli._experiment_arguments import Flags
from windsock.cli._say import say
from windsock.experiments.template import document
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.scaffold import write_new


def command(
    name: Annotated[str, typer.Argument(help="Letters, digits and underscores; the file's name too.")],
    *,
    settings: Annotated[str, typer.Option(help="The flag of the settings class that it changes.")],
    field: Annotated[str, typer.Option(metavar="FIELD=VALUE", help="What the treatment changes.")],
    owner: Annotated[str, typer.Option(help="Who decides.")],
    flags: Flags = DEFAULT_FOLDER,
) -> None:
    """Write an experiment's document, to be filled in and reviewed.

    Example: windsock experiment new big_k --settings bot --field k=9 --owner ada
    """
    text = document(name, settings=settings, change=field, owner=owner)
    path = flags / "experiments" / f"{name}.yaml"
    write_new({path: text.encode()}, force=False)
    say(f"wrote {path}")
    say(f"Fill it in, then run `windsock experiment check` and `windsock experiment start {name}`.")
