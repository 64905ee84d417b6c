"""Data retention: what's deleted when it's old, and what's deleted at a person's request."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from windsock.errors import DatabaseUnfitError
from windsock.postgres import shapes
from windsock.postgres.queries import load_queries
from windsock.postgres.refusals import refused_in_words
from windsock.text import one_line

if TYPE_CHECKING:
    import psycopg

_BATCH = 10_000
_LOG_BATCH = 100_000  # once in a run: the mirror, which has seconds for it, cuts 20,000 rows at each round
_PATIENCE = "10s"  # for each lock
_WHO_MAY = "connect as a login in the role windsock_pruner"

PRUNED = MappingProxyType(
    {
        "usage": "public.usage_logs",
        "events": "windsock.metric_events",
        "exposures": "windsock.exposures",
        "arms": "windsock.experiment_assignments",
        "assignments": "windsock.assignment_history",
        "configurations": "windsock.configuration_history",
        "profile_changes": "windsock.profile_changes",
        "audit": "windsock.configuration_audit",
        "faults": "windsock.faults",
        "withdrawals": "windsock.withdrawals",
    }
)
"""Which query prunes which table, in this order."""

FORGOTTEN = MappingProxyType(
    {
        "profiles": "public.profiles (unassigned)",
        "faults": "windsock.faults",
        "request_exposures": "windsock.exposures (of requests)",
        "exposures": "windsock.exposures",
        "request_events": "windsock.metric_events (of requests)",
        "request_usage": "public.usage_logs (of requests)",
        "usage": "public.usage_logs",
        "events": "windsock.metric_events",
        "arms": "windsock.experiment_assignments",
        "assignments": "windsock.assignment_history",
        "profile_changes": "windsock.profile_changes (edited)",
    }
)
"""Which query erases a person from which table, in this order."""


def prune(
    connection: "psycopg.Connection",
    older_than: timedelta,
    open_experiments: Collection[str] = (),
    *,
    dry_run: bool = False,
) -> Mapping[str, int]:
    """Delete old rows, in batches.

    An experiment is open if it's listed here, or if anyone was exposed to it or given an arm since then. An
    open experiment's data is kept, and so are the requests and events of its participants.

    Args:
        connection: A connection in autocommit mode, with the rights of windsock_pruner.
        older_than: The minimum age.
        open_experiments: The running experiments.
        dry_run: Delete in one transaction and roll it back: exact, and as much work for the database.

    Returns:
        The number of deleted rows, by table.

    Raises:
        DatabaseUnfitError: The role may not, the database has older migrations, or another session has a
            table locked.
    """
    queries = load_queries("windsock.postgres", "retention.sql")
    cut = datetime.now(UTC) - older_than
    whole = connection.transaction(force_rollback=True) if dry_run else contextlib.nullcontext()
    with refused_in_words(DatabaseUnfitError, _WHO_MAY), whole:
        with _patient(connection, "windsock.exposures"):
            found = {name for (name,) in connection.execute(queries["open_experiments"], {"cut": cut})}
        named = {name for name in open_experiments if _could_be(connection, name, b"text")}
        parameters = {"cut": cut, "most": _BATCH, "open": sorted(found | named)}
        deleted = {}
        for name, table in PRUNED.items():
            deleted[table] = 0
            while count := _delete(connection, table, queries[f"prune_{name}"], parameters):
                deleted[table] += count
        _delete(connection, "windsock.change_log", queries["cut_log"], {"cut": cut, "most": _LOG_BATCH})
    return deleted


def forget(connection: "psycopg.Connection", names: Collection[str]) -> Mapping[str, int]:
    """Erase a person everywhere, in one transaction.

    The row in `profiles` belongs to the application: it's kept, without a configuration.

    Args:
        connection: A connection with the rights of windsock_pruner.
        names: The person's identifiers in our tables: the id and its keyed hashes.

    Returns:
        The number of rows, by table.

    Raises:
        DatabaseUnfitError: The role may not, the database has older migrations, or another session has a
            table locked.
    """
    queries = load_queries("windsock.postgres", "retention.sql")
    with refused_in_words(DatabaseUnfitError, _WHO_MAY), connection.transaction():
        id_type = (shapes.id_type(connection) or "text").encode()
        parameters = {
            "names": [name for name in names if _could_be(connection, name, b"text")],
            "ids": [name for name in names if _could_be(connection, name, id_type)],
            "uuids": [name for name in names if _could_be(connection, name, b"uuid")],
        }
        return {
            table: _delete(
                connection, table, queries[f"forget_{name}"].replace(b"{type}", id_type), parameters
            )
            for name, table in FORGOTTEN.items()
        }


def _delete(
    connection: "psycopg.Connection", table: str, query: bytes, parameters: Mapping[str, object]
) -> int:
    with _patient(connection, table):
        return connection.execute(query, parameters).rowcount


@contextlib.contextmanager
def _patient(connection: "psycopg.Connection", table: str) -> Iterator[None]:
    """A transaction that waits seconds for a lock: whoever waits longer holds up everybody else too."""
    import psycopg  # noqa: PLC0415 - an extra, and it is there

    try:
        with connection.transaction():
            connection.execute(load_queries("windsock.postgres", "retention.sql")["wait"], [_PATIENCE])
            yield
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseUnfitError(
            f"{table}: another session has a table or rows locked that this needs ({one_line(error)}); find"
            " it with pg_blocking_pids() or in pg_stat_activity, then try again"
        ) from error


def _could_be(connection: "psycopg.Connection", name: str, id_type: bytes) -> bool:
    """Whether a column of this type can hold a name: a database in Latin-1 holds no Chinese one."""
    import psycopg  # noqa: PLC0415 - an extra, and it is there

    query = load_queries("windsock.postgres", "retention.sql")["as_id"].replace(b"{type}", id_type)
    try:
        with connection.transaction():
            connection.execute(query, {"name": name})
    except psycopg.DataError:
        return False
    return True
