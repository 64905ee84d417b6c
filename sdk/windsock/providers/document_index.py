"""Documents with long lists, read through an index file that all processes of a host map.

A set of ten million ids takes 1.5 GB in each process. The first process that reads a document writes its
index into ``.windsock/index``, a folder of this user alone. The index holds the document without its long
lists, and a `TextIndex` of them. The document remains the source of truth: an index is used only if it was
made from the document's exact bytes and is undamaged, which a process verifies or an `index_stamp` records.
Without an index, the lists are sets, as in other documents.
"""

import hashlib
import json
import mmap
import os
import struct
import sys
import threading
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from zlib import crc32

from windsock import disk
from windsock.evaluator.text_index import IndexedTexts, Tables, TextIndex, build
from windsock.flags import Document, Flag, read_document
from windsock.logs import get_logger
from windsock.plain_files import open_plain, read_plain
from windsock.private_folder import ForeignFileError, open_private
from windsock.providers import index_stamp
from windsock.providers.index_stamp import Signature
from windsock.providers.long_lists import Cut, Steps, long_list_attributes
from windsock.variables import data_folder

logger = get_logger("windsock.flags")

_PATIENCE: Final = 30.0
"""Seconds to wait for another process that makes an index."""

_MAGIC: Final = b"wsindex3" if sys.byteorder == "little" else b"wsindeX3"
_START: Final = struct.Struct("=8s16sI32sQQQ")
_CHECKED_FROM: Final = 28
_CHUNK: Final = 1 << 20

_PAUSE: Final = 0.05
"""Seconds between two looks for what that process makes."""

_DAY: Final = 86_400.0

_NOT_OURS: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What reading an index raises that another version of windsock made."""


class _Place(NamedTuple):
    """A list in its place: in which flag, by number, and where in its rule."""

    flag: int
    steps: Steps
    texts: Sequence[str]


class _Start(NamedTuple):
    """The beginning of an index file: then come the bounds, the records, and the document as JSON.

    The checksum is the CRC-32 of everything that follows it, the digest is the document's.
    """

    magic: bytes
    stamp: bytes
    checksum: int
    digest: bytes
    bounds: int
    records: int
    size: int


class _Wanted(NamedTuple):
    """The index that is wanted: a document's bytes, their digest, their source, and the index's path.

    The signature is the file's from before it was read; None if it may have been written meanwhile.
    """

    data: bytes
    digest: bytes
    source: str
    path: Path
    signature: Signature | None


class _Found(NamedTuple):
    """The document by its index; None if it has no long lists, or can't have an index."""

    document: Document | None


def mapped(source: str, signature: Signature) -> Document | None:
    """The document from an index that is stamped for the file as it is; neither of the two is read.

    Args:
        source: The document's path.
        signature: Its signature now.
    """
    path = _path_of(source)
    with suppress(OSError, *_NOT_OURS), open_private(path) as file:
        start, status = _start(file), os.fstat(file.fileno())
        if start is not None and start.stamp == index_stamp.stamp_of(signature, status):
            document = _mapped(file, start, source)
            index_stamp.use(path, status)
            return document
    return None


def confirm(data: bytes, source: str, signature: Signature) -> None:
    """Stamp the index of a document that was so new, when it was read, that it had no signature."""
    with suppress(OSError):
        _open(_wanted(data, source, signature))


def read_indexed(
    data: bytes,
    source: str,
    faults: set[str],
    stop: threading.Event,
    signature: Signature | None = None,
) -> Document:
    """Read a document as `read_document` does, with an index in place of its long lists.

    Args:
        data: The document's bytes.
        source: Its path.
        faults: Why indexes can't be used, as logged so far. With one, no other process is waited for.
        stop: When set, another process that makes an index is no longer waited for.
        signature: The document's, from before it was read, if it has one.

    Raises:
        FlagFileError: None of it can be read.
        InterruptedError: `stop` was set while waiting.
    """
    wanted = _wanted(data, source, signature)
    try:
        found = _open(wanted)
        if found is None:
            disk.make_private(wanted.path.parent)
            with _locked_or_made(wanted, 0.0 if faults else _PATIENCE, stop) as made:
                found = _make(wanted) if made is None and _is_current(wanted) else made
    except InterruptedError:
        raise
    except OSError as error:
        if not faults:
            logger.warning("%s: no index for its lists, so this process has its own copy of them: %s",
                           source, error)  # fmt: skip
        faults.add(str(error))
        return read_document(data, source)
    faults.clear()
    return (found and found.document) or read_document(data, source)


def _wanted(data: bytes, source: str, signature: Signature | None) -> _Wanted:
    return _Wanted(data, hashlib.sha256(data).digest(), source, _path_of(source), signature)


def _path_of(source: str) -> Path:
    name = hashlib.sha256(os.path.abspath(source).encode(errors="surrogateescape")).hexdigest()  # noqa: PTH100 - no link is followed
    return data_folder() / "index" / f"{name[:16]}.index"


@contextmanager
def _locked_or_made(wanted: _Wanted, patience: float, stop: threading.Event) -> Iterator[_Found | None]:
    """Hold the folder's lock, so that one process makes an index; or yield the index that another made.

    Raises:
        TimeoutError: Another process held it for too long.
        InterruptedError: `stop` was set.
    """
    folder = wanted.path.parent
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        end = time.monotonic() + patience
        while disk.CAN_LOCK and not disk.lock(descriptor, wait=False):
            found = _open(wanted)
            if found is not None:
                yield found
                return
            if time.monotonic() > end:
                raise TimeoutError(f"another process has held the lock of {folder} for {patience:g} s")
            if stop.wait(_PAUSE):
                raise InterruptedError
        yield _open(wanted)  # another process may have made it just before
    finally:
        disk.unlock(descriptor)
        os.close(descriptor)


def _is_current(wanted: _Wanted) -> bool:
    """Whether the file still has these bytes; an index of older ones must not replace a newer index."""
    with suppress(OSError):
        path = Path(wanted.source)
        return path.stat().st_size == len(wanted.data) and read_plain(path) == wanted.data
    return False


def _sweep(folder: Path) -> None:
    """Remove what was unused for a day: indexes of documents that are gone, and unfinished files.

    Processes that see other folders may use younger ones. The indexes that stay count as used.
    """
    for path in folder.iterdir():
        with suppress(OSError, *_NOT_OURS):
            status = path.stat()
            if index_stamp.unused_seconds(status) < _DAY:
                continue
            if path.suffix != ".index" or _is_orphan(path):
                path.unlink()
            else:
                index_stamp.use(path, status)


def _is_orphan(path: Path) -> bool:
    with open_plain(path) as file:
        start = _start(file)
        return start is not None and not Path(_described(file, start)["source"]).exists()


# -- reading ----------------------------------------------------------------------------------------------


def _open(wanted: _Wanted) -> _Found | None:
    """Read the index of these bytes; None if there is no undamaged one."""
    try:
        with open_private(wanted.path) as file:
            start = _start(file)
            if start is None or start.digest != wanted.digest or not _is_undamaged(file, start):
                return None
            found = _Found(_mapped(file, start, wanted.source))
            if wanted.signature is None:
                index_stamp.use(wanted.path, os.fstat(file.fileno()))
            else:
                index_stamp.stamp(wanted.path, file, wanted.signature)
            return found
    except (FileNotFoundError, ForeignFileError, *_NOT_OURS):
        return None


def _mapped(file: BinaryIO, start: _Start, source: str) -> Document | None:
    described = _described(file, start)
    if described["flags"] is None:
        return None
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    bounds = memoryview(content)[_START.size : _START.size + start.bounds].cast("I")
    index = TextIndex(content, bounds, described["codes"])
    lists = [IndexedTexts(index, number, *each) for number, each in enumerate(described["lists"])]
    flags = [Flag(**each, source=source) for each in described["flags"]]
    for flag, steps, number in described["places"]:
        _put(flags[flag].targeting, steps, lists[number])
    revision = start.digest.hex()[:12]
    return Document(source, revision, {flag.key: flag for flag in flags}, described["metadata"])


def _start(file: BinaryIO) -> _Start | None:
    """The beginning of an index file; None if the file isn't one, or was cut."""
    begun = file.read(_START.size)
    if len(begun) < _START.size:
        return None
    start = _Start(*_START.unpack(begun))
    whole = start.magic == _MAGIC and start.size == os.fstat(file.fileno()).st_size
    return start if whole else None


def _is_undamaged(file: BinaryIO, start: _Start) -> bool:
    """Compare the checksum; read rather than mapped, so that no page counts as this process's memory."""
    file.seek(_CHECKED_FROM)
    checksum = 0
    while chunk := file.read(_CHUNK):
        checksum = crc32(chunk, checksum)
    return checksum == start.checksum


def _described(file: BinaryIO, start: _Start) -> dict[str, Any]:
    file.seek(_START.size + start.bounds + start.records)
    described: dict[str, Any] = json.loads(file.read())
    return described


def _put(rule: Any, steps: Sequence[str | int], texts: IndexedTexts) -> None:
    """Put a list into its place in a rule, which is this function's to change."""
    for step in steps[:-1]:
        rule = rule[step]
    rule[steps[-1]] = texts


# -- making -----------------------------------------------------------------------------------------------


def _make(wanted: _Wanted) -> _Found:
    """Read the document and write its index, or that it has none."""
    document = read_document(wanted.data, wanted.source)
    indexed = None if document.problems else _indexed(document, len(wanted.data))
    if not wanted.path.exists():
        _sweep(wanted.path.parent)
    with disk.replacing(wanted.path, private=True, sync=False) as file:  # its stamp waits for the disk
        file.writelines(_packed(wanted, *(indexed or _NONE)))
    return (indexed and _open(wanted)) or _Found(document)


def _indexed(document: Document, most: int) -> tuple[Tables, Mapping[str, object]] | None:
    """An index of a document, and the rest of the document; None if it needs no index, or can't have one.

    It can't if the rest is longer than `most` bytes: flags share lists by ``$ref``; here each has its own.
    """
    lists: list[_Place] = []
    flags = []
    for number, flag in enumerate(document.flags.values()):
        cut = Cut(long_list_attributes(flag.targeting))
        kept = {name: getattr(flag, name) for name in _KEPT}
        flags.append({**kept, "targeting": cut.rule(flag.targeting)})
        lists += [_Place(number, steps, texts) for steps, texts in cut.lists]
    digests = {key: _digest(texts) for key, texts in {id(each.texts): each.texts for each in lists}.items()}
    distinct = {digests[id(each.texts)]: each.texts for each in lists}
    tables = build([*distinct.values()], _START.size) if lists else None
    if tables is None:
        return None
    numbers = {digest: number for number, digest in enumerate(distinct)}
    described = {
        "metadata": document.metadata,
        "flags": flags,
        "lists": [(len(texts), digest) for digest, texts in distinct.items()],
        "places": [(each.flag, each.steps, numbers[digests[id(each.texts)]]) for each in lists],
        "codes": tables.codes,
    }
    return None if _is_longer(described, most) else (tables, described)


def _is_longer(described: Mapping[str, object], most: int) -> bool:
    """Whether this is too long as JSON, found without writing it whole."""
    lengths = accumulate(map(len, _JSON.iterencode(described)))
    return any(length > most for length in lengths)


def _packed(wanted: _Wanted, tables: Tables, described: Mapping[str, object]) -> tuple[bytes, ...]:
    """The parts of an index file."""
    source = os.path.abspath(wanted.source)  # noqa: PTH100 - as in _path_of
    written = _JSON.encode({"source": source, **described}).encode("utf-8", "surrogatepass")
    size = _START.size + len(tables.bounds) + len(tables.records) + len(written)
    lengths = (len(tables.bounds), len(tables.records), size)
    begun = _START.pack(_MAGIC, index_stamp.NONE, 0, wanted.digest, *lengths)
    parts = (begun[_CHECKED_FROM:], tables.bounds, tables.records, written)
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return (struct.pack("=8s16sI", _MAGIC, index_stamp.NONE, checksum), *parts)


_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NONE: Final[tuple[Tables, Mapping[str, object]]] = (Tables(b"", b"", ()), {"flags": None})
_KEPT: Final = ("key", "enabled", "variants", "default_variant", "metadata", "line")


def _digest(texts: Sequence[str]) -> str:
    """Tell lists apart by their texts, joined, and the texts' lengths."""
    joined = hashlib.sha256("".join(texts).encode("utf-8", "surrogatepass"))
    joined.update(array("Q", map(len, texts)))
    return joined.hexdigest()
