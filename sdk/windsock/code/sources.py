"""Finds and reads Python files, and refuses those that would crash a parser."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 1024 * 1024
"""Largest file that is searched."""

MAX_DEPTH: Final = 90
"""Maximum depth of the syntax tree; LibCST's parser crashes at a few thousand, its visitors at some 140."""

MAX_PATTERN_DEPTH: Final = 8
"""Maximum nesting of brackets in a `match` pattern; each level at least doubles LibCST's time."""

_SKIPPED: Final = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "build", "dist"})


class UnfitError(Exception):
    """A file that isn't searched, and why."""


def python_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Find the Python files among the paths and in their folders, without installed packages."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                each for each in path.rglob("*.py") if not _SKIPPED & set(each.relative_to(path).parts[:-1])
            )
        else:
            yield path


def source_of(path: Path) -> str:
    """Return a file's text, decoded as it declares (PEP 263), if it is Python that can be walked.

    Raises:
        UnfitError: It isn't a file, is too large, has an unknown encoding, isn't Python, or is
            nested too deep.
        OSError: It cannot be read.
    """
    if not path.is_file():
        raise UnfitError("not a file")
    if path.stat().st_size > MAX_BYTES:
        raise UnfitError(f"larger than {MAX_BYTES} bytes")
    data = path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        with warnings.catch_warnings(action="ignore"):  # an invalid escape sequence
            tree = ast.parse(data)
    except (SyntaxError, ValueError, LookupError) as error:
        said = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else error
        raise UnfitError(f"not Python: {said}") from error
    except (RecursionError, MemoryError):
        raise UnfitError("nested too deep") from None
    if _is_deeper(tree, MAX_DEPTH):
        raise UnfitError(f"nested more than {MAX_DEPTH} levels deep")
    if any(
        _brackets(text, each) > MAX_PATTERN_DEPTH
        for each in ast.walk(tree)
        if isinstance(each, ast.match_case)
    ):
        raise UnfitError(f"a pattern nested more than {MAX_PATTERN_DEPTH} levels deep")
    return text


def _is_deeper(tree: ast.AST, levels: int) -> bool:
    """Whether a tree has more levels, checked without recursion."""
    level = [tree]
    for _ in range(levels):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _brackets(text: str, case: ast.match_case) -> int:
    """The deepest nesting of brackets on the lines of a pattern, including those in strings."""
    deepest = depth = 0
    for line in text.splitlines()[case.pattern.lineno - 1 : case.body[0].lineno]:
        for letter in line:
            depth += (letter in "([{") - (letter in ")]}")
            deepest = max(deepest, depth)
    return deepest
