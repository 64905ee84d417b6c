"""The wallet: who may ask, and what an answer takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from psycopg_pool import ConnectionPool

from app.core.config import WalletOptions, our_logs
from app.services.credit import Charge, Credit
from windsock.postgres.deadline import DeadlineConnection, within

_SQL = Path(__file__).parents[2] / "db"


class Refused(Exception):  # noqa: N818 - the user is refused, nothing went wrong
    """The wallet does not allow an answer; the text says why.

    Attributes:
        tier: The user's tier, where it is known.
        later: Whether the same message may be answered in a while.
    """

    def __init__(self, why: str, *, tier: str | None = None, later: bool = False) -> None:
        super().__init__(why)
        self.tier, self.later = tier, later


class Wallets:
    """Reads and charges wallets; a database that stalls holds a message up for a second or two, not longer.

    While wallets cannot be read, users whose wallet was last seen with credits get as many answers as their
    setting `answer_without_wallet` allows. Those are recorded on disk and charged once the database is back.
    """

    def __init__(self, options: WalletOptions) -> None:
        # The server ends a statement that waits for a lock; this side gives up on a server that does nothing.
        self._milliseconds = int(options.wallet_seconds * 1000)
        self._pool: ConnectionPool[DeadlineConnection] | None = None
        if options.database_url:
            self._pool = ConnectionPool(
                options.database_url,
                connection_class=within(2 * options.wallet_seconds),
                min_size=1,
                max_size=8,
                timeout=options.wallet_seconds,
                open=False,
            )
        self._credit = Credit(options.wallet_ledger)
        self._prepared = False

    def open(self) -> None:
        """Connect, and create the tables where they are missing; if the database is down, once it is back."""
        if self._pool is None:
            our_logs.warning("DATABASE_URL is not set: there are no wallets, everyone is answered")
            return
        self._pool.open()
        try:
            self._settle()
        except psycopg.Error as error:
            our_logs.error(
                "the table wallets cannot be prepared: %s. Nobody is answered until it is there: is the "
                "database up, and did `windsock migrate` run?",
                _first_line(error),
            )

    def close(self) -> None:
        """Let go of the connections."""
        if self._pool is not None:
            self._pool.close()
        self._credit.close()

    def check(self, user_id: UUID) -> str | None:
        """Give the tier of a user who may ask: `free`, `pro` or `school`; None where there are no wallets.

        Raises:
            Refused: The wallet is empty or missing, or can't be read and was not seen with credits before.
        """
        if self._pool is None:
            return None
        try:
            with self._connection() as connection:
                row = connection.execute(_sql("check_wallet"), (user_id,)).fetchone()
        except psycopg.Error as error:
            our_logs.error("the wallet of %s cannot be read: %s", user_id, _first_line(error))
            known = self._credit.tier(user_id)
            if known is None:
                raise _unread(user_id) from error
            return known
        if row is None:
            raise Refused(f"user {user_id} has no wallet; insert one into wallets")
        tier: str = row[0]
        balance: int = row[1]
        self._credit.saw(user_id, tier, balance)
        if balance <= 0 and tier != "school":
            raise _empty(user_id, tier)
        return tier

    @contextmanager
    def charged(self, user_id: UUID, credits_taken: int, on_credit: int) -> Iterator[None]:
        """Take what an answer costs; if the block fails, give it back.

        Args:
            user_id: Whose wallet.
            credits_taken: The price of the answer.
            on_credit: Answers that the user may have while the wallet cannot be charged.

        Raises:
            Refused: The wallet is empty, or can't be charged and the user has had what `on_credit` allows.
        """
        if self._pool is None:
            yield
            return
        charge = Charge(uuid4(), user_id, credits_taken)
        self._take(charge, on_credit)
        try:
            yield
        except Exception:
            self._give_back(charge)
            raise

    def _take(self, charge: Charge, on_credit: int) -> None:
        try:
            self._settle()
            with self._connection() as connection:
                row = connection.execute(_sql("charge_wallet"), _parameters(charge)).fetchone()
        except psycopg.Error as error:
            if not self._credit.lend(charge, on_credit):
                raise _unread(charge.user_id) from error
            our_logs.error(
                "%s credits of %s are charged later: %s",
                charge.credits,
                charge.user_id,
                _first_line(error),
            )
            return
        if row is None:
            raise _empty(charge.user_id)
        self._credit.left(charge.user_id, *row)

    def _give_back(self, charge: Charge) -> None:
        back = Charge(charge.id, charge.user_id, charge.credits, given_back=True)
        try:
            with self._connection() as connection:
                connection.execute(_sql("give_back"), _parameters(charge))
        except psycopg.Error as error:
            self._credit.keep(back)
            our_logs.error(
                "%s credits of %s are given back later: %s",
                charge.credits,
                charge.user_id,
                _first_line(error),
            )

    def _settle(self) -> None:
        """Charge what was given on credit; each charge counts once, however often it is sent."""
        owed = self._credit.owed()
        if owed or not self._prepared:
            with self._connection() as connection:
                for each in owed:
                    name = "give_back" if each.given_back else "charge_wallet"
                    connection.execute(_sql(name), _parameters(each))
        if owed:
            self._credit.settled(owed)
            our_logs.info("%s answers that were given on credit are charged", len(owed))

    @contextmanager
    def _connection(self) -> Iterator[DeadlineConnection]:
        """A connection in a transaction, in which the server gives up as early as this side does."""
        if self._pool is None:
            raise ValueError("there is no database")
        with self._pool.connection() as connection:
            connection.execute(f"set local statement_timeout = {self._milliseconds}")
            if not self._prepared:
                connection.execute(_sql("wallets"))
                connection.commit()
                self._prepared = True
                connection.execute(f"set local statement_timeout = {self._milliseconds}")
            yield connection


def _parameters(charge: Charge) -> dict[str, object]:
    return {"id": charge.id, "user_id": charge.user_id, "credits": charge.credits}


def _empty(user_id: UUID, tier: str | None = None) -> Refused:
    return Refused(f"the wallet of user {user_id} is empty; top it up", tier=tier)


def _unread(user_id: UUID) -> Refused:
    return Refused(f"the wallet of user {user_id} cannot be read now; ask again in a while", later=True)


def _first_line(error: psycopg.Error) -> str:
    """What is wrong; the lines after it are for who wrote the statement."""
    return str(error).partition("\n")[0]


@cache
def _sql(name: str) -> bytes:
    return (_SQL / f"{name}.sql").read_bytes()
