"""Boards through which processes share withdrawals; this one is a file for a single host."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Protocol

from windsock.healing.mirrors import MirrorReport
from windsock.healing.quarantine import EXPIRY, Outbox, Withdrawal
from windsock.logs import get_logger
from windsock.variables import data_folder

logger = get_logger("windsock.healing")


_NAMES = tuple(each.name for each in fields(Withdrawal) if each.name != "left")


class Board(Protocol):
    """Shares withdrawals. `exchange` may block or raise; it's called from one thread at a time.

    Attributes:
        interval: Seconds between exchanges if there's nothing new here.
        mirrored: Whether the mirror reads it too, and removes withdrawn values from profiles.
        mirrors: The mirrors' reports as of the last exchange.
    """

    interval: float
    mirrored: bool
    mirrors: tuple[MirrorReport, ...]

    def exchange(self, outbox: Outbox) -> Sequence[Withdrawal]:
        """Share what's new here, and return everything in force."""

    def close(self) -> None:
        """Close connections."""


class FileBoard:
    """A JSON file for the processes on one host; each process counts faults separately.

    Args:
        path: Created at the first withdrawal; only its owner may read it, and a folder that others can write
            to is refused. Default: ``quarantine.json`` in `data_folder`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or data_folder() / "quarantine.json"
        with contextlib.suppress(FileNotFoundError):  # the working directory was deleted
            self.path = self.path.absolute()  # the process may change to another one later
        self.interval = 2.0
        self.mirrored = False
        self.mirrors: tuple[MirrorReport, ...] = ()

    def exchange(self, outbox: Outbox) -> Sequence[Withdrawal]:
        """Read the file; if anything is new, replace it atomically.

        Raises:
            OSError: The file can't be written, or its folder is refused.
        """
        if not outbox.withdrawn and not outbox.lifted:
            return self._read()
        with self._locked():
            gone = {(each.key, each.fingerprint) for each in (*outbox.lifted, *outbox.withdrawn)}
            kept = [each for each in self._read() if (each.key, each.fingerprint) not in gone]
            lifted = {(each.key, each.fingerprint) for each in outbox.lifted}
            kept += [each for each in outbox.withdrawn if (each.key, each.fingerprint) not in lifted]
            self._write(kept)
        return kept

    def close(self) -> None:
        """Do nothing: there's nothing to close."""

    def _read(self) -> list[Withdrawal]:
        if not os.path.lexists(self.path.parent):
            return []
        from windsock.private_folder import read_private  # noqa: PLC0415 - many hosts have no such folder

        try:
            entries = json.loads(read_private(self.path))
            now = time.time()
            found = dict.fromkeys(  # what can't be hashed isn't text
                # setting the clock back must not extend a withdrawal beyond its limit
                Withdrawal(
                    **{name: each[name] for name in _NAMES}, left=min(each["expires_at"] - now, EXPIRY)
                )
                for each in entries
            )
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
            logger.warning("%s: not a list of withdrawals (%.200r); it counts as empty", self.path, error)
            return []
        return [each for each in found if each.left > 0]

    def _write(self, withdrawals: Sequence[Withdrawal]) -> None:
        from windsock import disk  # noqa: PLC0415 - most processes never withdraw anything

        entries = [
            {name: value for name, value in asdict(each).items() if name != "left"}
            | {"expires_at": time.time() + each.left}
            for each in withdrawals
        ]
        data = json.dumps(entries, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
        disk.replace(self.path, data, private=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from windsock import disk  # noqa: PLC0415 - most processes never withdraw anything
        from windsock.plain_files import NO_FOLLOW, NO_WAIT  # noqa: PLC0415 - nor need this

        disk.make_private(self.path.parent)
        lock = os.open(self.path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT | NO_FOLLOW | NO_WAIT, 0o600)
        try:
            disk.lock(lock)  # without flock, two concurrent writers may lose an entry
            yield
        finally:
            os.close(lock)
