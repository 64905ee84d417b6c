"""What every command prints through: lines that nothing in a flag, a file or a database can break or fake."""

import json
import sys

from windsock.text import escaped


def say(line: str) -> None:
    """Print one line of data to stdout."""
    print(escaped(line))


def warn(message: str) -> None:
    """Print one message to stderr."""
    print(f"windsock: {escaped(message)}", file=sys.stderr)


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
