"""A ConfigMap's folder as kubelet mounts it: files are links through ``..data``, which is swapped at each change."""

import json
import shutil
from pathlib import Path


class ConfigMap:
    """A folder of one flag file.

    Args:
        folder: The folder; it is made.
        name: The file's name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.file = folder / name
        self._revision = 0
        folder.mkdir()

    def publish(self, document: object) -> None:
        """Give the file new content, and remove the folder of the old one."""
        self._revision += 1
        link, served = self.folder / "..data", self.folder / f"..{self._revision}"
        served.mkdir()
        (served / self.file.name).write_text(json.dumps(document))
        before = self.folder / link.readlink() if link.is_symlink() else None
        (self.folder / "..data_tmp").symlink_to(served.name)
        (self.folder / "..data_tmp").rename(link)
        if before is None:
            self.file.symlink_to(f"..data/{self.file.name}")
        else:
            shutil.rmtree(before)
