"""`windsock experiment new`: a document to fill in."""

from typing import Annotated

import typer

from windsock.cli._experiment_arguments import Flags
from windsock.cli._say import say
from windsock.errors import ConfigurationError
from windsock.experiments.template import of_feature, of_settings
from windsock.flagfiles.files import DEFAULT_FOLDER
from windsock.flagfiles.scaffold import write_new


def command(
    name: Annotated[str, typer.Argument(help="Letters, digits and underscores; the file's name too.")],
    *,
    owner: Annotated[str, typer.Option(help="Who decides.")],
    settings: Annotated[
        str | None, typer.Option(help="The flag of the settings class that it changes; goes with --field.")
    ] = None,
    field: Annotated[
        str | None, typer.Option(metavar="FIELD=VALUE", help="What the treatment changes.")
    ] = None,
    feature: Annotated[str | None, typer.Option(help="The feature that it switches, instead.")] = None,
    flags: Flags = DEFAULT_FOLDER,
) -> None:
    """Write an experiment's document, to be filled in and reviewed.

    Example: windsock experiment new big_k --settings bot --field k=9 --owner ada
    """
    if settings is not None and field is not None and feature is None:
        text = of_settings(name, settings=settings, change=field, owner=owner)
    elif feature is not None and settings is None and field is None:
        text = of_feature(name, feature=feature, owner=owner)
    else:
        raise ConfigurationError("name --settings with --field, or --feature alone")
    path = flags / "experiments" / f"{name}.yaml"
    write_new({path: text.encode()}, force=False)
    say(f"wrote {path}")
    say(f"Fill it in, then run `windsock experiment check` and `windsock experiment start {name}`.")
