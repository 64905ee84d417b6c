"""Parses the Python files that may matter, and no others: syntax trees take time and memory."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from windsock.code.known import LONGEST
from windsock.code.names import NameScope, scope_of
from windsock.code.sources import Found, UnfitError, checked_tree, python_files, source_of
from windsock.text import count

MAX_NODES: Final = 400_000
"""How much is parsed in one search, in nodes of syntax trees: about 2.5 MB of Python."""

MAX_TEXT: Final = 50_000_000
"""How much is read in one search, in characters."""

_WORD: Final = re.compile(r"\w+")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_CLASS: Final = re.compile(r"class\s+")


class _File(NamedTuple):
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A module's syntax tree, and where in the file its nodes are.

    Attributes:
        path: The file.
        tree: The tree.
    """

    path: str
    tree: ast.Module
    _text: str
    _lines: list[str] = field(default_factory=list)
    _columns: dict[int, list[int]] = field(default_factory=dict)
    _scopes: dict[ast.AST, NameScope] = field(default_factory=dict)

    def scope(self, node: ast.AST) -> NameScope:
        """The names that the module, or a class, function or lambda in it, binds."""
        if node not in self._scopes:
            self._scopes[node] = scope_of(node, Path(self.path).parts[-LONGEST:-1])
        return self._scopes[node]

    def place(self, node: ast.expr) -> tuple[int, int]:
        """One-based line and column, in characters, where an expression begins."""
        return node.lineno, self._column(node.lineno, node.col_offset)

    def place_of_attribute(self, node: ast.Attribute) -> tuple[int, int]:
        """Where the name after an attribute's dot begins."""
        line, end = node.end_lineno or node.lineno, node.end_col_offset or 0
        return line, self._column(line, end) - len(node.attr)

    def place_of_class(self, node: ast.ClassDef) -> tuple[int, int]:
        """Where a class's name begins."""
        column = self._column(node.lineno, node.col_offset)
        keyword = _CLASS.match(self._line(node.lineno), column - 1)
        return node.lineno, column if keyword is None else keyword.end() + 1

    def _column(self, line: int, offset: int) -> int:
        """One-based column of the character at an offset in bytes of UTF-8 from the beginning of its line."""
        text = self._line(line)
        if text.isascii():
            return offset + 1
        if line not in self._columns:
            self._columns[line] = list(accumulate((byte & 0xC0 != 0x80 for byte in text.encode()), initial=0))
        return self._columns[line][offset] + 1

    def _line(self, number: int) -> str:
        if not self._lines:
            self._lines.extend(_LINE_END.split(self._text))
        return self._lines[number - 1]


class Search:
    """Python files, of which some are parsed.

    Args:
        paths: Files and folders.
        unread: Receives what is left out, with the reason.
    """

    def __init__(self, paths: Sequence[Path], unread: list[str]) -> None:
        self._unread = unread
        self._nodes = 0
        self._searched: set[str] = set()
        self._files = list(self._readable(paths))

    def parsed(self, words: set[str]) -> Iterator[Parsed]:
        """The files with one of these words that were not parsed so far."""
        fresh = words - self._searched
        self._searched |= fresh
        if not fresh:
            return
        chosen: list[_File] = []
        others: list[_File] = []
        for each in self._files:
            (others if fresh.isdisjoint(_WORD.findall(each.text)) else chosen).append(each)
        self._files = others
        for number, (path, text) in enumerate(chosen):
            try:
                tree, size = checked_tree(text, MAX_NODES)
                if self._nodes + size > MAX_NODES:
                    self._leave_out_rest(chosen[number:], f"parses {MAX_NODES:,} nodes of syntax trees")
                    return
                self._nodes += size
                yield Parsed(path, tree, text)
            except UnfitError as error:
                self._leave_out(path, error)

    def _readable(self, paths: Sequence[Path]) -> Iterator[_File]:
        left = MAX_TEXT
        files = list(python_files(paths))
        for number, found in enumerate(files):
            try:
                text = source_of(found)
            except OSError as error:
                self._leave_out(found.path, error.strerror)
            except UnfitError as error:
                self._leave_out(found.path, error)
            else:
                left -= len(text)
                if left < 0:
                    self._leave_out_rest(files[number:], f"reads {MAX_TEXT:,} characters")
                    return
                yield _File(str(found.path), text)

    def _leave_out(self, path: Path | str, why: object) -> None:
        self._unread.append(f"{path}: {str(why).partition(chr(10))[0]}")

    def _leave_out_rest(self, files: Sequence[_File | Found], most: str) -> None:
        self._unread.append(
            f"{files[0].path}: {count(len(files), 'file')} from here on, for one search {most} at most; "
            "name fewer with --code"
        )
