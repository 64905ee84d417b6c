"""Flag files on disk: finding, reading, and replacing them in one step."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windsock import disk
from windsock.errors import UnreachableError

SUFFIXES: Final = (".flagd.json", ".flagd.yaml", ".flagd.yml")
DEFAULT_FOLDER: Final = Path("flagd")


@dataclass(frozen=True, slots=True)
class FlagFile:
    """One flag file as it was read.

    Attributes:
        path: Its path, as messages name it.
        data: Its bytes.
    """

    path: str
    data: bytes


def read_files(paths: Sequence[Path]) -> tuple[FlagFile, ...]:
    """Read the files, and those of the folders, in the order in which they are merged.

    A folder stands for the flag files directly in it; without paths it is ``flagd/``. The mirror's folder
    is read only when it is named.

    Raises:
        UnreachableError: A path is not there or cannot be read, or there is no flag file at all.
    """
    found = list(_found(paths or (DEFAULT_FOLDER,)))
    if not found:
        named = ", ".join(map(str, paths or (DEFAULT_FOLDER,)))
        raise UnreachableError(
            f"{named}: no *.flagd.json here; name a file or a folder, or run `windsock init`"
        )
    return tuple(FlagFile(str(path), read_bytes(path)) for path in found)


def read_bytes(path: Path) -> bytes:
    """Read one file.

    Raises:
        UnreachableError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be read: {error.strerror}") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file in one step: a reader, also after a crash, sees the old file or the new one.

    Raises:
        UnreachableError: It cannot be written; the old file is as it was.
    """
    try:
        disk.replace(path, data)
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be written: {error.strerror}; it is as it was") from error


def _found(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        try:
            path.stat()
            if path.is_dir():
                yield from sorted(each for each in path.iterdir() if each.name.endswith(SUFFIXES))
            else:
                yield path
        except OSError as error:
            hint = "; run `windsock init`, or name the files" if path == DEFAULT_FOLDER else ""
            raise UnreachableError(f"{path}: {error.strerror}{hint}") from error
