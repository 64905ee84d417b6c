"""`windsock init`: a repository's first flag file, and what Git needs to know about it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from windsock.cli._new import document, write_new
from windsock.cli._project import settings_classes
from windsock.cli._say import note
from windsock.flagfiles.exporting import skeletons
from windsock.flagfiles.files import DEFAULT_FOLDER, read_bytes, write_bytes
from windsock.flags import JsonValue

_LINES = {".gitignore": "flagd/mirror/", ".gitattributes": "*.flagd.json diff=flagd"}


def command(
    classes: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODULE:CLASS", help="Settings classes to import and write flags for."),
    ] = None,
) -> None:
    """Write the first flag files into flagd/, and lines for .gitignore and .gitattributes.

    Example: windsock init app.settings:Teacher
    """
    declarations = [each.__windsock__.declaration for each in settings_classes(classes or ())]
    example: dict[str, JsonValue] = {
        "example_feature": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
        }
    }
    if declarations:
        files = {
            DEFAULT_FOLDER / f"{each.flag}.flagd.json": document(skeletons([each], with_defaults=False))
            for each in declarations
        }
    else:
        files = {DEFAULT_FOLDER / "features.flagd.json": document(example)}
    written = list(write_new(files, force=False))
    written += [Path(name) for name, line in _LINES.items() if _append(Path(name), line)]
    for path in written:
        print(path)
    if not written:
        print("nothing to do: everything is there already", file=sys.stderr)
    note("next: git config diff.flagd.textconv 'windsock diff --textconv'; windsock lint")


def _append(path: Path, line: str) -> bool:
    """Add a line to a file, unless it has it."""
    present = read_bytes(path).decode() if path.exists() else ""
    if line in present.splitlines():
        return False
    end = "" if not present or present.endswith("\n") else "\n"
    write_bytes(path, f"{present}{end}{line}\n".encode())
    return True
