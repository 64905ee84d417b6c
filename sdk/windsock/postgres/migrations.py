"""Apply the plain SQL migrations in order, one transaction each; record them in the Supabase CLI's ledger."""

import logging
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from windsock.backoff import Backoff
from windsock.errors import ConfigurationError, MigrationError, MissingExtraError, UnreachableError
from windsock.logs import get_logger
from windsock.postgres import shapes
from windsock.postgres.migration_refusals import OWNER, migrations_refused_in_words
from windsock.postgres.queries import load_queries
from windsock.postgres.roles import own_path
from windsock.postgres.statements import Statement, split
from windsock.postgres.urls import check_url
from windsock.text import one_line

if TYPE_CHECKING:
    import psycopg

_log = get_logger("windsock.migrate")

_ATTEMPTS = 10
_BACKOFF = Backoff(first=0.5, longest=8.0, jitter=0.2)  # let those waiting behind us go first
_TURN = "60s"  # how long an attempt waits for another migration, which may take minutes
_TRANSACTION_TIMEOUT_SINCE = 170_000  # the server's version

_FILE_NAME = re.compile(r"^([0-9]+)_(.*)\.sql$")
_TRANSACTION_CONTROL = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*(begin|commit|rollback|abort|end|start\s+transaction)\b", re.IGNORECASE
)
# windsock's own files in a ledger shared with an application's.
_OWN_NAME = re.compile(r"^(dynamic_config_tables$|windsock_)")

_Ledger: TypeAlias = Mapping[str, tuple[str, list[str] | None]]
"""The name and the statements of each version; an early Supabase CLI recorded no statements."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder.

    Attributes:
        version: The digits that the file name begins with.
        name: The rest of the file name, without ``.sql``.
        path: The file.
        statements: Its statements, in order.
    """

    version: str
    name: str
    path: Path
    statements: tuple[Statement, ...]

    @property
    def texts(self) -> list[str]:
        """The statements as the ledger holds them."""
        return [statement.text for statement in self.statements]


class MigrationState(StrEnum):
    """A migration's state in the ledger."""

    APPLIED = "applied"
    PENDING = "pending"
    FOREIGN = "not ours"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``windsock migrate --status``.

    Attributes:
        version: The migration's version.
        name: The migration's name.
        state: Applied, pending, or recorded by others in the shared ledger.
    """

    version: str
    name: str
    state: MigrationState


def find_folder() -> Path:
    """The folder of windsock's own migrations: inside the installed package, else in the checkout.

    Raises:
        ConfigurationError: It is in neither.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_migrations", package.parents[1] / "migrations"):
        if folder.is_dir():
            return folder
    raise ConfigurationError(
        f"the migrations are neither in {package / '_migrations'} nor in the checkout: install windsock again"
    )


def read_migrations(folder: Path | None = None) -> tuple[Migration, ...]:
    """Read all migrations in a folder, ordered by version.

    Args:
        folder: The folder of ``<digits>_<name>.sql`` files; other files are ignored. By default, windsock's
            own.

    Raises:
        ConfigurationError: windsock's own are missing.
        MigrationError: The folder has no migrations, two share a version, a file isn't UTF-8, or a file
            contains a statement that would end its transaction.
    """
    folder = folder or find_folder()
    migrations: dict[str, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.match(path.name)
        if match is None:
            continue
        version, name = match.groups()
        if version in migrations:
            raise MigrationError(f"{path} and {migrations[version].path} have the same version: rename one")
        migrations[version] = Migration(version, name, path, _read_statements(path))
    if not migrations:
        raise MigrationError(f"{folder} holds no migration (a file named <digits>_<name>.sql)")
    return tuple(migrations[version] for version in sorted(migrations))


def _read_statements(path: Path) -> tuple[Statement, ...]:
    try:
        statements = split(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MigrationError(f"{path}: cannot be read: {error}") from error
    for statement in statements:
        if control := _TRANSACTION_CONTROL.match(statement.text):
            line = statement.line_at(control.start(1) + 1)
            raise MigrationError(
                f"{path}:{line}: {control[1].upper()}: a migration is one transaction already; remove this"
            )
    return statements


def inspect(
    connection: "psycopg.Connection", migrations: Sequence[Migration], *, whole_history: bool = False
) -> tuple[Entry, ...]:
    """Compare a folder with the database's ledger without changing anything.

    Args:
        connection: A connection in autocommit mode.
        migrations: What `read_migrations` gave.
        whole_history: The folder is complete, so any other recorded version is an error. Otherwise, an
            application's own migrations in the same ledger are ignored, and only windsock's must exist.

    Returns:
        Every migration in the folder and the ledger, ordered by version.

    Raises:
        MigrationError: An applied migration was changed, or its file is gone.
    """
    with migrations_refused_in_words(connection):
        _lift_limits(connection)
        with own_path(connection):
            recorded = _read_ledger(connection)
    return _compared(migrations, recorded, whole_history=whole_history)


def _compared(
    migrations: Sequence[Migration], recorded: _Ledger, *, whole_history: bool
) -> tuple[Entry, ...]:
    by_version = {migration.version: migration for migration in migrations}
    entries = []
    for version in sorted(by_version.keys() | recorded.keys()):
        migration, record = by_version.get(version), recorded.get(version)
        if record is None and migration is not None:
            entries.append(Entry(version, migration.name, MigrationState.PENDING))
            continue
        if migration is not None:
            _refuse_if_changed(migration, *record or ("", None))
            entries.append(Entry(version, migration.name, MigrationState.APPLIED))
        elif record is not None:
            entries.append(_unknown(version, record[0], migrations, whole_history=whole_history))
    return tuple(entries)


def _read_ledger(connection: "psycopg.Connection") -> _Ledger:
    queries = load_queries("windsock.postgres", "ledger.sql")
    exists = connection.execute(queries["ledger_exists"]).fetchone()
    if exists is None or not exists[0]:
        return {}
    if wrong := shapes.refusal(connection, shapes.LEDGER):
        raise MigrationError(
            f"{shapes.LEDGER.table} is not the Supabase CLI's ledger of migrations ({wrong}): rename it, "
            "then run `windsock migrate` again. Nothing was changed"
        )
    rows = connection.execute(queries["read"]).fetchall()
    return {version: (name, statements) for version, name, statements in rows}


def _refuse_if_changed(migration: Migration, name: str, statements: list[str] | None) -> None:
    if statements is None:  # recorded by an early Supabase CLI, or by `supabase migration repair`
        return
    for statement, applied in zip(migration.statements, statements, strict=False):
        if statement.text != applied:
            where = f"{migration.path}:{statement.line}"
            break
    else:
        if len(statements) == len(migration.statements):
            return
        where = str(migration.path)
    raise MigrationError(
        f"{where}: this migration was changed after it had been applied as {migration.version} {name}: "
        "put the file back as it was and write the change as a new migration"
    )


def _unknown(version: str, name: str, migrations: Sequence[Migration], *, whole_history: bool) -> Entry:
    if whole_history or _OWN_NAME.match(name):
        folder = migrations[0].path.parent
        raise MigrationError(
            f"{folder}: the database has migration {version}_{name}.sql, which is not in this folder: "
            "restore the file, or upgrade windsock to the version that brought it"
        )
    return Entry(version, name, MigrationState.FOREIGN)


def migrate(
    connection: "psycopg.Connection", migrations: Sequence[Migration], *, whole_history: bool = False
) -> tuple[Migration, ...]:
    """Apply pending migrations, oldest first, each in a transaction under a lock.

    Two processes may do this concurrently: the second waits, then finds nothing left to do.

    Args:
        connection: A connection in autocommit mode, with the rights that the migrations need.
        migrations: What `read_migrations` gave.
        whole_history: See `inspect`.

    Returns:
        The migrations that this call applied.

    Raises:
        MigrationError: A migration fails, or `inspect` raises. Earlier migrations stay applied; the failing
            one is rolled back.
    """
    with migrations_refused_in_words(connection):
        _lift_limits(connection)
        with own_path(connection):
            _refuse_planted(connection)
            recorded = _read_ledger(connection)
    entries = _compared(migrations, recorded, whole_history=whole_history)
    pending = {entry.version for entry in entries if entry.state is MigrationState.PENDING}
    waiting = [migration for migration in migrations if migration.version in pending]
    with migrations_refused_in_words(connection), own_path(connection):
        _refuse_strangers(connection, pending)
    return tuple(migration for migration in waiting if _apply(connection, migration))


def _refuse_strangers(connection: "psycopg.Connection", pending: Collection[str]) -> None:
    """Reject a foreign table with one of our names, which `create table if not exists` would keep."""
    for shape in shapes.ALL:
        if shape.version in pending and (wrong := shapes.refusal(connection, shape)):
            raise MigrationError(
                f"the table {shape.table} is there and is not the one that windsock makes ({wrong}): rename "
                "it, then run `windsock migrate` again. Nothing was changed"
            )


def _refuse_planted(connection: "psycopg.Connection") -> None:
    """Reject a ledger or a schema that another role owns: its triggers would run as the migrating role."""
    planted = connection.execute(load_queries("windsock.postgres", "ledger.sql")["planted"]).fetchone()
    if planted:
        thing, owner = planted
        raise MigrationError(
            f"the {thing} belongs to {owner}, whose code would run as yours: drop it, or, if you trust it,"
            f" `alter {thing} owner to current_user`; then run `windsock migrate` again. Nothing was changed"
        )


def _complete_ledger(connection: "psycopg.Connection") -> None:
    queries = load_queries("windsock.postgres", "ledger.sql")
    exists = connection.execute(queries["ledger_exists"]).fetchone()
    if exists is None or not exists[0]:
        connection.execute(queries["create_schema"])
        connection.execute(queries["create_ledger"])
    connection.execute(queries["add_statements"])
    connection.execute(queries["add_name"])


def _apply(connection: "psycopg.Connection", migration: Migration) -> bool:
    """Apply one migration; queries that wait behind it, reads included, wait only briefly."""
    import psycopg  # noqa: PLC0415 - an extra

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with migrations_refused_in_words(connection):
                return _try(connection, migration)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            holder = _lock_holder(connection)
            reason = holder or one_line(error)
            level = logging.WARNING if holder else logging.INFO  # after a minute, or two seconds
            waits = "%s waits for a lock (attempt %d of %d): %s"
            _log.log(level, waits, migration.path.name, attempt, _ATTEMPTS, reason)
            time.sleep(_BACKOFF.pause(attempt))
    raise MigrationError(
        f"{migration.path}: other sessions hold a table or a lock that this migration needs ({reason}), "
        f"after {_ATTEMPTS} attempts; nothing of it was applied. Find them with pg_blocking_pids() or "
        "pg_stat_activity, or run `windsock migrate` again at a quieter time"
    )


def _lock_holder(connection: "psycopg.Connection") -> str:
    with migrations_refused_in_words(connection), own_path(connection):
        found = connection.execute(load_queries("windsock.postgres", "ledger.sql")["lock_holder"]).fetchone()
    return str(found[0]) if found else ""


def _lift_limits(connection: "psycopg.Connection") -> None:
    queries = load_queries("windsock.postgres", "ledger.sql")
    connection.execute(queries["lift_statement_limit"])
    if connection.info.server_version >= _TRANSACTION_TIMEOUT_SINCE:
        connection.execute(queries["lift_transaction_limit"])
    connection.execute(queries["lift_idle_limits"])


def _try(connection: "psycopg.Connection", migration: Migration) -> bool:
    queries = load_queries("windsock.postgres", "ledger.sql")
    connection.execute(queries["reset"])
    _lift_limits(connection)
    with own_path(connection):
        connection.execute(queries["limit_turns"], {"turn": _TURN})
        connection.execute(queries["lock"])
        connection.execute(queries["limit_waits"])
        _complete_ledger(connection)  # along with the first migration, or not at all
        if migration.version in _read_ledger(connection):
            return False  # another process applied it while we waited for the lock
        if not _OWN_NAME.match(migration.name):
            connection.execute(queries["path_of_the_role"])
        for statement in migration.statements:
            _execute(connection, migration, statement)
        record = {"version": migration.version, "name": migration.name, "statements": migration.texts}
        connection.execute(queries["record"], record)
    return True


def _execute(connection: "psycopg.Connection", migration: Migration, statement: Statement) -> None:
    import psycopg  # noqa: PLC0415 - an extra

    try:
        connection.execute(statement.text.encode())
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        raise
    except psycopg.Error as error:
        diagnosis = error.diag
        line = statement.line_at(int(diagnosis.statement_position or 0))
        message = one_line(error)
        details = "".join(f" ({text})" for text in (diagnosis.message_detail, diagnosis.message_hint) if text)
        may_not = isinstance(error, psycopg.errors.InsufficientPrivilege)
        advice = OWNER if may_not else "correct the file or the database and run `windsock migrate` again"
        raise MigrationError(
            f"{migration.path}:{line}: {message}{details}. The migration was rolled back as a whole; {advice}"
        ) from error


def connect(url: str) -> "psycopg.Connection":
    """Open a connection for migrations: autocommit, and no prepared statements, so that any pooler will do.

    Raises:
        UnreachableError: The database can't be reached with `url`.
        ConfigurationError: `url` can't be read.
        MissingExtraError: psycopg is not installed.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise MissingExtraError("the database", "mirror") from missing
    check_url(url)
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            prepare_threshold=None,
            application_name="windsock migrate",
            client_encoding="utf8",  # of a database in SQL_ASCII, texts would be bytes
        )
    except psycopg.Error as error:
        raise UnreachableError(
            f"the database cannot be reached: {one_line(error)}; check DATABASE_URL or --database-url"
        ) from error
