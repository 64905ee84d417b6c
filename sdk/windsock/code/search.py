"""Parses the Python files that may matter, and no others: LibCST takes time and memory."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import libcst as cst

from windsock.code.sources import UnfitError, checked_size, python_files, source_of
from windsock.text import count

MAX_NODES: Final = 100_000
"""How much is parsed in one search, in nodes of syntax trees: 700 kB of Python, which takes about 15 s."""

_WORD: Final = re.compile(r"\w+")


class _File(NamedTuple):
    path: str
    text: str
    words: frozenset[str]


class Search:
    """Python files, of which some are parsed.

    Args:
        paths: Files and folders.
        unread: Receives what is left out, with the reason.
    """

    def __init__(self, paths: Sequence[Path], unread: list[str]) -> None:
        self._unread = unread
        self._nodes = 0
        self._files = list(self._readable(paths))

    def parsed(self, words: set[str]) -> Iterator[tuple[str, cst.Module]]:
        """The files with one of these words that were not parsed so far."""
        chosen = [each for each in self._files if not words.isdisjoint(each.words)]
        self._files = [each for each in self._files if words.isdisjoint(each.words)]
        for number, (path, text, _) in enumerate(chosen):
            try:
                size = checked_size(text, MAX_NODES)
                if self._nodes + size > MAX_NODES:
                    self._leave_out_rest(chosen[number:])
                    return
                self._nodes += size
                yield path, cst.parse_module(text)
            except (UnfitError, cst.ParserSyntaxError) as error:
                self._leave_out(path, error)

    def _readable(self, paths: Sequence[Path]) -> Iterator[_File]:
        for found in python_files(paths):
            try:
                text = source_of(found)
            except OSError as error:
                self._leave_out(found.path, error.strerror)
            except UnfitError as error:
                self._leave_out(found.path, error)
            else:
                yield _File(str(found.path), text, frozenset(_WORD.findall(text)))

    def _leave_out(self, path: Path | str, why: object) -> None:
        self._unread.append(f"{path}: {str(why).partition(chr(10))[0]}")

    def _leave_out_rest(self, files: Sequence[_File]) -> None:
        self._unread.append(
            f"{files[0].path}: {count(len(files), 'file')} from here on, for one search parses {MAX_NODES:,} "
            "nodes of syntax trees at most; name fewer with --code"
        )
