"""PostgreSQL for tests: one embedded server, migrated once, with a fresh database per test."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from windsock.errors import MissingExtraError
from windsock.postgres import embedded
from windsock.postgres.migrations import migrate, read_migrations

try:
    import psycopg
    from psycopg import sql
except ImportError as missing:
    raise MissingExtraError("a PostgreSQL for tests", "embedded") from missing


class Server(Protocol):
    """A PostgreSQL server dedicated to the tests.

    Attributes:
        url: The connection string of a database that the tests don't use.
    """

    @property
    def url(self) -> str:
        """See the class."""

    def database_url(self, name: str) -> str:
        """The connection string for another of its databases."""


class Databases:
    """The databases on a server dedicated to the tests.

    Args:
        server: The server, which only the tests use.

    Attributes:
        server: The given server.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._numbers = itertools.count(1)

    @contextmanager
    def fresh(self, template: str | None = None) -> Iterator[str]:
        """Create a database and drop it at the end of the block; yields its connection string.

        Args:
            template: The database to copy; by default `migrated`.
        """
        name = f"windsock_test_{next(self._numbers)}"
        self._create(name, template or self.migrated)
        try:
            yield self.server.database_url(name)
        finally:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @cached_property
    def migrated(self) -> str:
        """The name of a database with windsock's tables, created on first use."""
        name = "windsock_migrated"
        self._create(name, "template1")
        with psycopg.connect(self.server.database_url(name), autocommit=True) as connection:
            migrate(connection, read_migrations())
        return name

    def _create(self, name: str, template: str) -> None:
        # copying the template's files takes a tenth of a second; the migrations take seconds
        names = (sql.Identifier(name), sql.Identifier(template))
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def databases() -> Iterator[Databases]:
    """Start an embedded server in a temporary folder for the duration of the block.

    Raises:
        MissingExtraError: The extra ``embedded`` isn't installed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="windsock-test-", ignore_cleanup_errors=True) as folder,
        embedded.start(Path(folder) / "postgres") as server,
    ):
        with psycopg.connect(server.url, autocommit=True) as connection:
            # Tests don't need data after a power failure; committed data survives a killed server anyway.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield Databases(server)
