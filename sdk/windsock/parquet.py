"""What a Parquet file's footer says of its columns, read before DuckDB does: deep ones crash its process."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from windsock.errors import UnreachableError
from windsock.plain_files import open_plain

DEPTH: Final = 100
"""How deep columns may be nested: DuckDB 1.5 recurses, and crashes some ten thousand levels deep."""

COLUMNS: Final = 10_000
"""Columns of a file, nested ones included: DuckDB's time grows with their square."""

FOOTER: Final = 64 * 1024 * 1024
"""The longest footer, in bytes: one of a thousand columns in a hundred row groups has some ten million."""

_MAGIC: Final = b"PAR1"
_BOOLEANS: Final = frozenset({1, 2})
_LENGTHS: Final = {1: 0, 2: 0, 3: 1, 7: 8}
_VARINTS: Final = frozenset({4, 5, 6})
_BINARY, _LIST, _SET, _STRUCT = 8, 9, 10, 12
_I32, _I64 = 5, 6
_LONG: Final = 15
"""What begins a list of more elements than its first byte can say."""

_SCHEMA, _NUM_CHILDREN = 2, 5
"""Fields of FileMetaData and of SchemaElement, in Parquet's `parquet.thrift`."""

_LISTS: Final = {
    (2,): _STRUCT,  # schema
    (4,): _STRUCT,  # row groups
    (4, 1): _STRUCT,  # their columns
    (4, 1, 3, 2): _I32,  # encodings
    (4, 1, 3, 3): _BINARY,  # path in the schema
    (4, 1, 3, 8): _STRUCT,  # key and value
    (4, 1, 3, 13): _STRUCT,  # encoding stats
    (4, 1, 3, 16, 2): _I64,  # histograms of levels
    (4, 1, 3, 16, 3): _I64,
    (4, 1, 3, 17, 2): _I32,  # geospatial types
    (4, 1, 8, 2, 1): _BINARY,  # path in the schema of an encrypted column
    (4, 4): _STRUCT,  # sorting columns
    (5,): _STRUCT,  # key and value
    (7,): _STRUCT,  # column orders
}
"""The elements of a footer's lists, by the fields around each: DuckDB reads these, whatever the list says."""


def check_columns(path: Path) -> None:
    """Refuse a Parquet file over whose columns DuckDB would crash, or take minutes.

    A file that isn't Parquet passes: DuckDB says what is wrong with it.

    Raises:
        UnreachableError: It can't be read, or its columns are too many or nested too deep.
    """
    try:
        with open_plain(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8))
            tail = file.read(8)
            length = int.from_bytes(tail[:4], "little")
            if tail[4:] != _MAGIC or length > size - 8:
                return
            file.seek(size - 8 - length)
            footer = file.read(length) if length <= FOOTER else b""
    except OSError as error:
        raise UnreachableError(f"{path}: cannot be read: {error.strerror}") from error
    if not footer:
        raise UnreachableError(f"{path}: its footer is empty, or longer than {FOOTER // 1024**2} MiB")
    try:
        _Thrift(footer).check_schema()
    except (IndexError, RecursionError):
        raise UnreachableError(f"{path}: its footer is damaged; export it again") from None
    except ValueError as error:
        raise UnreachableError(f"{path}: {error}") from None


class _Thrift:
    """A footer in Thrift's compact protocol, read from the start.

    https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
    """

    def __init__(self, footer: bytes) -> None:
        self._bytes = footer
        self._at = 0

    def check_schema(self) -> None:
        """Refuse a schema that is too wide or too deep."""
        for field, kind in self._fields():
            if (field, kind) != (_SCHEMA, _LIST):
                self._skip(kind, (field,))
                continue
            inside: list[int] = []  # columns still to come, of each group around the next one
            for number in range(self._list((field,))[0]):
                children = self._column()
                if number >= COLUMNS:
                    raise ValueError(f"more than {COLUMNS:,} columns")
                if inside:
                    inside[-1] -= 1
                if children > 0:
                    inside.append(children)
                while inside and inside[-1] == 0:
                    inside.pop()
                if len(inside) > DEPTH:
                    raise ValueError(f"columns are nested more than {DEPTH} deep")

    def _column(self) -> int:
        children = 0
        for field, kind in self._fields():
            if (field, kind) == (_NUM_CHILDREN, _I32):
                children = self._number()  # a negative one is DuckDB's to refuse
            else:
                self._skip(kind, (_SCHEMA, field))
        return children

    def _fields(self) -> Iterator[tuple[int, int]]:
        field = 0
        while head := self._byte():
            field = (field + (head >> 4) if head >> 4 else self._number()) & 0xFFFF
            yield field, head & 0x0F

    def _list(self, place: tuple[int, ...]) -> tuple[int, int]:
        """How many elements a list or set has, and their type; each takes a byte or more."""
        head = self._byte()
        number = head >> 4 if head >> 4 < _LONG else self._varint()
        below = head & 0x0F
        if number > len(self._bytes) - self._at or (number and below != _LISTS.get(place, below)):
            raise IndexError
        return number, below

    def _skip(self, kind: int, place: tuple[int, ...]) -> None:
        if kind in _VARINTS:
            self._varint()
        elif kind in _LENGTHS:
            self._at += _LENGTHS[kind]
        elif kind == _BINARY:
            length = self._varint()
            self._at += length
        elif kind in {_LIST, _SET}:
            number, below = self._list(place)
            for _ in range(number):
                self._skip_element(below, place)
        elif kind == _STRUCT:
            for field, below in self._fields():
                self._skip(below, (*place, field))
        else:  # a map, of which Parquet has none, or nothing
            raise IndexError

    def _skip_element(self, kind: int, place: tuple[int, ...]) -> None:
        if kind in _BOOLEANS:  # in a list its value follows, in a field its type is its value
            self._at += 1
        else:
            self._skip(kind, place)

    def _number(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)  # zigzag

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise IndexError

    def _byte(self) -> int:
        byte = self._bytes[self._at]
        self._at += 1
        return byte
