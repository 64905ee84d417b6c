"""The wallet: who may ask, and what an answer takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg_pool import ConnectionPool

from app.core.config import our_logs

_SQL = Path(__file__).parents[2] / "db"
_PATIENCE = 0.5  # seconds that a message waits for the database


@dataclass(frozen=True, slots=True)
class Standing:
    """What the wallet says of a user.

    Attributes:
        tier: `free`, `pro` or `school`; None where the wallet cannot be read.
        refusal: Why the user is not answered, or empty.
    """

    tier: str | None = None
    refusal: str = ""


class Wallets:
    """Reads and charges wallets. While the database is away everyone is answered, nobody is charged."""

    def __init__(self, database_url: str | None) -> None:
        self._pool = (
            ConnectionPool(database_url, min_size=1, max_size=8, timeout=_PATIENCE, open=False)
            if database_url
            else None
        )
        self._prepared = False

    def open(self) -> None:
        """Connect, and create the table where it is missing; if the database is away, once it is back."""
        if self._pool is None:
            our_logs.warning("DATABASE_URL is not set: there are no wallets, everyone is answered")
            return
        self._pool.open()
        try:
            with self._connection(self._pool):
                pass
        except psycopg.Error as error:
            our_logs.error(
                "the table wallets cannot be prepared: %s. Everyone is answered until it is there: is the "
                "database up, and did `windsock migrate` run?",
                _first_line(error),
            )

    def close(self) -> None:
        """Let go of the connections."""
        if self._pool is not None:
            self._pool.close()

    def check(self, user_id: UUID) -> Standing:
        """Tell whether the user may ask."""
        if self._pool is None:
            return Standing()
        try:
            with self._connection(self._pool) as connection:
                row = connection.execute(_sql("check_wallet"), (user_id,)).fetchone()
        except psycopg.Error as error:
            our_logs.error(
                "the wallet of %s cannot be read: %s. Answering without.", user_id, _first_line(error)
            )
            return Standing()
        if row is None:
            return Standing(refusal=f"user {user_id} has no wallet; insert one into wallets")
        tier, solvent = row
        return Standing(tier, "" if solvent else f"the wallet of user {user_id} is empty; top it up")

    def charge(self, user_id: UUID, credits_taken: int) -> None:
        """Take what an answer cost."""
        if self._pool is None:
            return
        try:
            with self._connection(self._pool) as connection:
                connection.execute(_sql("charge_wallet"), (credits_taken, user_id))
        except psycopg.Error as error:
            our_logs.error(
                "%s credits of %s were not charged: %s", credits_taken, user_id, _first_line(error)
            )

    @contextmanager
    def _connection(self, pool: ConnectionPool) -> Iterator[psycopg.Connection]:
        with pool.connection() as connection:
            if not self._prepared:
                connection.execute(_sql("wallets"))
                self._prepared = True
            yield connection


def _first_line(error: psycopg.Error) -> str:
    """What is wrong; the lines after it are for who wrote the statement."""
    return str(error).partition("\n")[0]


@cache
def _sql(name: str) -> bytes:
    return (_SQL / f"{name}.sql").read_bytes()
