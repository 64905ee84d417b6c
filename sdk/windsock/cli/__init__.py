"""The `windsock` command: one file per verb, imported when that verb is used."""

from windsock.cli._app import main

__all__ = ["main"]
