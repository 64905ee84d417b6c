"""The last good set from a server, kept on disk for starts while the server is down."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openfeature.evaluation_context import EvaluationContextAttribute

from windsock import disk, private_folder
from windsock.logs import get_logger

logger = get_logger("windsock.flags")


@dataclass(frozen=True, slots=True)
class SavedSet:
    """The content of a copy.

    Attributes:
        flags: The flagd document as sent by the server.
        context: Attributes that the server lays below every evaluation.
        saved_at: Unix time of the copy, in seconds.
    """

    flags: str
    context: Mapping[str, EvaluationContextAttribute]
    saved_at: float


class OfflineCopy:
    """One file per server and selector, replaced as a whole.

    Args:
        folder: The file's folder; created when first needed, and refused if others can write to it.
        target: The server.
        selector: Selects a subset of its flags.
    """

    def __init__(self, folder: Path, target: str, selector: str) -> None:
        name = hashlib.sha256(f"{target}\n{selector}".encode()).hexdigest()[:12]
        self.path = folder / f"{name}.json"
        self._target = target
        self._selector = selector
        self._failed = False

    def save(self, flags: str, context: Mapping[str, EvaluationContextAttribute]) -> None:
        """Replace the copy. If the disk can't store it, the only consequence is one warning."""
        saved = {
            "target": self._target,
            "selector": self._selector,
            "saved_at": time.time(),
            "context": dict(context),
            "flags": flags,
        }
        try:
            disk.replace(self.path, json.dumps(saved).encode(), private=True)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning(
                    "%s: the offline copy cannot be written (%s); a start while %s is down would have code"
                    " defaults. WINDSOCK_OFFLINE_COPY names another folder, or `off`.",
                    self.path, error.strerror or error, self._target,
                )  # fmt: skip
            self._failed = True

    def load(self) -> SavedSet | None:
        """The last saved set, or None; a damaged copy is logged and ignored."""
        try:
            saved = json.loads(private_folder.read_private(self.path))
            if (saved["target"], saved["selector"]) != (self._target, self._selector):
                raise ValueError(f"it is of {saved['target']}, selector {saved['selector']!r}")  # noqa: TRY301 - reported like any other
            return SavedSet(str(saved["flags"]), dict(saved["context"]), float(saved["saved_at"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.warning("%s: the offline copy cannot be used (%s: %s); delete it", self.path,
                           type(error).__name__, error)  # fmt: skip
            return None
