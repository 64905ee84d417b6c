"""PostgreSQL for tests: one embedded server, migrated once, and a fresh database for each test."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from windsock.errors import MissingExtraError
from windsock.postgres import embedded
from windsock.postgres.migrations import find_folder, migrate, read_migrations

try:
    import psycopg
    from psycopg import sql
except ImportError as missing:
    raise MissingExtraError("a PostgreSQL for tests", "embedded") from missing


class Server(Protocol):
    """A PostgreSQL server of the tests' own.

    Attributes:
        url: The connection string of a database that is not the tests'.
    """

    @property
    def url(self) -> str:
        """As above."""

    def database_url(self, name: str) -> str:
        """The connection string of another of its databases."""


class Databases:
    """The databases of a server of the tests' own.

    Args:
        server: The server; nothing but the tests uses it.

    Attributes:
        server: As given.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._numbers = itertools.count(1)

    @contextmanager
    def fresh(self, template: str | None = None) -> Iterator[str]:
        """Make a database, dropped at the end of the block; yields its connection string.

        Args:
            template: The database that it is a copy of; by default `migrated`.
        """
        name = f"windsock_test_{next(self._numbers)}"
        self._create(name, template or self.migrated)
        try:
            yield self.server.database_url(name)
        finally:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @cached_property
    def migrated(self) -> str:
        """The name of a database with windsock's tables; made when it is first asked for."""
        name = "windsock_migrated"
        self._create(name, "template1")
        with psycopg.connect(self.server.database_url(name), autocommit=True) as connection:
            migrate(connection, read_migrations(find_folder()))
        return name

    def _create(self, name: str, template: str) -> None:
        # a copy of the template's files: a tenth of a second, where the migrations take seconds
        names = (sql.Identifier(name), sql.Identifier(template))
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def databases() -> Iterator[Databases]:
    """Start an embedded server in a temporary folder, for as long as the block lasts.

    Raises:
        MissingExtraError: The extra ``embedded`` isn't installed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="windsock-test-", ignore_cleanup_errors=True) as folder,
        embedded.start(Path(folder) / "postgres") as server,
    ):
        with psycopg.connect(server.url, autocommit=True) as connection:
            # A test needs no data after a power failure; a kill of the server still keeps what was committed.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield Databases(server)
