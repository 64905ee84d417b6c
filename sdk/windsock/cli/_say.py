"""What every command prints through: lines that nothing in a flag, a file or a database can break or fake."""

import json
import re
import shutil
import sys
import textwrap
from typing import TextIO

from windsock.text import escaped

_MARKED = re.compile(r" *(?:[~+-] )?")
"""A line's indentation and the mark of a change, which stays with the word after it."""


def say(line: str) -> None:
    """Print one line of data to stdout."""
    _print(line, sys.stdout)


def note(line: str) -> None:
    """Print what goes beside the data to stderr."""
    _print(line, sys.stderr)


def warn(message: str) -> None:
    """Print one message to stderr."""
    _print(f"windsock: {message}", sys.stderr)


def wrapped(line: str, stream: TextIO) -> list[str]:
    """A line as a terminal should show it: broken between words, further lines indented.

    A word is never broken, so that an id or a path can be copied. In a pipe or a file a line stays whole.
    """
    if not stream.isatty():
        return [line]
    columns = shutil.get_terminal_size().columns
    start = _MARKED.match(line)[0]  # type: ignore[index]  # it matches every line
    indent = " " * (len(line) - len(line.lstrip(" ")) + 4)
    return textwrap.wrap(
        line[len(start) :], columns, initial_indent=start, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    ) or [""]  # fmt: skip


def _print(line: str, stream: TextIO) -> None:
    for each in wrapped(escaped(line), stream):
        print(each, file=stream)


def print_json(data: object) -> None:
    """Print JSON to stdout, indented, with escapes for what a terminal would act on or cannot show."""
    text = json.dumps(data, ensure_ascii=False, indent=2, default=str)
    lines = (
        line
        if line.isprintable()
        else "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in line)
        for line in text.split("\n")
    )
    print("\n".join(lines))
