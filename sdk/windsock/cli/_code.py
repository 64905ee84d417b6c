"""The Python code that a command scans."""

from collections.abc import Sequence
from pathlib import Path

from windsock.cli._say import warn
from windsock.code.uses import Code, scan
from windsock.errors import UnreachableError


def scanned(paths: Sequence[Path]) -> Code:
    """Scan Python files; those that can't be parsed are reported on stderr.

    Raises:
        UnreachableError: A path is not there.
    """
    for path in paths:
        if not path.exists():
            raise UnreachableError(f"{path}: No such file or directory")
    code = scan(paths)
    for fault in code.unread:
        warn(f"not scanned: {fault}")
    return code
