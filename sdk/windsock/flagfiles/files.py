"""Flag files on disk: finding, reading, and replacing them in one step."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from windsock import disk
from windsock.errors import FlagFileError, UnreachableError
from windsock.flag_names import FLAG_FOLDER, MIRROR_FOLDER, SUFFIXES
from windsock.flags import Document, read_document
from windsock.flags.reading import MAX_BYTES
from windsock.plain_files import leads_out, open_plain
from windsock.text import escaped

DEFAULT_FOLDER: Final = Path(FLAG_FOLDER)


@dataclass(frozen=True)  # without slots, for the cached property
class FlagFile:
    """One flag file as it was read.

    Attributes:
        path: Its path, as messages name it.
        data: Its bytes.
    """

    path: str
    data: bytes

    @cached_property
    def document(self) -> Document:
        """Its flags, read on first use.

        Raises:
            FlagFileError: Nothing of it can be read.
        """
        return read_document(self.data, self.path)


def read_files(paths: Sequence[Path]) -> tuple[FlagFile, ...]:
    """Read the files, and those in the folders, in merge order.

    A folder means the flag files directly in it; the default path is ``flagd/``. The mirror's folder
    is read only when it is named. A link in a folder is followed only within that folder or the current one.

    Raises:
        UnreachableError: A path doesn't exist or can't be read, or no flag file was found.
        FlagFileError: A file's name has an invisible character.
    """
    found = list(_found(paths or (DEFAULT_FOLDER,)))
    if not found:
        named = ", ".join(map(str, paths or (DEFAULT_FOLDER,)))
        raise UnreachableError(
            f"{named}: no *.flagd.json here; name a file or a folder, or run `windsock init`"
        )
    return tuple(FlagFile(str(path), read_bytes(path)) for path in found)


def with_mirror(folder: Path = DEFAULT_FOLDER) -> list[Path]:
    """Return the folder, and its mirror's if there is one: all that a service reads."""
    mirrored = folder / MIRROR_FOLDER
    return [folder, mirrored] if mirrored.is_dir() else [folder]


def check_name(name: str) -> None:
    """Refuse a file name that could look like something else when shown.

    Raises:
        FlagFileError: It has a line break or another invisible character.
    """
    if not name.isprintable():
        raise FlagFileError(escaped(name), "the name has a character that cannot be seen; rename the file")


def read_bytes(path: Path) -> bytes:
    """Read one file, or a pipe below ``/dev``, up to the size of the largest flag document.

    Raises:
        UnreachableError: It cannot be read, or is a device, a folder or another pipe.
        FlagFileError: It is too large.
    """
    name = escaped(str(path))
    piped = path.is_relative_to("/dev")  # standard input, or a shell's `<(…)`
    try:
        with open_plain(path, pipes=piped) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    except OSError as error:
        raise UnreachableError(f"{name}: cannot be read: {error.strerror}") from error
    if max(size, len(data)) > MAX_BYTES:
        raise FlagFileError(name, f"{max(size, len(data))} bytes are more than {MAX_BYTES}; split the file")
    return data


def replace_plain_file(path: Path, data: bytes) -> None:
    """Replace or make a file of a repository, never through a link: see `check_no_link`.

    Raises:
        UnreachableError: There is a link, or the file cannot be written; the old file is unchanged.
    """
    check_no_link(path)
    write_bytes(path, data)


def check_no_link(path: Path) -> None:
    """Refuse to write through a link: a stranger's branch may have made it.

    A relative path has no link in it, an absolute one none below the current folder: a person named the rest.

    Raises:
        UnreachableError: There is a link.
    """
    here = Path.cwd()
    way = (path, *(each for each in path.parents if not path.is_absolute() or here in each.parents))
    if linked := next((each for each in way if each.is_symlink()), None):
        raise UnreachableError(f"{linked}: it is a link; name its target")


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file in one step: a reader, also after a crash, sees the old file or the new one.

    Raises:
        UnreachableError: It cannot be written; the old file is unchanged.
    """
    try:
        disk.replace(path, data)
    except OSError as error:
        raise UnreachableError(
            f"{path}: cannot be written: {error.strerror}; the old file is unchanged"
        ) from error


def check_link(path: Path, folder: Path) -> None:
    """Refuse a file that a link takes out of its folder, unless it is below the current folder.

    Otherwise a stranger's branch could link to files elsewhere and show them.

    Raises:
        UnreachableError: It is outside.
    """
    if leads_out(path, folder):
        raise UnreachableError(f"{path}: this link leads out of the folder; put the file itself here")


def _found(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        try:
            path.stat()
            if path.is_dir():
                yield from map(
                    _inside, sorted(each for each in path.iterdir() if each.name.endswith(SUFFIXES))
                )
            else:
                check_name(str(path))
                yield path
        except OSError as error:
            hint = "; run `windsock init`, or name the files" if path == DEFAULT_FOLDER else ""
            raise UnreachableError(f"{escaped(str(path))}: {error.strerror}{hint}") from error


def _inside(path: Path) -> Path:
    check_name(str(path))
    if path.is_symlink():
        check_link(path, path.parent)
    return path
