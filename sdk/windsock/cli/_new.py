"""Writing files that were not there before."""

import json
from collections.abc import Mapping
from pathlib import Path

from windsock.errors import ConfigurationError
from windsock.flagfiles.files import write_bytes
from windsock.flagfiles.formatting import formatted
from windsock.flags import JsonValue


def document(flags: Mapping[str, JsonValue]) -> bytes:
    """A flag document in the common form."""
    content = {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": flags}
    return formatted(json.dumps(content, ensure_ascii=False).encode(), "document.json")


def write_new(files: Mapping[Path, bytes], *, force: bool) -> tuple[Path, ...]:
    """Write all files, or none where one is there already and is another.

    Returns:
        Those that were not there like this already.

    Raises:
        ConfigurationError: A file is there already.
    """
    for path, data in files.items():
        if not force and path.exists() and path.read_bytes() != data:
            raise ConfigurationError(
                f"{path} is there already and nothing was written; remove it, or name another"
            )
    new = tuple(path for path, data in files.items() if not path.exists() or path.read_bytes() != data)
    for path in new:
        write_bytes(path, files[path])
    return new
