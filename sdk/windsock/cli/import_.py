"""`windsock import`: a YAML configuration becomes flag files and settings classes."""

from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._say import note, say_whole
from windsock.errors import ConfigurationError
from windsock.flagfiles.files import DEFAULT_FOLDER, read_bytes
from windsock.flagfiles.importing import convert, convert_joined, with_suffix
from windsock.flagfiles.scaffold import document, write_new
from windsock.flagfiles.yaml_configuration import read_configuration


def command(
    path: Annotated[
        Path, typer.Argument(help="The YAML configuration, perhaps with `environments` and `feature_flags`.")
    ],
    *,
    folder: Annotated[Path, typer.Option(help="Where the flag file goes.")] = DEFAULT_FOLDER,
    module: Annotated[
        Path | None, typer.Option(help="Write the settings classes to this file; by default to stdout.")
    ] = None,
    section_suffix: Annotated[
        str, typer.Option(help="Append this to the name of a section that is also a feature's name.")
    ] = "",
    flag: Annotated[
        str, typer.Option(help="Create one flag and one class of this name, with the sections as its parts.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Turn a YAML configuration into a flag file and settings classes, value for value.

    Example: windsock import learning.yaml --module app/settings.py
    """
    configuration = read_configuration(read_bytes(path), str(path))
    if flag and section_suffix:
        raise ConfigurationError("--section-suffix is for a flag per section; leave it out, or --flag")
    if section_suffix:
        configuration = with_suffix(configuration, section_suffix)
    stem = flag or path.stem.removesuffix(".yaml")
    imported = convert_joined(configuration, flag) if flag else convert(configuration, stem)
    files = {folder / f"{stem}.flagd.json": document(imported.flags)}
    if module is not None:
        files[module] = imported.module.encode()
    write_new(files, force=force)
    if module is None:
        for line in imported.module.removesuffix("\n").split("\n"):
            say_whole(line)
    for written in files:
        note(f"wrote {written}")
