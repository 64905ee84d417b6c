"""What the build adds to the metadata: links, which only the repository that builds a release can know.

``WINDSOCK_REPOSITORY`` is the address of the repository. With it, the README's links lead to the files of
the release and the metadata names the project's pages. Without it, as on your machine, nothing is invented.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE_IMAGE = re.compile(r"(!\[[^\]]*\])\((?!\w+:)([^)]+)\)")
_RELATIVE_LINK = re.compile(r"\]\((?!\w+:|#)([^)]+)\)")
_COMMENT = re.compile(r"<!--.*?-->\n+", re.DOTALL)  # what the tests read and readers do not


class LinksMetadataHook(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Change the metadata in place, as hatchling asks."""
        text = _COMMENT.sub("", (Path(self.root) / "README.md").read_text(encoding="utf-8"))
        repository = os.environ.get("WINDSOCK_REPOSITORY", "").rstrip("/")
        files = f"{repository}/blob/v{metadata['version']}"
        if repository:
            # An image's page isn't the image: that is the raw file.
            text = _RELATIVE_IMAGE.sub(rf"\1({repository}/raw/v{metadata['version']}/\2)", text)
            text = _RELATIVE_LINK.sub(rf"]({files}/\1)", text).replace(
                "https://<this repository>", repository
            )
            metadata["urls"] = {
                "Source": repository,
                "Documentation": f"{files}/docs/index.md",
                "Changelog": f"{files}/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
