"""The users of a plan: from a file, the mirror's assignments, an exposure table, or synthetic."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from windsock.disk import check_plain
from windsock.errors import ConfigurationError, MissingExtraError, UnreachableError
from windsock.flag_names import MIRROR_FOLDER, is_profile
from windsock.flagfiles.files import DEFAULT_FOLDER, read_files
from windsock.flagfiles.sets import flag_set
from windsock.flags import FlagSet, JsonValue
from windsock.flags.operations import operations
from windsock.parquet import check_columns
from windsock.plain_files import open_plain
from windsock.postgres.migrations import connect
from windsock.postgres.queries import load_queries
from windsock.text import count, one_line, printable
from windsock.variables import user_id_key

if TYPE_CHECKING:
    import duckdb

BATCH: Final = 10_000
"""Users held in memory at once."""

CELLS: Final = 1_000_000
"""Values held in memory at once, so fewer users of a wide file."""

MEMORY: Final = "800MB"
"""What DuckDB may use: a Parquet file of millions of users in one row group takes half of it."""

LINE: Final = 256 * 1024
"""The longest line of a JSONL file, in bytes. DuckDB's time grows with the square of a user's attributes."""

DEPTH: Final = 100
"""How deep a user's attributes may be nested: DuckDB recurses, and crashes some thousand levels deep."""

SAMPLES: Final = 5
"""Users named for each move; ``--who`` writes the whole list."""

Context = Mapping[str, object]

MADE_UP: Final = 10_000
_POSTGRES: Final = ("postgresql://", "postgres://")
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?$)|[\[{}\]]', re.DOTALL)
_KEYS: Final = ("targetingKey", "targeting_key", "user_id", "id")
_ANY_DEPTH: Final = re.compile(r'\bVARIANT(?![\w" ])')
"""DuckDB's type of values that may be nested to any depth, by which it crashes; not a field of that name."""

_PATTERN: Final = frozenset("*?[")
_READERS: Final = {
    ".csv": "read_csv(?, header = true, hive_partitioning = false, types = {key})",
    ".tsv": "read_csv(?, header = true, hive_partitioning = false, types = {key})",
    ".jsonl": "read_json(?, format = 'newline_delimited', hive_partitioning = false)",
    ".ndjson": "read_json(?, format = 'newline_delimited', hive_partitioning = false)",
    ".parquet": "read_parquet(?, hive_partitioning = false)",
}
"""DuckDB's readers; a folder called ``id=7`` gives no user an id."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Users whose contexts differ in the targeting key only.

    Attributes:
        context: The context of one of them.
        users: How many.
        samples: The first of them.
    """

    context: Context
    users: int
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """Users in batches.

    Attributes:
        description: Where the users come from, for the plan: a plan for synthetic users must say so.
        batches: Yields the users' evaluation contexts, from the start at each call.
        alike: The same users counted, for rules that don't ask who a user is; None if nobody counted them.
        fewer: Returns a sample of at most so many users; None if the user chose the number.
    """

    description: str
    batches: Callable[[], Iterator[Sequence[Context]]]
    alike: Sequence[Alike] | None = None
    fewer: Callable[[int], "Population"] | None = None


@contextmanager
def population(
    users: str | None,
    environment: str,
    key: str | None,
    database: Callable[[str | None], AbstractContextManager[str]],
) -> Iterator[Population]:
    """Return the users that one argument names.

    Args:
        users: ``mirror`` for those with a profile, ``usage`` or ``postgresql://…`` for those of usage_logs, a
            file, or how many synthetic users; None for a default number of those.
        environment: The environment of users who have none.
        key: The file's column with the targeting key.
        database: Opens the database at a URL, or the usual one for None.

    Raises:
        ConfigurationError: The rows of ``usage_logs`` have hashes instead of ids.
        UnreachableError: The mirror hasn't written its folder, or the database or file can't be read.
    """
    if users is None or users.isdecimal():
        yield made_up(environment) if users is None else synthetic(int(users), environment)
    elif users == "mirror":
        mirrored = DEFAULT_FOLDER / MIRROR_FOLDER
        if not mirrored.is_dir():
            raise UnreachableError(
                f"--users mirror: there is no {mirrored}; `windsock mirror once` writes it from the database"
            )
        yield assigned(flag_set(read_files([mirrored])), environment)
    elif users == "usage" or users.startswith(_POSTGRES):
        if user_id_key() is not None:
            raise ConfigurationError(
                "--users: usage_logs has hashes of the user ids (WINDSOCK_USER_ID_KEY), and flags see the "
                "ids; name a file that has them"
            )
        with database(None if users == "usage" else users) as url:
            yield exposed(url)
    else:
        yield from_file(Path(users), environment, key)


def made_up(environment: str) -> Population:
    """The users of a plan that names none: 10,000 synthetic ones, or fewer if rules are long."""
    most = synthetic(MADE_UP, environment)

    def fewer(limit: int) -> Population:
        if limit >= MADE_UP:
            return most
        found = synthetic(limit, environment)
        return replace(found, description=f"{found.description}: the rules are too long for {MADE_UP:,}")

    return replace(most, fewer=fewer)


def synthetic(count: int, environment: str) -> Population:
    """Synthetic users ``user-0``, ``user-1`` …, without attributes."""
    return Population(
        f"{count:,} made-up users without attributes, in {environment}",
        lambda: _in_batches((f"user-{number}" for number in range(count)), environment),
    )


def assigned(flags: FlagSet, environment: str) -> Population:
    """The users that the mirror's profile flags list."""
    users = sorted(
        {user for key, flag in flags.flags.items() if is_profile(key) for user in _listed(flag.targeting)}
    )
    return Population(
        f"{count(len(users), 'user')} with a profile, in {environment}",
        lambda: _in_batches(users, environment),
    )


def _in_batches(users: Iterable[str], environment: str) -> Iterator[Sequence[Context]]:
    rest = iter(users)
    while batch := [{"targetingKey": user, "environment": environment} for user in islice(rest, BATCH)]:
        yield batch


def exposed(url: str) -> Population:
    """The users with a row in ``usage_logs``, each in the environments that the rows name.

    The table has no attributes: a rule that asks for one sees none.

    Args:
        url: The database, ``postgresql://…``.

    Raises:
        UnreachableError: The database cannot be reached, or has no such table; when it is read.
    """

    def batches() -> Iterator[Sequence[Context]]:
        query = load_queries("windsock.gitops", "users.sql")["exposed"]
        with connect(url) as connection:
            try:
                # a server-side cursor needs a transaction
                with connection.transaction(), connection.cursor("windsock_users") as cursor:
                    cursor.execute(query)
                    while rows := cursor.fetchmany(BATCH):
                        yield [{"targetingKey": user, "environment": where} for user, where in rows]
            except connection.Error as error:
                raise _no_usage_logs(error) from error

    return Population("the users of usage_logs, without attributes", batches)


def alike(url: str) -> tuple[Alike, ...]:
    """The users of `exposed`, counted by environment.

    Raises:
        UnreachableError: The database cannot be reached, or has no such table.
    """
    query = load_queries("windsock.gitops", "users.sql")["alike"]
    with connect(url) as connection:
        try:
            rows = connection.execute(query, {"samples": SAMPLES}).fetchall()
        except connection.Error as error:
            raise _no_usage_logs(error) from error
    return tuple(
        Alike({"targetingKey": samples[0], "environment": where}, users, tuple(samples))
        for where, users, samples in rows
    )


def _no_usage_logs(error: Exception) -> UnreachableError:
    return UnreachableError(f"usage_logs cannot be read: {one_line(error)}; run `windsock migrate`")


def from_file(path: Path, environment: str, key: str | None = None) -> Population:
    """The users of a CSV, TSV, JSONL or Parquet file; its other columns are their attributes.

    Args:
        path: The file.
        environment: The attribute ``environment`` of users whose row has none.
        key: The column with the targeting key; by default ``targetingKey``, ``targeting_key``, ``user_id`` or
            ``id``, whichever comes first in this list.

    Raises:
        UnreachableError: It can't be read in the format that its name implies.
        ConfigurationError: Its name has another suffix or is a pattern to DuckDB, or it has no such column.
        MissingExtraError: The ``gitops`` extra is not installed.
    """
    if path.suffix not in _READERS:
        # without what was given: it may be a database's URL, with its password
        raise ConfigurationError(
            f"--users: a population is a file in {', '.join(_READERS)}, mirror, usage, or postgresql://…"
        )
    if not _PATTERN.isdisjoint(str(path)):
        raise ConfigurationError(f"{path}: DuckDB takes *, ? and [ for a pattern; rename it")
    check_plain(path)
    if path.suffix in {".jsonl", ".ndjson"}:
        _check_lines(path)
    elif path.suffix == ".parquet":
        check_columns(path)
    columns = _columns(path)
    column = key if key is not None else next((name for name in _KEYS if name in columns), "")
    if column not in columns:
        listed = printable(", ".join(columns), 300)
        raise ConfigurationError(
            f"{path}: no column {column or 'with the targeting key'}; it has {listed}: name one with --key"
        )

    def batches() -> Iterator[Sequence[Context]]:
        names = ["targetingKey" if name == column else name for name in columns]
        has_environment = "environment" in names
        for rows in _rows(path, column):
            contexts: list[dict[str, object]] = [
                {name: value for name, value in zip(names, row, strict=True) if value is not None}
                for row in rows
            ]
            if not has_environment:
                for context in contexts:
                    context["environment"] = environment
            yield contexts

    return Population(f"the users of {path}", batches)


def _check_lines(path: Path) -> None:
    with open_plain(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(LINE + 1), b""), 1):
            if len(line) > LINE:
                raise UnreachableError(f"{path}:{number}: this line is longer than {LINE // 1024} KiB")
            if line.count(b"[") + line.count(b"{") > DEPTH and _deepest(line) > DEPTH:
                raise UnreachableError(
                    f"{path}:{number}: a user's attributes are nested more than {DEPTH} deep"
                )


def _deepest(line: bytes) -> int:
    steps = (1 if each in b"[{" else -1 for each in _BRACKETS.findall(line) if len(each) == 1)
    return max(accumulate(steps), default=0)


def _columns(path: Path) -> list[str]:
    columns = {str(row[0]): str(row[1]) for row in _query(path, "describe select * from", "").fetchall()}
    for name, kind in columns.items():
        if _ANY_DEPTH.search(kind):
            raise UnreachableError(f"{path}: {printable(name, 100)} is a VARIANT; export it as text")
    return list(columns)


def _rows(path: Path, column: str) -> Iterator[list[tuple[object, ...]]]:
    quoted = '"' + column.replace('"', '""') + '"'
    relation = _query(path, f"select * replace (cast({quoted} as varchar) as {quoted}) from", column)
    batch = max(1, min(BATCH, CELLS // len(relation.description)))
    while True:
        try:
            rows = relation.fetchmany(batch)
        except _duckdb().Error as error:
            raise _unreadable(path, error) from error
        if not rows:
            return
        yield rows


def _query(path: Path, select: str, column: str) -> "duckdb.DuckDBPyConnection":
    # an id such as 007 must not be sniffed as the number 7
    types = f"'{column.replace(chr(39), chr(39) * 2)}': 'VARCHAR'"
    source = _READERS[path.suffix].format(key="{" + types + "}" if column else "{'': 'VARCHAR'}")
    source = source if column else source.replace(", types = {'': 'VARCHAR'}", "")
    module = _duckdb()
    try:
        connection = module.connect()
        connection.execute("set threads = 1")  # rows in the order of the file
        connection.execute(f"set memory_limit = '{MEMORY}'")
        answer: duckdb.DuckDBPyConnection = connection.execute(f"{select} {source}", [str(path)])
    except module.Error as error:
        raise _unreadable(path, error) from error
    return answer


def _duckdb() -> ModuleType:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("a population from a file", "gitops") from error
    return duckdb


def _unreadable(path: Path, error: Exception) -> UnreachableError:
    first = re.sub(r"\s+", " ", str(error).strip())[:300]
    return UnreachableError(f"{path}: cannot be read as a population: {first}")


def _listed(rule: JsonValue) -> Iterator[str]:
    """The targeting keys in the ``in`` lists of a rule."""
    for name, arguments in operations(rule):
        if name == "in" and isinstance(arguments, list) and arguments[:1] == [{"var": "targetingKey"}]:
            users = arguments[1] if len(arguments) > 1 else None
            yield from (user for user in users or () if isinstance(user, str))
