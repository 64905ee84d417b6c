"""What a database's refusals mean to whoever migrates it."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from windsock.errors import MigrationError
from windsock.postgres.queries import load_queries
from windsock.postgres.roles import own_path
from windsock.text import one_line

if TYPE_CHECKING:
    import psycopg

OWNER = "connect with the role that owns the tables and may create schemas and roles"


@contextlib.contextmanager
def migrations_refused_in_words(connection: "psycopg.Connection") -> Iterator[None]:
    """Turn a refusal by the database (a read-only server, a missing right) into a one-line message.

    Raises:
        MigrationError: Instead of psycopg's errors; a lock that isn't available and a deadlock pass.
    """
    import psycopg  # noqa: PLC0415 - an extra

    try:
        yield
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        raise
    except psycopg.errors.InsufficientPrivilege as error:
        raise MigrationError(
            f"the database refuses migrations: {one_line(error)}. Nothing was changed; {OWNER}"
        ) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise MigrationError(
            f"the database refuses migrations: {one_line(error)}. Nothing was changed; "
            f"{_how_to_write(connection)}"
        ) from error
    except psycopg.Error as error:
        reason = one_line(error)
        raise MigrationError(
            f"the database interrupted the migrations: {reason}. What was being applied was rolled back; run "
            "`windsock migrate` again"
        ) from error


def _how_to_write(connection: "psycopg.Connection") -> str:
    with own_path(connection):
        found = connection.execute(load_queries("windsock.postgres", "ledger.sql")["read_only"]).fetchone()
    is_standby, where = found or (False, "for the server")
    if is_standby:
        return "this server is a standby: connect to the primary"
    return (
        f"default_transaction_read_only is on {where}: switch it off there, or for this command alone with "
        "PGOPTIONS='-c default_transaction_read_only=off'"
    )
