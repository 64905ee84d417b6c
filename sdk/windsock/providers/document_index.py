"""Documents with long lists, read through an index file that all processes of a host map.

A set of ten million ids takes 1.5 GB in each process. The index of a document is made once, by the first
process that reads the document, and lies in ``.windsock/index``, which only this user may use. It holds the
document without its long lists, and a `TextIndex` of them. The document stays the truth: an index counts only
if it was made from these very bytes and is undamaged. Without one, the lists are sets, as in other documents.
"""

import hashlib
import json
import logging
import mmap
import os
import struct
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias
from zlib import crc32

from windsock import disk
from windsock.evaluator.membership import membership
from windsock.evaluator.text_index import IndexedTexts, TextIndex, build
from windsock.flags import Document, Flag, read_document
from windsock.flags.model import JsonValue
from windsock.private_folder import NO_FOLLOW, check_private, make_private
from windsock.variables import data_folder

logger = logging.getLogger("windsock.flags")

_LONG: Final = 1_000
"""Texts of a list that is worth an index; with it, all lists for the same attribute are indexed."""

_LOGIC: Final = frozenset({"if", "?:", "and", "or", "!"})
"""Operators whose arguments are rules; those of others may be data, lists included."""

_PATIENCE: Final = 30.0
"""Seconds to wait for another process that makes an index."""

_MAGIC: Final = b"wsindex1" if sys.byteorder == "little" else b"wsindeX1"
_START: Final = struct.Struct("=8sI32sQQQ")
_CHECKED_FROM: Final = 12
_CHUNK: Final = 1 << 20

Steps: TypeAlias = tuple[str | int, ...]
"""The way to a part of a rule: keys and positions."""


class _Start(NamedTuple):
    """The beginning of an index file: then come the bounds, the records, and the document as JSON.

    The checksum is the CRC-32 of everything that follows it, the digest is the document's.
    """

    magic: bytes
    checksum: int
    digest: bytes
    bounds: int
    records: int
    size: int


def read_indexed(data: bytes, source: str, faults: set[str]) -> Document:
    """Read a document as `read_document` does, with an index in place of its long lists.

    Args:
        data: The document's bytes.
        source: Its path.
        faults: Why indexes can't be used, as logged so far. While there is a fault, nobody is waited for.

    Raises:
        FlagFileError: None of it can be read.
    """
    try:
        document = _indexed(data, source, 0.0 if faults else _PATIENCE)
    except OSError as error:
        if not faults:
            logger.warning("%s: no index for its lists, so this process has its own copy of them: %s",
                           source, error)  # fmt: skip
        faults.add(str(error))
        return read_document(data, source)
    faults.clear()
    return document


def _indexed(data: bytes, source: str, patience: float) -> Document:
    digest = hashlib.sha256(data).digest()
    path = _path_of(source)
    found = _open(path, digest, source)
    if found is not None:
        return found
    make_private(path.parent)
    with _turn(path.parent, patience):
        found = _open(path, digest, source)  # another process may have made it meanwhile
        if found is not None:
            return found
        document = read_document(data, source)
        content = _content(document, digest)
        if content is None:
            return document
        if not path.exists():
            _sweep(path.parent)
        with disk.replacing(path, private=True) as file:
            file.writelines(content)
    return _open(path, digest, source) or document


def _path_of(source: str) -> Path:
    name = hashlib.sha256(os.path.abspath(source).encode(errors="surrogateescape")).hexdigest()  # noqa: PTH100 - no link is followed
    return data_folder() / "index" / f"{name[:16]}.index"


@contextmanager
def _turn(folder: Path, patience: float) -> Iterator[None]:
    """Hold the folder's lock: one process makes an index, and the others find it made.

    Raises:
        TimeoutError: Another process held it for too long.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        end = time.monotonic() + patience
        while disk.CAN_LOCK and not disk.lock(descriptor, wait=False):
            if time.monotonic() > end:
                raise TimeoutError(f"another process has held the lock of {folder} for {patience:g} s")
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove the indexes of documents that are gone."""
    for path in folder.glob("*.index"):
        with suppress(OSError, ValueError, KeyError), path.open("rb") as file:
            start = _start(file)
            if start is not None and not Path(_described(file, start)["source"]).exists():
                path.unlink()


# -- reading ----------------------------------------------------------------------------------------------


def _open(path: Path, digest: bytes, source: str) -> Document | None:
    """The document by its index; None if there is no undamaged index of these bytes."""
    try:
        check_private(path.parent)
        descriptor = os.open(path, os.O_RDONLY | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        start = _start(file)
        if start is None or start.digest != digest or not _is_undamaged(file, start):
            return None
        try:
            return _mapped(file, start, source)
        except (LookupError, TypeError, ValueError, AttributeError):  # another version of windsock made it
            return None


def _mapped(file: BinaryIO, start: _Start, source: str) -> Document:
    described = _described(file, start)
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    bounds = memoryview(content)[_START.size : _START.size + start.bounds].cast("I")
    index = TextIndex(content, bounds, described["codes"])
    flags = [Flag(**each, source=source) for each in described["flags"]]
    for number, (flag, steps, count, digest_of_list) in enumerate(described["lists"]):
        _put(flags[flag].targeting, steps, IndexedTexts(index, number, count, digest_of_list))
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


def _content(document: Document, digest: bytes) -> tuple[bytes, ...] | None:
    """The parts of an index file; None for a document that needs no index, or can't have one."""
    if document.problems:
        return None
    lists: list[tuple[int, Steps, Sequence[str]]] = []
    flags = []
    for number, flag in enumerate(document.flags.values()):
        cut = _Cut(frozenset(_attributes(flag.targeting)))
        kept = {name: getattr(flag, name) for name in _KEPT}
        flags.append({**kept, "targeting": cut.rule(flag.targeting)})
        lists += [(number, steps, texts) for steps, texts in cut.lists]
    tables = build([texts for _, _, texts in lists], _START.size) if lists else None
    if tables is None:
        return None
    described = {
        "source": os.path.abspath(document.source),  # noqa: PTH100 - as in _path_of
        "metadata": document.metadata,
        "flags": flags,
        "lists": [(number, steps, len(texts), _digest(texts)) for number, steps, texts in lists],
        "codes": tables.codes,
    }
    written = json.dumps(described).encode()
    size = _START.size + len(tables.bounds) + len(tables.records) + len(written)
    begun = _START.pack(_MAGIC, 0, digest, len(tables.bounds), len(tables.records), size)
    parts = (begun[_CHECKED_FROM:], tables.bounds, tables.records, written)
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return (struct.pack("=8sI", _MAGIC, checksum), *parts)


_KEPT: Final = ("key", "enabled", "variants", "default_variant", "metadata", "line")


def _digest(texts: Sequence[str]) -> str:
    """Tell lists apart by their texts, joined, and the texts' lengths."""
    joined = hashlib.sha256("".join(texts).encode("utf-8", "surrogatepass"))
    joined.update(array("Q", map(len, texts)))
    return joined.hexdigest()


def _attributes(rule: JsonValue) -> Iterator[str]:
    """The attributes that a rule compares with a long list."""
    test = membership(rule)
    if test is not None:
        if len(test.texts) >= _LONG:
            yield test.name
        return
    _, parts = _combined(rule)
    for part in parts:
        yield from _attributes(part)


def _combined(rule: JsonValue) -> tuple[str, Sequence[JsonValue]]:
    """The operator of a rule that combines rules, and these rules; none for any other rule."""
    if isinstance(rule, dict) and len(rule) == 1:
        ((operator, arguments),) = rule.items()
        if operator in _LOGIC and isinstance(arguments, list):
            return operator, arguments
    return "", ()


@dataclass(frozen=True, slots=True)
class _Cut:
    """Cuts the lists for some attributes out of a rule.

    Attributes:
        attributes: The attributes.
        lists: The lists that were cut, each with the way to its place.
    """

    attributes: frozenset[str]
    lists: list[tuple[Steps, Sequence[str]]] = field(default_factory=list)

    def rule(self, rule: JsonValue, way: Steps = ()) -> JsonValue:
        """A copy of a rule with null in place of each list."""
        test = membership(rule)
        indexed = test is not None and test.reads_numbers and test.name in self.attributes
        if indexed and isinstance(rule, dict):
            self.lists.append(((*way, "in", 1), rule["in"][1]))
            return {"in": [rule["in"][0], None]}
        operator, parts = _combined(rule)
        if not parts:
            return rule
        return {operator: [self.rule(part, (*way, operator, number)) for number, part in enumerate(parts)]}
