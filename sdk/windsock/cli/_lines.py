"""Prints rich's layouts for pipes and files, too; no value in them acts on a terminal."""

import sys
from typing import Final

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from windsock.cli._say import inert

__all__ = ["Console", "Grid", "Part", "console_of", "print_grid", "print_lines", "working"]

NO_BREAK: Final = "\N{NO-BREAK SPACE}"

_KEPT: Final = "\ue000"
"""What a no-break space is while rich lays out a line: rich would break it there."""

Part = str | tuple[str, str]
"""Text, perhaps with a style of rich's."""


class Grid(Table):
    """A table of values: their square brackets are text, and a value adds no line."""

    def __init__(self) -> None:
        super().__init__(box=box.SIMPLE, pad_edge=False)

    def row(self, *cells: Part) -> None:
        """Add a row."""
        self.add_row(*map(_text, cells))


def console_of(columns: int, *, quiet: bool = False) -> Console:
    """Make a console as wide as the terminal, or with this many columns: a pipe has no width.

    rich itself leaves colours out of pipes and where NO_COLOR is set.
    """
    return Console(width=None if sys.stdout.isatty() else columns, highlight=False, quiet=quiet)


def working(doing: str) -> Status:
    """Show, at a terminal, what a command is doing for as long as a `with` block takes."""
    return Console(stderr=True).status(inert(doing))


def print_grid(console: Console, grid: Grid) -> None:
    """Print a table without the spaces with which rich pads its lines."""
    _print(console, grid, 0, 0)


def print_lines(console: Console, *parts: Part, indent: int = 0, hanging: int = 0) -> None:
    """Print a line, broken where it is too long.

    Args:
        console: Where to.
        parts: Its text.
        indent: Columns before each line.
        hanging: Additional columns before each line but the first.
    """
    _print(console, Text.assemble(*map(_text, parts)), indent, hanging)


def _print(console: Console, what: Text | Grid, indent: int, hanging: int) -> None:
    options = console.options.update_width(console.width - indent - hanging)
    for number, segments in enumerate(console.render_lines(what, options, pad=False)):
        line = Text(" " * (indent + hanging * (number > 0)))
        for segment in segments:
            line.append(segment.text.replace(_KEPT, NO_BREAK), segment.style)
        line.rstrip()
        console.print(line, soft_wrap=True)


def _text(part: Part) -> Text:
    text, style = part if isinstance(part, tuple) else (part, "")
    return Text(inert(text).replace(NO_BREAK, _KEPT), style)
