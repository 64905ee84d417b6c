"""The Python code that a command scans."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from windsock.cli._say import warn
from windsock.errors import MissingExtraError, UnreachableError

if TYPE_CHECKING:
    from windsock.code.uses import Code


def scanned(paths: Sequence[Path]) -> "Code":
    """Scan Python files; those that can't be parsed are reported on stderr.

    Raises:
        UnreachableError: A path is not there.
        MissingExtraError: The ``gitops`` extra is not installed.
    """
    try:
        from windsock.code.uses import scan  # noqa: PLC0415 - needs the gitops extra
    except ImportError as error:
        raise MissingExtraError("scanning Python code", "gitops") from error
    for path in paths:
        if not path.exists():
            raise UnreachableError(f"{path}: No such file or directory")
    code = scan(paths)
    for fault in code.unread:
        warn(f"not scanned: {fault}")
    return code
