"""A PostgreSQL connection for a background thread, reopened after faults; after a fork, it's the parent's."""

import os
import selectors
from typing import TYPE_CHECKING, Any

from windsock.errors import MissingExtraError
from windsock.postgres.urls import check_url

if TYPE_CHECKING:
    import psycopg


_SECONDS = 15.0
"""Maximum duration of a statement; after that, rows wait on disk and are sent again."""


class KeptConnection:
    """A connection that's opened on demand and kept; works through any pooler.

    Args:
        url: A libpq connection string or URL.
        name: Shown in ``pg_stat_activity``.
        purpose: What needs it, for the message about the missing extra.

    Raises:
        ConfigurationError: `url` can't be read.
        MissingExtraError: psycopg is not installed.
    """

    def __init__(self, url: str, name: str, purpose: str) -> None:
        try:
            from windsock.postgres.deadline import within  # noqa: PLC0415 - psycopg is an extra
        except ImportError as missing:
            raise MissingExtraError(purpose, "mirror") from missing
        check_url(url)
        self._connect = within(_SECONDS).connect
        self._url = url
        self._name = name
        self._open: psycopg.Connection[tuple[Any, ...]] | None = None
        self._owner = os.getpid()
        self._inherited: list[object] = []

    def opened(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """This process's connection, in autocommit mode; a new one if the server has ended it meanwhile.

        Raises:
            psycopg.OperationalError: The database can't be reached.
        """
        if self._owner != os.getpid():
            # A forked child must not end the session on its parent's socket: keep the object, never close it.
            self._inherited.append(self._open)
            self._open, self._owner = None, os.getpid()
        if self._open is not None and _is_ended(self._open):
            self.close()
        if self._open is None:
            self._open = self._connect(
                self._url,
                autocommit=True,
                prepare_threshold=None,  # transaction poolers mix up clients' prepared statements
                application_name=self._name,
                client_encoding="utf8",  # the server converts, and rejects what it can't store row by row
                connect_timeout=5,  # seconds
                tcp_user_timeout=15_000,  # milliseconds, libpq's unit: a peer that vanished is noticed
            )
        return self._open

    def close(self) -> None:
        """Close the connection if this process opened one; the next use opens another."""
        connection, self._open = self._open, None
        if connection is not None and self._owner == os.getpid():
            connection.close()


def _is_ended(connection: "psycopg.Connection[tuple[Any, ...]]") -> bool:
    """Whether a session is over; a server says nothing to one that is idle, except that it ends it."""
    if connection.closed:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return bool(selector.select(0))
