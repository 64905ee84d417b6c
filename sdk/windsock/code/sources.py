"""Finds and reads Python files, and refuses those that would crash a parser."""

import ast
import io
import os
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from windsock.plain_files import leads_out, open_plain

MAX_BYTES: Final = 1024 * 1024
"""Largest file that is searched."""

MAX_OTHER_BYTES: Final = 8 * MAX_BYTES
"""Largest notebook or template that is searched: notebooks hold pictures."""

MAX_DEPTH: Final = 100
"""Maximum depth of the syntax tree, which is walked by functions that call themselves."""

MAX_EXPRESSION: Final = 500
"""Longest expression that is read in a string."""

_SKIPPED: Final = frozenset({".git", ".venv", "node_modules", "__pycache__", ".tox"})
_BUILT: Final = frozenset({"build", "dist", "venv"})
"""Folders of built or installed packages, unless they are packages themselves."""

_PYTHON: Final = ".py"
_OTHERS: Final = (".ipynb", ".pyw", ".pyx", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako", ".tmpl")
_SHEBANG: Final = re.compile(rb"#![^\n]*(?:python|pypy|\buv run\b)")


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
            yield from (Found(each, path) for each in sorted(_below(path, _PYTHON)))
        else:
            yield Found(path)


def other_files(paths: Sequence[Path]) -> Iterator[Found]:
    """Find what else may use flags in the folders: notebooks, templates, and scripts without a suffix."""
    for folder in paths:
        if folder.is_dir():
            found = sorted(each for each in _below(folder, "") if each.suffix in ("", *_OTHERS))
            yield from (Found(each, folder) for each in found if each.suffix or _is_script(each))


def _is_script(path: Path) -> bool:
    try:
        with open_plain(path, links=False) as file:
            return _SHEBANG.match(file.read(100)) is not None
    except OSError:  # a folder or a pipe
        return False


def _below(folder: Path, suffix: str) -> Iterator[Path]:
    """What is to be read in a folder, found without recursion: a tree may be deeper than Python's stack."""
    waiting = [folder]
    for here in waiting:  # it grows
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting += [] if _is_skipped(entry) else [Path(entry)]
                    elif entry.name.endswith(suffix):
                        yield Path(entry)
        except OSError:
            yield here


def _is_skipped(folder: os.DirEntry[str]) -> bool:
    return folder.name in _SKIPPED or (folder.name in _BUILT and not Path(folder, "__init__.py").exists())


def bytes_of(found: Found, limit: int = MAX_BYTES) -> bytes:
    """Read a file.

    Raises:
        UnfitError: It is too large, or a link that leads out of the folder in which it was found.
        OSError: It cannot be read, or isn't a file.
    """
    if found.below is not None and found.path.is_symlink() and leads_out(found.path, found.below):
        raise UnfitError("this link leads out of the folder")
    with open_plain(found.path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UnfitError(f"larger than {limit} bytes")
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


def checked_tree(text: str, limit: int) -> tuple[ast.Module, int]:
    """Parse a text that isn't nested too deep to be walked, and count its nodes.

    Raises:
        UnfitError: It isn't Python, is nested too deep, or has more than `limit` nodes.
    """
    tree = _parsed(text)
    return tree, _size(tree, limit)


def expression(text: str) -> ast.expr:
    """Parse an expression that is written in a string, as annotations may be.

    Raises:
        UnfitError: It isn't an expression, is too long, or nested too deep.
    """
    if len(text) > MAX_EXPRESSION:
        raise UnfitError(f"longer than {MAX_EXPRESSION} characters")
    tree, _ = checked_tree(text.strip(), MAX_EXPRESSION)
    match tree.body:
        case [ast.Expr(value=value)]:
            return value
    raise UnfitError("not an expression")


def _parsed(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings(action="ignore"):  # an invalid escape sequence
            return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise _not_python(error) from error
    except (RecursionError, MemoryError):
        raise UnfitError("nested too deep") from None


def _not_python(error: Exception) -> UnfitError:
    reason = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else error
    return UnfitError(f"not Python: {reason}")


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
