"""What every command prints through: lines that nothing in a flag, a file or a database can break or fake."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, TextIO

from windsock.text import count, escaped

_MARKED = re.compile(r" *(?:[~+-] )?")
"""A line's indentation and the mark of a change, which stays with the word after it."""


_CI_COMMAND = re.compile(r"(?<=##)(\w*)\[")
"""``##[add-mask]`` and ``##vso[…]``, which GitHub and Azure Pipelines obey anywhere in a line of the log."""


_MOST: Final = 10_000
"""The most characters of a line for a person: a name in a flag file may have any length."""

_SHOWN: Final = 10
"""How many problems of the files are listed by a command that answers another question."""


class Shade(IntEnum):
    """A colour, by its number among a terminal's."""

    RED = 31
    YELLOW = 33
    CYAN = 36


def inert(text: str) -> str:
    r"""The text on one line, `escaped`, so that a CI whose log it gets into takes it for no command.

    A colon of ``::`` at its beginning becomes ``\x3a``; GitHub obeys such lines.
    """
    text = _CI_COMMAND.sub(r"\1\\x5b", escaped(text))
    return text.replace(":", r"\x3a", 1) if text.lstrip().startswith("::") else text


def say(line: str) -> None:
    """Print one line of data to stdout."""
    _print(line, sys.stdout)


def say_whole(line: str) -> None:
    """Print one line that is copied or read by a program: a terminal breaks it, we don't."""
    print(inert(line), flush=True)


def say_command(line: str) -> None:
    """Print a command to a CI, made of parts that are `inert`."""
    print(line, flush=True)


def say_shaded(line: str, word: str, shade: Shade) -> None:
    """Print one line of data to stdout, at a terminal with its first `word` in a colour."""
    first, *more = wrapped(inert(_cut(line)), sys.stdout)
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        first = first.replace(word, f"\x1b[{shade:d}m{word}\x1b[0m", 1)
    print("\n".join([first, *more]))


def note(line: str) -> None:
    """Print what goes beside the data to stderr."""
    _print(_cut(line), sys.stderr)


def warn(message: str) -> None:
    """Print one message to stderr."""
    _print(_cut(f"windsock: {message}"), sys.stderr)


def warn_first(problems: Sequence[object]) -> None:
    """Print the first few problems of the flag files to stderr, and how many there are besides."""
    for problem in problems[:_SHOWN]:
        warn(str(problem))
    if len(problems) > _SHOWN:
        warn(f"and {count(len(problems) - _SHOWN, 'more problem')}; `windsock lint` lists them")


def progress(line: str) -> None:
    """Show how far a command is, in place of what this showed before; only at a terminal. "" ends it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{inert(line)}", end="", file=sys.stderr, flush=True)


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


def _cut(line: str) -> str:
    return line if len(line) <= _MOST else line[: _MOST - 1] + "…"


def _print(line: str, stream: TextIO) -> None:
    for each in wrapped(inert(line), stream):
        print(each, file=stream)


def print_json(data: object) -> None:
    """Print JSON to stdout, indented, with escapes for what a terminal would act on or cannot show."""
    print_document(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def print_document(text: str) -> None:
    """Print a JSON text to stdout, with such escapes; it means the same."""
    for line in text.removesuffix("\n").split("\n"):
        print(escaped_json(line))


def escaped_json(text: str) -> str:
    """A JSON text with the same characters escaped as JSON escapes them, so that it means the same."""
    text = _CI_COMMAND.sub(r"\1\\u005b", text)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def print_patch(lines: Iterable[str]) -> None:
    """Print a patch to stdout: to a pipe exactly, because a program applies it; to a terminal escaped.

    Args:
        lines: With their line ends.
    """
    if sys.stdout.isatty():
        for line in lines:
            print(inert(line.removesuffix("\n")))
    else:
        sys.stdout.writelines(lines)
