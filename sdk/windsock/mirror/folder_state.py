"""State kept next to a folder's documents: the group that it belongs to, and the guard's last hour."""

import json
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from windsock.errors import ConfigurationError
from windsock.mirror.folder import Folder
from windsock.mirror.guard import Peak

_log = logging.getLogger("windsock.mirror")

NAME = "mirror.json"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The content of ``mirror.json``.

    Attributes:
        group: The group of mirrors that writes the folder; None in a new folder.
        folder: Identifies this folder.
        peaks: The guard's last state.
    """

    group: str | None = None
    folder: str = ""
    peaks: tuple[Peak, ...] = ()


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
            found = json.loads(data)
            peaks = tuple((float(at), int(assigned)) for at, assigned in found["peaks"])
            return Remembered(str(found["group"]), str(found["folder"]), peaks)
        except (ValueError, TypeError, KeyError) as error:
            _log.warning(
                "%s: not the mirror's memory (%r); the guard's hour begins with the documents",
                self._folder.path / NAME,
                error,
            )
            return Remembered()

    def write(self, peaks: Iterable[Peak]) -> str:
        """Save the guard's state, unless the file is already up to date.

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
        document = {"group": self._group, "folder": folder, "peaks": tuple(peaks)}
        self._folder.write(NAME, json.dumps(document, indent=2).encode() + b"\n")
        return folder
