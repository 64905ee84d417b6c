"""Databases shaped like Supabase's, each a copy: applying every migration takes seconds, a copy of the result does not.

They are on a server of their own. Roles belong to a whole server, and migrations close tables where Supabase's exist: a
database of another test must not be closed because one here came before it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from windsock.postgres import embedded
from windsock.postgres.migrations import connect, migrate, read_migrations
from windsock.testing.databases import Databases, databases

SHAPE = Path(__file__).with_name("supabase_shape.sql").read_bytes()


@contextmanager
def template(made: Databases, source: str, fill: Callable[[Connection], None]) -> Iterator[str]:
    """The name of a database that is a copy of another, filled by a function."""
    with made.fresh(source) as url:
        with connect(url) as connection:
            fill(connection)
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture(scope="session")
def windsock_databases() -> Iterator[Databases]:
    """The databases of this folder's own server."""
    with databases() as own:
        yield own


@pytest.fixture(scope="session")
def postgres(windsock_databases) -> embedded.EmbeddedPostgres:
    """That server."""
    return windsock_databases.server


@pytest.fixture(scope="session")
def migrated_template(windsock_databases) -> str:
    """The name of one of its databases with every migration applied, to make others from."""
    return windsock_databases.migrated


@pytest.fixture(scope="session")
def supabase_template(windsock_databases) -> Iterator[str]:
    """A new Supabase project, without anything of windsock's."""
    with template(windsock_databases, "template1", lambda connection: connection.execute(SHAPE)) as name:
        yield name


@pytest.fixture(scope="session")
def migrated_supabase_template(windsock_databases, supabase_template) -> Iterator[str]:
    """The same with every migration applied."""

    def fill(connection: Connection) -> None:
        migrate(connection, read_migrations())

    with template(windsock_databases, supabase_template, fill) as name:
        yield name
