"""What a folder remembers beside its documents: which group it belongs to, and the guard's hour."""

import json
import logging
import uuid
from collections.abc import Iterable

from windsock.errors import ConfigurationError
from windsock.mirror.files import Folder
from windsock.mirror.guard import Peak

_log = logging.getLogger("windsock.mirror")

NAME = "mirror.json"


class Memory:
    """The file ``mirror.json`` of a folder.

    Args:
        folder: The folder of the documents.
        group: The group of mirrors that writes it.

    Attributes:
        folder_id: Tells this folder from others; made when the folder is first written to.
        peaks: What the guard remembered last.
    """

    def __init__(self, folder: Folder, group: str) -> None:
        self._folder = folder
        self._group = group
        self._owner = group
        self.folder_id = ""
        self.peaks: tuple[Peak, ...] = ()

    def load(self) -> None:
        """Read the file; a missing or damaged one counts as empty."""
        self._owner, self.folder_id, self.peaks = self._group, "", ()
        data = self._folder.read(NAME)
        if data is None:
            return
        try:
            found = json.loads(data)
            peaks = tuple((float(at), int(assigned)) for at, assigned in found["peaks"])
            self._owner, self.folder_id, self.peaks = str(found["group"]), str(found["folder"]), peaks
        except (ValueError, TypeError, KeyError) as error:
            _log.warning(
                "%s: not the mirror's memory (%r); the guard's hour begins with the documents",
                self._folder.path / NAME,
                error,
            )

    def check_owner(self) -> None:
        """Refuse a folder of another group: the two would overwrite each other's documents.

        Raises:
            ConfigurationError: The folder belongs to another group.
        """
        if self._owner != self._group:
            raise ConfigurationError(
                f"{self._folder.path} belongs to mirrors of the group {self._owner!r}, and this one is of "
                f"{self._group!r}: pass --folder with a folder for this group, or --group {self._owner}. "
                f"If that group is gone, delete {NAME} in the folder"
            )

    def save(self, peaks: Iterable[Peak]) -> None:
        """Remember what the guard remembers; does nothing when the file says so already.

        Raises:
            MirrorError: The file cannot be written.
        """
        self.peaks = tuple(peaks)
        self.folder_id = self.folder_id or uuid.uuid4().hex
        document = {"group": self._group, "folder": self.folder_id, "peaks": self.peaks}
        self._folder.write(NAME, json.dumps(document, indent=2).encode() + b"\n")
