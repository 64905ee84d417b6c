"""What the sub-commands of `windsock experiment` that analyse data have in common."""

import contextlib
import importlib.util
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from windsock.cli._database import database
from windsock.cli._lines import working
from windsock.errors import MissingExtraError
from windsock.gitops import contexts

if any(importlib.util.find_spec(library) is None for library in ("ibis", "tea_tasting")):
    raise MissingExtraError("windsock experiment", "experiments")

__all__ = ["Data", "Environment", "Now", "moment", "place"]

Environment = Annotated[str, typer.Option(help="The environment whose data is read.")]
Data = Annotated[
    str | None,
    typer.Option(
        envvar="DATABASE_URL",
        show_envvar=True,
        help="Where the data is: a PostgreSQL URL, or a folder of Parquet and CSV files; by default the "
        "embedded PostgreSQL.",
    ),
]
Now = Annotated[
    str | None, typer.Option("--at", help="Analyse as of this time (2026-11-28T12:00Z); by default now.")
]


@contextlib.contextmanager
def place(data: str | None, doing: str = "Analysing …") -> Iterator[str]:
    """Where the data is: what was named, or the embedded PostgreSQL for as long as it is used.

    Args:
        data: What was named.
        doing: What a terminal shows until the end of the block.
    """
    with (
        working(doing),
        contextlib.nullcontext(data) if data and "://" not in data else database(data) as url,
    ):
        yield str(url)


def moment(text: str | None) -> datetime | None:
    """Read ``--at``: a time in ISO 8601, or None for now.

    Raises:
        ConfigurationError: It is not a time.
    """
    return None if text is None else contexts.moment(text)
