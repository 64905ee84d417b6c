"""Read usage records from the database, newest first."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from windsock.errors import ConfigurationError
from windsock.postgres.refusals import refused_in_words
from windsock.text import count, did_you_mean
from windsock.usage.postgres import QUERIES
from windsock.usage.record import UsageRecord

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records to read.

    Attributes:
        users: Only records with one of these user ids, as stored; None for everyone's.
        config: Only this profile's records.
        healed: Only records in which a value failed and was replaced.
        limit: The maximum number of records.
        flag: Only records of this flag.
        since: Only requests from this moment on.
    """

    users: Collection[str] | None = None
    config: UUID | None = None
    healed: bool = False
    limit: int = 20
    flag: str | None = None
    since: datetime | None = None


class UsageRecords(list[UsageRecord]):
    """Records, newest first; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        from windsock.notebook import table  # noqa: PLC0415 - for notebooks only

        headings = (
            "when (UTC)",
            "user",
            "flag",
            "profile or variant",
            "values read",
            "healed",
            "status",
            "ms",
        )
        rows = [
            (
                f"{row.requested_at:%Y-%m-%d %H:%M:%S}",
                row.user_id,
                row.flag,
                row.config_id or row.variant,
                row.values_json,
                row.healed_json if row.healed else None,
                row.error_class or row.status,
                None if row.latency_ms is None else f"{row.latency_ms:.1f}",
            )
            for row in self
        ]
        return table(f"{count(len(self), 'row')} of usage_logs", headings, rows)


def read(connection: "psycopg.Connection[tuple[Any, ...]]", selection: Selection) -> UsageRecords:
    """Read the newest records of a selection.

    Raises:
        ConfigurationError: The database has no ``usage_logs``, or this role may not read it.
    """
    with refused_in_words(ConfigurationError, "connect as windsock_analyst or the owner"):
        users = None if selection.users is None else [*selection.users]
        rows = connection.execute(QUERIES["latest"], asdict(selection) | {"users": users}).fetchall()
    return UsageRecords(UsageRecord(*row) for row in rows)


def profile_names(
    connection: "psycopg.Connection[tuple[Any, ...]]", ids: Iterable[str] | None = None
) -> dict[str, str]:
    """The names of some or all profiles by id; empty if this role may not read them."""
    from psycopg import errors  # noqa: PLC0415 - an extra; a connection needs it

    try:
        rows = connection.execute(QUERIES["profile_names"], {"ids": None if ids is None else [*ids]})
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InsufficientPrivilege):
        return {}
    return dict(rows.fetchall())


def profile_id(connection: "psycopg.Connection[tuple[Any, ...]]", named: str) -> UUID:
    """A profile's id, given its id or its name.

    Raises:
        ConfigurationError: No profile has this name.
    """
    try:
        return UUID(named)
    except ValueError:
        ids = {name: config_id for config_id, name in profile_names(connection).items()}
    if named not in ids:
        raise ConfigurationError(f"no profile is named {named!r}{did_you_mean(named, list(ids))}")
    return UUID(ids[named])
