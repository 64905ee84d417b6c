"""Answers on credit: what users get while their wallets cannot be read, kept on disk until it is settled."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

_MAX_SEEN = 10_000
_TABLE = """
create table if not exists owed (
    id text primary key, user_id text not null, credits integer not null, given_back integer not null
)
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one answer takes.

    Attributes:
        id: Makes a charge that is sent twice count once.
        user_id: Whose wallet.
        credits: How much.
        given_back: Whether there was no answer after all.
    """

    id: UUID
    user_id: UUID
    credits: int
    given_back: bool = False


class Credit:
    """Who may have an answer on credit, and which answers were.

    Only a user whose wallet this process has seen with credits left is trusted, and for no more than that.
    The charges wait in an SQLite file, which all of a host's processes share, until the database takes them.

    Args:
        path: The file, made when the first answer is given on credit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # one connection for all of the service's threads
        self._file: sqlite3.Connection | None = None
        self._seen: OrderedDict[UUID, tuple[str, int]] = OrderedDict()

    def close(self) -> None:
        """Close the file; what is owed stays in it."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None

    def saw(self, user_id: UUID, tier: str, balance: int) -> None:
        """Remember what a wallet held."""
        with self._lock:
            self._seen[user_id] = tier, balance
            self._seen.move_to_end(user_id)
            while len(self._seen) > _MAX_SEEN:
                self._seen.popitem(last=False)

    def left(self, user_id: UUID, balance: int) -> None:
        """Remember what an answer has left in a wallet."""
        if user_id in self._seen:
            self.saw(user_id, self._seen[user_id][0], balance)

    def tier(self, user_id: UUID) -> str | None:
        """Give the tier of a user who had credits left when the wallet was last read, else None."""
        tier, balance = self._seen.get(user_id, ("", 0))
        return tier if balance > 0 or tier == "school" else None

    def lend(self, charge: Charge, answers: int) -> bool:
        """Note a charge if it is within so many answers and the balance last seen; tells whether it is."""
        tier, balance = self._seen.get(charge.user_id, ("", 0))
        with self._lock, self._opened() as file:
            file.execute("begin immediate")  # other processes lend from the same file
            count, owed = file.execute(
                "select count(*), coalesce(sum(credits), 0) from owed where user_id = ? and not given_back",
                (str(charge.user_id),),
            ).fetchone()
            if count >= answers or (tier != "school" and balance - owed <= 0):
                return False
            self._note(file, charge)
        return True

    def keep(self, charge: Charge) -> None:
        """Note a charge, or that it is given back, whatever the user may have."""
        with self._lock, self._opened() as file:
            self._note(file, charge)

    def owed(self) -> Sequence[Charge]:
        """Give what the database does not have yet, at most a hundred at once."""
        with self._lock:
            if self._file is None and not self._path.exists():
                return ()
            with self._opened() as file:
                rows = file.execute("select id, user_id, credits, given_back from owed limit 100").fetchall()
        return [Charge(UUID(each), UUID(user), price, bool(back)) for each, user, price, back in rows]

    def settled(self, charges: Sequence[Charge]) -> None:
        """Forget charges that the database has."""
        with self._lock, self._opened() as file:
            file.executemany(
                "delete from owed where id = ? and given_back = ?",
                [(str(each.id), each.given_back) for each in charges],
            )

    def _note(self, file: sqlite3.Connection, charge: Charge) -> None:
        file.execute(
            "insert into owed values (?, ?, ?, ?)"
            " on conflict (id) do update set given_back = excluded.given_back",
            (str(charge.id), str(charge.user_id), charge.credits, charge.given_back),
        )

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = sqlite3.connect(self._path, check_same_thread=False, timeout=5)
            self._file.execute(_TABLE)
        return self._file
