"""Prints rich's layouts so that they can be read in a pipe or a file, too."""

import sys

from rich.console import Console, RenderableType
from rich.text import Text


def console_of(columns: int, *, quiet: bool = False) -> Console:
    """Make a console as wide as the terminal, or with this many columns: a pipe has no width.

    rich itself leaves colours out of pipes and where NO_COLOR is set.
    """
    return Console(width=None if sys.stdout.isatty() else columns, highlight=False, quiet=quiet)


def print_lines(console: Console, what: RenderableType, *, indent: int = 0, hanging: int = 0) -> None:
    """Print without the spaces with which rich pads its lines.

    Args:
        console: Where to.
        what: A text or a table.
        indent: Columns before each line.
        hanging: Additional columns before each line but the first.
    """
    options = console.options.update_width(console.width - indent - hanging)
    for number, segments in enumerate(console.render_lines(what, options, pad=False)):
        line = Text(" " * (indent + hanging * (number > 0)))
        for segment in segments:
            line.append(segment.text, segment.style)
        line.rstrip()
        console.print(line, soft_wrap=True)
