"""What rich lays out, printed so that it can be read in a pipe and a file too."""

import sys

from rich.console import Console, RenderableType
from rich.text import Text


def console_of(columns: int, *, quiet: bool = False) -> Console:
    """Make a console as wide as the terminal, or with so many columns: a pipe has no width of its own.

    rich itself leaves colours out of pipes and where NO_COLOR is set.
    """
    return Console(width=None if sys.stdout.isatty() else columns, highlight=False, quiet=quiet)


def print_lines(console: Console, what: RenderableType, *, indent: int = 0, hanging: int = 0) -> None:
    """Print without the spaces that rich fills its lines up with.

    Args:
        console: Where to.
        what: A text or a table.
        indent: Columns before each line.
        hanging: Columns more before each line but the first.
    """
    options = console.options.update_width(console.width - indent - hanging)
    for number, segments in enumerate(console.render_lines(what, options, pad=False)):
        line = Text(" " * (indent + hanging * (number > 0)))
        for segment in segments:
            line.append(segment.text, segment.style)
        line.rstrip()
        console.print(line, soft_wrap=True)
