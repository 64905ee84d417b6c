"""A stamp in an index file: it was checked, and made from the document now on the disk.

To know that an index belongs to a document and is undamaged, a process reads both, hundreds of megabytes. The
process that has done so writes the stamp, and the next one reads neither. A stamp names the document as the
watcher does, by its `Signature`, and the index by its inode, size and modification time. It is outside the
checksum, and writing it keeps the modification time. Once either file is written or replaced, the stamp no
longer counts and both are read again. An index is on the disk before it gets its stamp, so a
stamped one is whole, also after a crash.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from windsock.private_folder import open_private

Signature = tuple[int, int, int, int, int]
"""Device, inode, size, modification and change time of a file that has been at rest."""

PLACE: Final = 8
"""Where a stamp begins in an index file."""

SIZE: Final = 16
"""Bytes of a stamp."""

NONE: Final = bytes(SIZE)


def stamp_of(signature: Signature, index: os.stat_result) -> bytes:
    """The stamp of this index of this document."""
    both = (*signature, index.st_ino, index.st_size, index.st_mtime_ns)
    return hashlib.sha256(repr(both).encode()).digest()[:SIZE]


def stamp(path: Path, checked: BinaryIO, signature: Signature) -> None:
    """Stamp the index that was checked, unless another has its name meanwhile.

    Args:
        path: Its path; if this user can't write it, it gets no stamp.
        checked: The index, open.
        signature: The document's, from before it was read.
    """
    index = os.fstat(checked.fileno())
    with suppress(OSError):
        with open_private(path, "r+b") as file:
            if not os.path.samestat(index, os.fstat(file.fileno())):
                return
            current = stamp_of(signature, index)
            file.seek(PLACE)
            if file.read(SIZE) != current:  # else another process has waited for the disk
                os.fsync(file.fileno())
                file.seek(PLACE)
                file.write(current)
        os.utime(path, ns=(time.time_ns(), index.st_mtime_ns))


def use(path: Path, index: os.stat_result) -> None:
    """Say that an index was used now: by its access time, where this user may write it."""
    with suppress(OSError):
        os.utime(path, ns=(time.time_ns(), index.st_mtime_ns))


def unused_seconds(index: os.stat_result) -> float:
    """Seconds since an index was made or used."""
    return time.time() - max(index.st_atime, index.st_mtime)
