"""A folder of Parquet and CSV files as DuckDB's tables, and whether its files stay as they are."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import ibis

from windsock.disk import check_plain
from windsock.errors import ConfigurationError, UnreachableError
from windsock.experiments.data.our_tables import TABLES, TEXTS
from windsock.parquet import check_columns
from windsock.text import did_you_mean, one_line

_STORAGE: Final = frozenset({"IOException", "InvalidInputException", "SerializationException", "Error"})
"""DuckDB's errors that come from a file's content."""

_COLUMN: Final = re.compile(
    r'Error when converting (column "[^"]{1,100}")\..{1,1000}? to \'(\w+)\'', re.DOTALL
)
"""Where DuckDB says which column of a CSV file has a value of another type."""

_PATTERN: Final = frozenset("*?[")
"""Characters of a path that DuckDB would match against other files."""

State = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a folder, as they were when it was opened.

    Attributes:
        folder: Where they are.
        tables: The file, or the folder of files, of each table.
        states: What the system says of each file.
    """

    folder: Path
    tables: Mapping[str, Path]
    states: Mapping[Path, State]

    def check_unchanged(self) -> None:
        """Refuse figures of files of which some were read before a change, and some after it.

        Raises:
            UnreachableError: One has changed.
        """
        for path, before in self.states.items():
            try:
                same = _state(path) == before
            except FileNotFoundError:
                raise UnreachableError(_changed(path, "is gone")) from None
            except OSError:
                same = False
            if not same:
                raise UnreachableError(_changed(path, "changed"))

    def missing(self, name: str) -> str:
        """Say that the folder has no file for a table, with the nearest name."""
        bare = name.rpartition(".")[2]
        return (
            f"there is no table {name!r}: {self.folder} has no {bare}.parquet or {bare}.csv"
            f"{did_you_mean(bare, sorted(self.tables))}"
        )

    def blamed(self, error: Exception, query: str) -> str:
        """The files that a query read when it met an error that is about a file's content; else empty.

        Args:
            error: What DuckDB raised.
            query: The query.
        """
        if type(error).__name__ not in _STORAGE and "CSV Error" not in str(error):
            return ""
        named = [path for name, path in self.tables.items() if re.search(rf"\b{re.escape(name)}\b", query)]
        return f"reading {' and '.join(path.name for path in named)}: " if named else ""


def _changed(path: Path, what: str) -> str:
    return f"{path}: {what} while it was read; run the command again when the export is complete"


def _state(path: Path) -> State:
    found = path.stat()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def open_files(folder: Path, memory: str | None) -> tuple[Any, Files]:
    """Open `<table>.parquet`, `<table>.csv` and `<table>/*.parquet` with DuckDB, which may read nothing else.

    Args:
        folder: Where the files are.
        memory: DuckDB's memory limit.

    Raises:
        UnreachableError: There is no such folder, or a file in it can't be read.
        ConfigurationError: It has no table, two of the same name, or a path that DuckDB takes for a pattern.
    """
    if not folder.is_dir():
        raise UnreachableError(f"{folder}: there is no such folder")
    backend = ibis.duckdb.connect(**({"memory_limit": memory} if memory else {}))
    backend.raw_sql("set TimeZone = 'UTC'")
    whole = folder.resolve()
    backend.raw_sql(f"set allowed_directories = ['{str(whole).replace(chr(39), chr(39) * 2)}/']")
    tables: dict[str, Path] = {}
    states: dict[Path, State] = {}
    for table in tuple(_tables(whole)):  # two of one name are found before either is read
        for each in table.files:
            states[each] = _checked(each, whole)
        states[table.pattern.parent] = _state(table.pattern.parent)
        _read(backend, table)
        tables[table.name] = table.path
    states.pop(whole, None)  # others may put their files there
    if not tables:
        raise ConfigurationError(f"{folder}: has no .parquet or .csv file")
    backend.raw_sql("set enable_external_access = false")
    backend.raw_sql("set lock_configuration = true")
    return backend, Files(folder, tables, states)


class _Table(NamedTuple):
    """A table of the folder.

    Attributes:
        name: Its name, without a schema.
        path: The file, or the folder of files.
        files: The files.
        pattern: What DuckDB reads: the file, or ``*.parquet`` of the folder.
        kind: ``Parquet`` or ``CSV``.
    """

    name: str
    path: Path
    files: Sequence[Path]
    pattern: Path
    kind: str


def _tables(folder: Path) -> Iterator[_Table]:
    """The tables of a folder.

    Raises:
        ConfigurationError: Two have the same name, or DuckDB takes a path for a pattern.
    """
    known: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.stem.rpartition(".")[2] or path.stem
        if path.is_dir() and (parts := sorted(path.glob("*.parquet"))):
            table = _Table(path.name, path, parts, path / "*.parquet", "Parquet")
        elif path.suffix == ".parquet":
            table = _Table(name, path, [path], path, "Parquet")
        elif path.suffix == ".csv":
            table = _Table(name, path, [path], path, "CSV")
        else:
            continue
        if not _PATTERN.isdisjoint(str(path)):
            raise ConfigurationError(f"{path}: DuckDB takes *, ? and [ for a pattern; rename it")
        other = known.setdefault(table.name.casefold(), path)  # DuckDB's names have no case
        if other != path:
            raise ConfigurationError(
                f"{other} and {path.name} are both the table {table.name!r}; remove or rename one of them"
            )
        yield table


def _checked(path: Path, folder: Path) -> State:
    """The state of a file; refuses what DuckDB would wait for, such as a pipe, or may not read."""
    if not path.resolve().is_relative_to(folder):
        raise UnreachableError(f"{path}: leads out of the folder; copy the file into it")
    check_plain(path)
    if path.suffix == ".parquet":
        check_columns(path)
    return _state(path)


def _read(backend: Any, table: _Table) -> None:
    read = backend.read_parquet if table.kind == "Parquet" else partial(_read_csv, backend)
    try:
        read(str(table.pattern), table_name=table.name)
    except Exception as error:
        raise UnreachableError(
            f"{table.pattern}: cannot be read as {table.kind}: {first_line(error)}; export it again"
        ) from error


def _read_csv(backend: Any, path: str, *, table_name: str) -> None:
    """Read a CSV file: text columns of windsock's tables as text, and times so that a wrong one is an error.

    DuckDB makes NULL of text in a column that it takes for times with a zone (1.5, seen 2026-11-29).
    """
    columns = backend.read_csv(path, table_name=table_name).schema()
    texts = columns.keys() & TEXTS if table_name in TABLES else set()
    zoned = [name for name, kind in columns.items() if kind.is_timestamp() and kind.timezone]
    types = dict.fromkeys([*texts, *zoned], "VARCHAR")
    if not types:
        return
    table = backend.read_csv(path, table_name=f"windsock_{table_name}", types=types)
    backend.drop_view(table_name)
    backend.create_view(table_name, table.cast(dict.fromkeys(zoned, "timestamp('UTC')")))


def first_line(error: Exception) -> str:
    """What DuckDB says of a file, without the rows that it quotes below."""
    text = str(error).strip()
    kind, _, reason = text.partition("\n")[0].partition("Error: ")
    column = _COLUMN.search(text)
    return one_line(reason or kind)[:200].rstrip(".") + (
        f": {column[1]} does not fit the type {column[2]}" if column else ""
    )
