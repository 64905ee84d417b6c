"""What the sub-commands of `windsock experiment` that analyse data have in common."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from windsock.cli._database import database
from windsock.errors import MissingExtraError
from windsock.gitops import contexts

try:
    import windsock.experiments.result
except ImportError as missing:
    raise SystemExit(str(MissingExtraError("windsock experiment", "experiments"))) from missing

__all__ = ["Data", "Environment", "Now", "moment", "place", "windsock"]

Environment = Annotated[str, typer.Option(help="The environment to analyse.")]
Data = Annotated[
    str | None,
    typer.Option(
        envvar="DATABASE_URL",
        show_envvar=True,
        help="A PostgreSQL URL, or a folder of Parquet and CSV files; without it the embedded PostgreSQL.",
    ),
]
Now = Annotated[
    str | None, typer.Option("--at", help="Analyse as of this time (2026-11-28T12:00Z); by default now.")
]


@contextlib.contextmanager
def place(data: str | None) -> Iterator[str]:
    """Where the data is: what was named, or the embedded PostgreSQL for as long as it is used."""
    with contextlib.nullcontext(data) if data and "://" not in data else database(data) as url:
        yield str(url)


def moment(text: str | None) -> datetime | None:
    """Read ``--at``: a time in ISO 8601, or None for now.

    Raises:
        ConfigurationError: It is not a time.
    """
    return None if text is None else contexts.moment(text)
