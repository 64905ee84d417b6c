"""Which database a command talks to: an option, DATABASE_URL, or the embedded PostgreSQL."""

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from windsock.cli._signals import leaving_on_signals, signals_later
from windsock.errors import ConfigurationError, MissingExtraError
from windsock.postgres import embedded

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        envvar="DATABASE_URL",
        show_envvar=True,
        help="The database; without it an embedded PostgreSQL in .windsock/postgres.",
    ),
]


@contextlib.contextmanager
def database(url: str | None) -> Iterator[str]:
    """The connection string; without one, the embedded server runs for the duration of the block."""
    if url:
        yield url
        return
    with leaving_on_signals():
        with signals_later():
            server = _embedded()
        with server:
            yield server.url


def _embedded() -> embedded.EmbeddedPostgres:
    try:
        return embedded.start()
    except MissingExtraError as missing:
        raise ConfigurationError(f"DATABASE_URL isn't set, and {missing}") from missing
