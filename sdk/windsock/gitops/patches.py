"""Patches for ``git apply``."""

import difflib
from collections.abc import Iterator


def patch_lines(path: str, before: str | None, after: str) -> Iterator[str]:
    """A change to a file, line by line, as ``git apply`` takes it.

    Args:
        path: The file, relative to where the patch is applied, with slashes.
        before: Its text, with its own line ends; None if the patch makes the file.
        after: The new text.
    """
    old = "/dev/null" if before is None else _quoted(f"a/{path}")
    lines = difflib.unified_diff(
        lines_of(before or ""), lines_of(after), old, _quoted(f"b/{path}"), lineterm="\n"
    )
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def lines_of(text: str) -> list[str]:
    """Lines as Git counts them: `str.splitlines` also breaks at characters that a JSON text may hold."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    return lines if lines[-1] else lines[:-1]


def _quoted(path: str) -> str:
    """A patch's path as Git quotes it: C-style if it isn't plain."""
    if path.isascii() and path.isprintable() and not set(path) & {'"', "\\", " "}:
        return path
    marks = {0x22: '\\"', 0x5C: "\\\\"}
    inner = "".join(
        marks.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}") for byte in path.encode()
    )
    return f'"{inner}"'
