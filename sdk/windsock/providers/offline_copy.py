"""The last good set that a server sent, kept on disk for a start while the server is down."""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openfeature.evaluation_context import EvaluationContextAttribute

logger = logging.getLogger("windsock.flags")

_ABANDONED = 3600.0
"""Seconds after which a file that is still aside belongs to no living write."""


@dataclass(frozen=True, slots=True)
class SavedSet:
    """What a copy holds.

    Attributes:
        flags: The flagd document, as the server sent it.
        context: Attributes that the server lays below every evaluation.
        saved_at: Unix time of the copy, in seconds.
    """

    flags: str
    context: Mapping[str, EvaluationContextAttribute]
    saved_at: float


class OfflineCopy:
    """One file for one server and selector, replaced as a whole.

    Args:
        folder: Where the file is kept; made when first needed.
        target: The server.
        selector: Which of its flags.
    """

    def __init__(self, folder: Path, target: str, selector: str) -> None:
        name = hashlib.sha256(f"{target}\n{selector}".encode()).hexdigest()[:12]
        self.path = folder / f"{name}.json"
        self._target = target
        self._selector = selector
        self._failed = False

    def save(self, flags: str, context: Mapping[str, EvaluationContextAttribute]) -> None:
        """Replace the copy. A disk that cannot take it costs one warning and nothing else."""
        saved = {
            "target": self._target,
            "selector": self._selector,
            "saved_at": time.time(),
            "context": dict(context),
            "flags": flags,
        }
        try:
            _replace(self.path, json.dumps(saved).encode())
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning(
                    "%s: the offline copy cannot be written (%s); a start while %s is down would have code"
                    " defaults. WINDSOCK_OFFLINE_COPY names another folder, or `off`.",
                    self.path, error.strerror, self._target,
                )  # fmt: skip
            self._failed = True

    def load(self) -> SavedSet | None:
        """Give what was saved last, or None; a damaged copy is logged and left out."""
        try:
            saved = json.loads(self.path.read_bytes())
            if (saved["target"], saved["selector"]) != (self._target, self._selector):
                raise ValueError(f"it is of {saved['target']}, selector {saved['selector']!r}")  # noqa: TRY301 - told as any other
            return SavedSet(str(saved["flags"]), dict(saved["context"]), float(saved["saved_at"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.warning("%s: the offline copy cannot be used (%s: %s); delete it", self.path,
                           type(error).__name__, error)  # fmt: skip
            return None


def _replace(path: Path, data: bytes) -> None:
    """Write aside, then rename: several processes may save the same set at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _clear(path: Path) -> None:
    """Remove what processes that were killed while they wrote have left."""
    for aside in path.parent.glob(f"{path.stem}*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another process removes it too
            if time.time() - aside.stat().st_mtime > _ABANDONED:
                aside.unlink()
