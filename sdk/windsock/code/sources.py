"""Finds and reads Python files, and refuses those that would crash a parser."""

import ast
import io
import os
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from windsock.plain_files import leads_out, open_plain

MAX_BYTES: Final = 1024 * 1024
"""Largest file that is searched."""

MAX_DEPTH: Final = 90
"""Maximum depth of the syntax tree; LibCST's parser crashes at a few thousand, its visitors at some 140."""

MAX_PATTERN_DEPTH: Final = 8
"""Maximum nesting of brackets in a `match` pattern; each level at least doubles LibCST's time."""

_SKIPPED: Final = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "build", "dist"})


class UnfitError(Exception):
    """A file that isn't searched, and why."""


class Found(NamedTuple):
    """A Python file, or a folder that may not be listed.

    Attributes:
        path: Its path.
        below: The folder in which it was found; None if it was named.
    """

    path: Path
    below: Path | None = None


def python_files(paths: Sequence[Path]) -> Iterator[Found]:
    """Find the Python files among the paths and in their folders, without installed packages."""
    for path in paths:
        if path.is_dir():
            yield from (Found(each, path) for each in sorted(_below(path)))
        else:
            yield Found(path)


def _below(folder: Path) -> Iterator[Path]:
    """What is to be read in a folder, found without recursion: a tree may be deeper than Python's stack."""
    waiting = [folder]
    for here in waiting:  # it grows
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting += [Path(entry)] if entry.name not in _SKIPPED else []
                    elif entry.name.endswith(".py"):
                        yield Path(entry)
        except OSError:
            yield here


def bytes_of(found: Found) -> bytes:
    """Read a file.

    Raises:
        UnfitError: It is too large, or a link that leads out of the folder in which it was found.
        OSError: It cannot be read, or isn't a file.
    """
    if found.below is not None and found.path.is_symlink() and leads_out(found.path, found.below):
        raise UnfitError("this link leads out of the folder")
    with open_plain(found.path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UnfitError(f"larger than {MAX_BYTES} bytes")
    return data


def source_of(found: Found) -> str:
    """Return a file's text, decoded as it declares (PEP 263).

    Raises:
        UnfitError: It is too large, a link out of its folder, or has an unknown encoding.
        OSError: It cannot be read, or isn't a file.
    """
    data = bytes_of(found)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, ValueError, LookupError) as error:
        raise _not_python(error) from error
    return text


def checked_size(text: str, limit: int) -> int:
    """How many nodes the syntax tree of a text has, if LibCST can walk it.

    Raises:
        UnfitError: It isn't Python, is nested too deep, or has more than `limit` nodes.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # an invalid escape sequence
            tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise _not_python(error) from error
    except (RecursionError, MemoryError):
        raise UnfitError("nested too deep") from None
    size = _size(tree, limit)
    if any(
        _brackets(text, each) > MAX_PATTERN_DEPTH
        for each in ast.walk(tree)
        if isinstance(each, ast.match_case)
    ):
        raise UnfitError(f"a pattern nested more than {MAX_PATTERN_DEPTH} levels deep")
    return size


def _not_python(error: Exception) -> UnfitError:
    said = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else error
    return UnfitError(f"not Python: {said}")


def _size(tree: ast.AST, limit: int) -> int:
    """The number of nodes, counted without recursion."""
    level, size = [tree], 1
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        size += len(level)
        if size > limit:
            raise UnfitError(f"its syntax tree has more than {limit:,} nodes")
        if not level:
            return size
    raise UnfitError(f"nested more than {MAX_DEPTH} levels deep")


def _brackets(text: str, case: ast.match_case) -> int:
    """The deepest nesting of brackets on the lines of a pattern, including those in strings."""
    deepest = depth = 0
    for line in text.splitlines()[case.pattern.lineno - 1 : case.body[0].lineno]:
        for letter in line:
            depth += (letter in "([{") - (letter in ")]}")
            deepest = max(deepest, depth)
    return deepest
