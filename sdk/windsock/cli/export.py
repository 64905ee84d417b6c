"""`windsock export`: settings classes for flag files and for other tools."""

from enum import StrEnum
from typing import Annotated

import typer

from windsock.cli._project import Classes, at_least_one, settings_classes
from windsock.cli._say import print_document, print_json
from windsock.flagfiles.exporting import manifest, schema, skeletons
from windsock.flagfiles.scaffold import document


class ExportForm(StrEnum):
    """What is exported."""

    FLAGS = "flags"
    SCHEMA = "schema"
    MANIFEST = "manifest"


def command(
    classes: Classes = None,
    *,
    kind: Annotated[
        ExportForm,
        typer.Option("--format", help="A flag file, a JSON Schema, or an OpenFeature CLI manifest."),
    ] = ExportForm.FLAGS,
) -> None:
    """Print settings classes as flags with the code defaults, as JSON Schema, or as a manifest.

    Example: windsock export app.settings:Teacher --format schema
    """
    declarations = at_least_one(settings_classes(classes or ()))
    if kind is ExportForm.FLAGS:
        print_document(document(skeletons(declarations, with_defaults=True)).decode())
    else:
        exported = schema(declarations) if kind is ExportForm.SCHEMA else manifest(declarations)
        print_json(exported)
