"""State next to a folder's documents: its group, which mirror writes it, and the guard's last hour."""

import contextlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from windsock.errors import ConfigurationError, MirrorError
from windsock.logs import get_logger
from windsock.mirror.folder import Folder
from windsock.mirror.guard import Peak

_log = get_logger("windsock.mirror")

NAME = "mirror.json"


class TakenOverError(MirrorError):
    """Another mirror has taken over the folder, so this one may not write to it."""


_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The content of ``mirror.json``.

    Attributes:
        group: The group of mirrors that writes the folder; None in a new folder.
        folder: Identifies this folder.
        peaks: The guard's last state.
        writer: Identifies the mirror that took over the folder last.
        leaving: The publication that was in progress: how many assignments were published before it, and how
            many of them it removes because their configuration was switched off.
    """

    group: str | None = None
    folder: str = ""
    peaks: tuple[Peak, ...] = ()
    writer: str = ""
    leaving: tuple[int, int] = (0, 0)

    def left(self, assigned: int) -> int:
        """How many of them an interrupted publication removed, by the assignments now in the documents."""
        before, off = self.leaving
        return max(0, min(off, before - assigned))


class Memory:
    """Reads and writes a folder's ``mirror.json``.

    A mirror that was frozen, or that follows another database, may believe that it leads. So once one has
    taken over, all others are refused at their next write.

    Args:
        folder: The folder of the documents.
        group: This mirror's group.
    """

    def __init__(self, folder: Folder, group: str) -> None:
        self._folder = folder
        self._group = group
        self._writer = ""
        self._id = ""
        folder.check_writer = self._check_writer

    def read(self) -> Remembered:
        """Read the file; a missing or damaged file counts as empty."""
        try:
            return self._parsed()
        except _DAMAGE as error:
            _log.warning(
                "%s: not the mirror's memory (%r); the guard's hour begins with the documents",
                self._folder.path / NAME,
                error,
            )
            return Remembered()

    def take_over(self, peaks: Iterable[Peak]) -> str:
        """Claim the folder for this group and this mirror.

        Args:
            peaks: The guard's state.

        Returns:
            The folder's identifier.

        Raises:
            ConfigurationError: The folder belongs to another group.
            MirrorError: The file cannot be written.
        """
        self._writer = ""
        writer = uuid.uuid4().hex
        folder = self._write(peaks, writer)
        self._writer = writer
        return folder

    def write(self, peaks: Iterable[Peak], leaving: tuple[int, int] = (0, 0)) -> str:
        """Save the guard's state, unless the file is already up to date.

        Args:
            peaks: The guard's state.
            leaving: See `Remembered.leaving`.

        Returns:
            The folder's identifier.

        Raises:
            ConfigurationError: The folder belongs to another group, which would overwrite the documents.
            MirrorError: The file cannot be written, or another mirror has taken over.
        """
        return self._write(peaks, self._writer, leaving)

    def _write(self, peaks: Iterable[Peak], writer: str, leaving: tuple[int, int] = (0, 0)) -> str:
        before = self.read()
        if before.group not in (None, self._group):
            raise ConfigurationError(
                f"{self._folder.path} belongs to mirrors of the group {before.group!r}, and this one is of "
                f"{self._group!r}: pass --folder with a folder for this group, or --group {before.group}. "
                f"If that group is gone, delete {NAME} in the folder"
            )
        self._id = before.folder or self._id or uuid.uuid4().hex
        document: dict[str, object] = {"group": self._group, "folder": self._id, "peaks": tuple(peaks)}
        document["writer"] = writer
        if any(leaving):
            document["leaving"] = leaving
        self._folder.write(NAME, json.dumps(document, indent=2).encode() + b"\n")
        return self._id

    def _parsed(self) -> Remembered:
        data = self._folder.read(NAME)
        if data is None:
            return Remembered()
        found = json.loads(data, parse_constant=_no_number)
        folder = uuid.UUID(hex=found["folder"]).hex  # it goes into the database, where not every text may
        peaks = tuple((float(at), int(assigned)) for at, assigned in found["peaks"])
        before, off = found.get("leaving", (0, 0))
        writer = str(found.get("writer", ""))
        return Remembered(str(found["group"]), folder, peaks, writer, (int(before), int(off)))

    def _check_writer(self) -> None:
        with contextlib.suppress(*_DAMAGE):  # it will be rewritten
            if self._writer and self._parsed().writer not in ("", self._writer):
                raise TakenOverError(
                    f"{self._folder.path}: another mirror has taken over this folder; if it follows another "
                    "database, give one of the two a --folder and a --group of its own"
                )


def _no_number(constant: str) -> float:
    """Refuse ``NaN`` and ``Infinity``, which Python reads from JSON.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{constant} isn't a number")
