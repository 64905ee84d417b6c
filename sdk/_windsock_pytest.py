"""The pytest plugin ``windsock``: markers and fixtures over `windsock.testing.override`.

pytest loads this file wherever windsock is installed. So it is outside the package, whose import takes
a while, and imports nothing of it before a test asks.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from windsock.testing.databases import Databases
    from windsock.usage import MemorySink, UsageRecord, UsageWriter


_FOLDER = "WINDSOCK_FOLDER"
_MARKERS = frozenset({"flags", "profile", "settings"})


class Override(Protocol):
    """What the fixture ``flags`` is: `windsock.testing.override` until the test ends."""

    def __call__(self, target: Any, values: Any = None, /, **fields: object) -> None:
        """Force values; see `windsock.testing.override`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--flags-strict``."""
    parser.getgroup("windsock").addoption(
        "--flags-strict",
        action="store_true",
        help="fail a test that overrides a flag or a settings class that no code asks for",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and keep windsock's own files of this run in a folder that ends with it."""
    config.add_cleanup(_own_folder())
    config.addinivalue_line(
        "markers",
        "flags(values, **values): force features and flags: @pytest.mark.flags(checkout=True), or"
        ' @pytest.mark.flags({"checkout.v2": True}) for keys that aren\'t Python names',
    )
    config.addinivalue_line(
        "markers",
        "settings(cls, values, **fields): force fields of a windsock settings class:"
        " @pytest.mark.settings(Teacher, top_k=25)",
    )
    config.addinivalue_line(
        "markers",
        "profile(name, *paths): force what a profile of the flag files sets:"
        ' @pytest.mark.profile("experimental_v1")',
    )


def _own_folder() -> Callable[[], None]:
    """Point ``WINDSOCK_FOLDER`` to a new folder: what a run withdraws or spools must not reach the next."""
    before = os.environ.get(_FOLDER)
    # xdist may kill a worker before its cleanup, so a worker's folder is in that of the run
    nested = "PYTEST_XDIST_WORKER" in os.environ and before is not None and Path(before).is_dir()
    folder = Path(tempfile.mkdtemp(prefix="windsock-pytest-", dir=before if nested else None))
    folder.chmod(0o711)  # as root, the embedded PostgreSQL runs as another user
    os.environ[_FOLDER] = str(folder)

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if before is None:
            os.environ.pop(_FOLDER, None)
        else:
            os.environ[_FOLDER] = before

    return remove


@pytest.fixture
def flags() -> Iterator[Override]:
    """Force values until the test ends: ``flags(Teacher, top_k=25)``, ``flags({"checkout.v2": True})``."""
    from windsock.testing import override  # noqa: PLC0415 - see the module

    with ExitStack() as stack:
        yield lambda target, values=None, /, **fields: stack.enter_context(override(target, values, **fields))


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let each test module declare settings classes of its own for the same flags."""
    if isinstance(collector, pytest.Module):
        _forget_claims()


def pytest_runtest_setup() -> None:
    """Let a test import the service under test after a module that declared a stand-in for it."""
    _forget_claims()


def _forget_claims() -> None:
    declaration = sys.modules.get("windsock.settings.declaration")
    if declaration is not None:
        declaration.forget_claims()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the fixture ``usage`` is."""

    sink: "MemorySink"
    writer: "UsageWriter"

    @property
    def rows(self) -> "list[UsageRecord]":
        """The rows recorded so far, in order."""
        self.writer.flush()
        return list(self.sink.rows)


@pytest.fixture
def usage(tmp_path: Path) -> Iterator[Recorded]:
    """Record usage in memory, also after the application's own `windsock.start` if that records nowhere."""
    from windsock.usage import MemorySink, Spool, UsageWriter  # noqa: PLC0415 - see the module
    from windsock.usage.request import install  # noqa: PLC0415 - likewise

    sink = MemorySink()
    writer = UsageWriter(sink, Spool(tmp_path / "windsock-spool"))
    before = install(writer)
    try:
        yield Recorded(sink, writer)
    finally:
        install(before)
        writer.stop()


@pytest.fixture
def healed(usage: Recorded) -> "Callable[[], list[Mapping[str, object]]]":
    """Call it for what was healed so far: ``field``, ``failed_value``, ``error``, ``fell_to`` of each."""
    return lambda: [each for row in usage.rows for each in row.healed]


@pytest.fixture(scope="session")
def windsock_databases() -> "Iterator[Databases]":
    """The embedded PostgreSQL of this test process; `windsock_postgres` has a database of it."""
    from windsock.testing.databases import databases  # noqa: PLC0415 - see the module

    with databases() as found:
        yield found


@pytest.fixture
def windsock_postgres(windsock_databases: "Databases") -> Iterator[str]:
    """The connection string of a fresh database with windsock's tables, for this test alone."""
    with windsock_databases.fresh() as url:
        yield url


@pytest.fixture(scope="session")
def windsock_container_databases(request: pytest.FixtureRequest) -> "Iterator[Databases]":
    """The PostgreSQL container of this test process; `windsock_container_postgres` has a database of it."""
    from windsock.testing.containers import postgres  # noqa: PLC0415 - see the module
    from windsock.testing.databases import Databases  # noqa: PLC0415 - likewise

    with postgres(request.config.rootpath) as server:
        yield Databases(server)


@pytest.fixture
def windsock_container_postgres(windsock_container_databases: "Databases") -> Iterator[str]:
    """As `windsock_postgres`, on the image of the service ``postgres`` in docker-compose.yml."""
    with windsock_container_databases.fresh() as url:
        yield url


@pytest.fixture
def windsock_container_flagd(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], None]]:
    """Call it with a folder of flag files: flagd serves them, and `windsock.start` follows it.

    The image is that of the service ``flagd`` in docker-compose.yml.
    """
    from windsock.testing.containers import flagd  # noqa: PLC0415 - see the module

    with ExitStack() as stack:

        def serve(folder: Path) -> None:
            variables = stack.enter_context(flagd(request.config.rootpath, folder))
            for name, value in variables.items():
                monkeypatch.setenv(name, value)

        yield serve


@pytest.fixture(autouse=True)
def _windsock_markers(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.config.getoption("flags_strict"):
        from windsock.testing.overriding import be_strict  # noqa: PLC0415 - see the module

        be_strict()
    marked = [mark for mark in request.node.iter_markers() if mark.name in _MARKERS]
    if not marked:
        yield
        return
    from windsock.errors import WindsockError  # noqa: PLC0415 - see the module

    # failing outside `except`, without a traceback: it would show only this plugin
    refused = None
    try:
        with ExitStack() as stack:
            for mark in reversed(marked):  # the closest to the test wins
                if (misfit := _force(stack, mark)) is not None:
                    pytest.fail(misfit, pytrace=False)
            yield
    except WindsockError as error:  # from --flags-strict
        refused = str(error)
    if refused is not None:
        pytest.fail(refused, pytrace=False)


def _force(stack: ExitStack, mark: pytest.Mark) -> str | None:
    """Force what a marker says until the stack ends; return what is wrong with it, or None."""
    from windsock.errors import WindsockError  # noqa: PLC0415 - see the module

    try:
        stack.enter_context(_override_of(mark))
    except (WindsockError, TypeError) as error:
        return f"@pytest.mark.{mark.name}: {error}"
    return None


def _override_of(mark: pytest.Mark) -> AbstractContextManager[None]:
    from windsock.errors import OverrideError  # noqa: PLC0415 - see the module
    from windsock.testing import override, profile  # noqa: PLC0415 - likewise

    if not mark.args and not mark.kwargs:
        raise OverrideError("nothing to force; `pytest --markers` shows what it takes")
    if mark.name == "settings":
        return override(*mark.args, **mark.kwargs)
    if mark.name == "profile":
        return override(profile(*mark.args, **mark.kwargs))
    for each in mark.args:
        if not isinstance(each, Mapping):
            raise OverrideError(f"{each!r} has no value; `pytest --markers` shows what it takes")
    return override({key: value for each in (*mark.args, mark.kwargs) for key, value in each.items()})
