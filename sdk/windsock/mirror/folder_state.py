"""State kept next to a folder's documents: the group that it belongs to, and the guard's last hour."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from windsock.errors import ConfigurationError
from windsock.logs import get_logger
from windsock.mirror.folder import Folder
from windsock.mirror.guard import Peak

_log = get_logger("windsock.mirror")

NAME = "mirror.json"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The content of ``mirror.json``.

    Attributes:
        group: The group of mirrors that writes the folder; None in a new folder.
        folder: Identifies this folder.
        peaks: The guard's last state.
        leaving: The publication that was in progress: how many assignments were published before it, and how
            many of them it removes because their configuration was switched off.
    """

    group: str | None = None
    folder: str = ""
    peaks: tuple[Peak, ...] = ()
    leaving: tuple[int, int] = (0, 0)

    def left(self, assigned: int) -> int:
        """How many of them an interrupted publication removed, by the assignments now in the documents."""
        before, off = self.leaving
        return max(0, min(off, before - assigned))


class Memory:
    """Reads and writes a folder's ``mirror.json``.

    Args:
        folder: The folder of the documents.
        group: This mirror's group.
    """

    def __init__(self, folder: Folder, group: str) -> None:
        self._folder = folder
        self._group = group

    def read(self) -> Remembered:
        """Read the file; a missing or damaged file counts as empty."""
        data = self._folder.read(NAME)
        if data is None:
            return Remembered()
        try:
            found = json.loads(data, parse_constant=_no_number)
            folder = uuid.UUID(hex=found["folder"]).hex  # it goes into the database, where not every text may
            peaks = tuple((float(at), int(assigned)) for at, assigned in found["peaks"])
            before, off = found.get("leaving", (0, 0))
            return Remembered(str(found["group"]), folder, peaks, (int(before), int(off)))
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            _log.warning(
                "%s: not the mirror's memory (%r); the guard's hour begins with the documents",
                self._folder.path / NAME,
                error,
            )
            return Remembered()

    def write(self, peaks: Iterable[Peak], leaving: tuple[int, int] = (0, 0)) -> str:
        """Save the guard's state, unless the file is already up to date.

        Args:
            peaks: The guard's state.
            leaving: See `Remembered.leaving`.

        Returns:
            The folder's identifier.

        Raises:
            ConfigurationError: The folder belongs to another group, which would overwrite the documents.
            MirrorError: The file cannot be written.
        """
        before = self.read()
        if before.group not in (None, self._group):
            raise ConfigurationError(
                f"{self._folder.path} belongs to mirrors of the group {before.group!r}, and this one is of "
                f"{self._group!r}: pass --folder with a folder for this group, or --group {before.group}. "
                f"If that group is gone, delete {NAME} in the folder"
            )
        folder = before.folder or uuid.uuid4().hex
        document: dict[str, object] = {"group": self._group, "folder": folder, "peaks": tuple(peaks)}
        if any(leaving):
            document["leaving"] = leaving
        self._folder.write(NAME, json.dumps(document, indent=2).encode() + b"\n")
        return folder


def _no_number(constant: str) -> float:
    """Refuse ``NaN`` and ``Infinity``, which Python reads from JSON.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{constant} isn't a number")
