"""Writes a repository's first flag files, and other new files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from windsock.errors import ConfigurationError
from windsock.flagfiles.exporting import skeletons
from windsock.flagfiles.files import DEFAULT_FOLDER, read_bytes, replace_plain_file
from windsock.flagfiles.formatting import formatted
from windsock.flags import JsonValue
from windsock.settings.declaration import Declaration

SCHEMA: Final = "https://flagd.dev/schema/v0/flags.json"

_FOR_GIT: Final = {".gitignore": "flagd/mirror/", ".gitattributes": "*.flagd.json diff=flagd"}
_EXAMPLE: Final[Mapping[str, JsonValue]] = {
    "example_feature": {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
    }
}


def document(flags: Mapping[str, JsonValue]) -> bytes:
    """Return a flag document in the common form."""
    content = {"$schema": SCHEMA, "flags": flags}
    return formatted(json.dumps(content, ensure_ascii=False).encode(), "document.json")


def write_new(files: Mapping[Path, bytes], *, force: bool) -> tuple[Path, ...]:
    """Write all files, or none if one exists with different content.

    Returns:
        The files that didn't exist with this content.

    Raises:
        ConfigurationError: A file exists with different content.
        UnreachableError: One is a link.
    """
    for path, data in files.items():
        if not force and path.exists() and read_bytes(path) != data:
            raise ConfigurationError(
                f"{path} is there already and nothing was written; remove it, or name another"
            )
    new = tuple(path for path, data in files.items() if not path.exists() or read_bytes(path) != data)
    for path in new:
        replace_plain_file(path, files[path])
    return new


def first_files(declarations: Sequence[Declaration]) -> list[Path]:
    """Write a flag file for each settings class, or one with an example, and the Git configuration files.

    Returns:
        The files that didn't exist with this content.

    Raises:
        ConfigurationError: A file exists with different content.
    """
    if declarations:
        files = {
            DEFAULT_FOLDER / f"{each.flag}.flagd.json": document(skeletons([each], with_defaults=False))
            for each in declarations
        }
    else:
        files = {DEFAULT_FOLDER / "features.flagd.json": document(_EXAMPLE)}
    written = list(write_new(files, force=False))
    return written + [Path(name) for name, line in _FOR_GIT.items() if _append(Path(name), line)]


def _append(path: Path, line: str) -> bool:
    """Add a line to a file unless it is already there."""
    present = read_bytes(path) if path.exists() else b""
    if line.encode() in present.splitlines():
        return False
    end = b"" if not present or present.endswith(b"\n") else b"\n"
    replace_plain_file(path, b"%b%b%b\n" % (present, end, line.encode()))
    return True
