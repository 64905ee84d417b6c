"""Where processes tell each other what is withdrawn: a table for everybody, or a file for one host."""

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from windsock import disk
from windsock.errors import ConfigurationError
from windsock.healing.mirrors import MirrorReport
from windsock.healing.quarantine import EXPIRY, FAULTS, MEMORY, Fault, Outbox, Withdrawal
from windsock.postgres.connection import KeptConnection
from windsock.postgres.queries import load_queries
from windsock.postgres.refusals import is_about_the_row
from windsock.text import bounded
from windsock.variables import data_folder

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger("windsock.healing")

_UNDEFINED_TABLE = "42P01"  # PostgreSQL's error codes, appendix A of its manual

_queries = load_queries("windsock.healing", "queries.sql")
_LIMITS = {"request_id": 1_000, "error": 5_000, "reason": 5_000}  # bytes; the tables take as much or more
_MAX_VALUE = 300_000
_NAMES = tuple(each.name for each in fields(Withdrawal) if each.name != "left")


class Board(Protocol):
    """Shares withdrawals. `exchange` may block and may raise; it is called from one thread at a time.

    Attributes:
        interval: Seconds between exchanges in which nothing is new here.
        mirrored: Whether the mirror reads along, and takes what is withdrawn out of profiles.
        mirrors: What the mirrors reported, as of the last exchange.
    """

    interval: float
    mirrored: bool
    mirrors: tuple[MirrorReport, ...]

    def exchange(self, outbox: Outbox) -> Sequence[Withdrawal]:
        """Tell what is new here, and give everything that is in force."""

    def close(self) -> None:
        """Let go of connections."""


class FileBoard:
    """A JSON file for the processes of one host; faults are counted by each of them alone.

    Args:
        path: Made at the first withdrawal; only its owner may read it. Default: ``quarantine.json`` in
            `data_folder`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = (
            path or data_folder() / "quarantine.json"
        ).absolute()  # the process may change its folder later
        self.interval = 2.0
        self.mirrored = False
        self.mirrors: tuple[MirrorReport, ...] = ()

    def exchange(self, outbox: Outbox) -> Sequence[Withdrawal]:
        """Read the file; where something is new, write it anew in one step.

        Raises:
            OSError: The file cannot be written.
        """
        if not outbox.withdrawn and not outbox.lifted:
            return self._read()
        with self._locked():
            gone = {(each.key, each.fingerprint) for each in (*outbox.lifted, *outbox.withdrawn)}
            kept = [each for each in self._read() if (each.key, each.fingerprint) not in gone]
            lifted = {(each.key, each.fingerprint) for each in outbox.lifted}
            kept += [each for each in outbox.withdrawn if (each.key, each.fingerprint) not in lifted]
            self._write(kept)
        return kept

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self) -> list[Withdrawal]:
        try:
            entries = json.loads(self.path.read_bytes())
            now = time.time()
            found = [
                # a clock that was set back must not make a withdrawal last longer than it may
                Withdrawal(
                    **{name: each[name] for name in _NAMES}, left=min(each["expires_at"] - now, EXPIRY)
                )
                for each in entries
            ]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("%s: not a list of withdrawals (%r); it counts as empty", self.path, error)
            return []
        return [each for each in found if each.left > 0]

    def _write(self, withdrawals: Sequence[Withdrawal]) -> None:
        entries = [
            {name: value for name, value in asdict(each).items() if name != "left"}
            | {"expires_at": time.time() + each.left}
            for each in withdrawals
        ]
        text = json.dumps(entries, indent=2, ensure_ascii=False)
        disk.replace(self.path, text.encode("utf-8", "surrogatepass"), mode=0o600)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as lock:
            disk.lock(lock.fileno())  # without flock two writers at once may lose one entry
            yield


class PostgresBoard:
    """The tables of windsock's migrations: faults of all processes count together; the mirror reads along.

    Args:
        database_url: A libpq connection string or URL. The role needs what `windsock_writer` has.

    Raises:
        MissingExtraError: psycopg is not installed.
    """

    def __init__(self, database_url: str) -> None:
        purpose = "sharing withdrawals through PostgreSQL"
        self._connection = KeptConnection(database_url, "windsock-quarantine", purpose)
        self.interval = 5.0
        self.mirrored = True
        self.mirrors: tuple[MirrorReport, ...] = ()

    def exchange(self, outbox: Outbox) -> Sequence[Withdrawal]:
        """Do it all in one transaction; an entry that the tables refuse is logged, and the others are shared.

        Raises:
            ConfigurationError: The tables are missing.
            psycopg.Error: The database can't be reached, or denies the tables.
        """
        try:
            connection = self._connection.opened()
            with connection.transaction():
                connection.execute(_queries["limits"])
                for name, entries in (
                    ("report", outbox.faults),
                    ("withdraw", outbox.withdrawn),
                    ("lift", outbox.lifted),
                ):
                    for entry in entries:
                        _tell(connection, name, entry)
                if outbox.faults:
                    limits = {"memory": MEMORY, "expiry": EXPIRY, "faults": FAULTS}
                    connection.execute(_queries["withdraw_reported"], limits)
                    connection.execute(_queries["forget"])
                self.mirrors = _reports(connection)
                return [Withdrawal(*row) for row in connection.execute(_queries["in_force"])]
        except BaseException as error:
            self.close()
            if getattr(error, "sqlstate", None) == _UNDEFINED_TABLE:
                what = str(error).partition("\n")[0]
                raise ConfigurationError(f"{what}: run `windsock migrate`") from error
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _tell(connection: "psycopg.Connection[tuple[Any, ...]]", name: str, entry: Fault | Withdrawal) -> None:
    """Run one statement in a savepoint; text that the tables can't hold is replaced or cut."""
    row = {
        key: bounded(value, _LIMITS.get(key, _MAX_VALUE)) if isinstance(value, str) else value
        for key, value in asdict(entry).items()
    }
    try:
        with connection.transaction():
            connection.execute(_queries[name], row)
    except Exception as error:
        if not is_about_the_row(error):
            raise
        why = " ".join(str(error).partition("\n")[0].split())
        logger.error(  # noqa: TRY400 - the reason, not the stack
            "what happened to %s of %.80s is not shared with other processes: %s",
            entry.field,
            entry.flag,
            why,
        )


def _reports(connection: "psycopg.Connection[tuple[Any, ...]]") -> tuple[MirrorReport, ...]:
    if connection.execute(_queries["sees_mirrors"]).fetchone() != (True,):
        return ()
    now = time.monotonic()
    rows = connection.execute(_queries["mirrors"])
    return tuple(MirrorReport(group, right, trouble, now) for group, right, trouble in rows)
