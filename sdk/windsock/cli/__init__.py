"""The `windsock` command: one file per verb, imported when that verb is used."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line. Ctrl-C ends it without a traceback, also while its modules are imported."""
    try:
        from windsock.cli import _app  # noqa: PLC0415 - it takes most of the time until a command runs

        _app.main()
    except KeyboardInterrupt:
        sys.exit(130)
