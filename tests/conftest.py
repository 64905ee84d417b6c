"""Fixtures that more than one package of tests uses: a real PostgreSQL, and fresh databases on it."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest

from tests.flagd_server import flagd_binary
from tests.left_behind import nothing_is_left
from tests.postgres_proxy import Proxy
from windsock.postgres import embedded
from windsock.settings.process import process
from windsock.settings.resolver import Resolver

_SLOW = (
    "api/test_processes.py", "cli", "client/test_hooks.py", "client/test_internals.py",
    "containers", "contrib/test_celery_pools.py",
    "contrib/test_django_app.py", "contrib/test_servers.py", "evaluator/test_oracles.py", "examples",
    "experiments/test_champion.py", "experiments/test_checked_select.py", "experiments/test_decision.py",
    "experiments/test_demo.py", "experiments/test_engines.py", "experiments/test_gbstats.py",
    "experiments/test_hand_written.py", "experiments/test_hostile_selects.py", "experiments/test_lapses.py", "experiments/test_oracles.py",
    "experiments/test_published.py", "experiments/test_segments.py", "experiments/test_units.py",
    "flags/test_fuzz.py",
    "healing/test_classify.py", "healing/test_retired_model.py", "lint/test_portable.py",
    "lint/test_schema.py", "migrations/test_attacks.py", "migrations/test_upgrade.py",
    "mirror/test_command.py", "mirror/test_faults.py", "mirror/test_faults_mirror.py",
    "mirror/test_faults_rows.py", "mirror/test_faults_unexpected.py", "mirror/test_guard_in_service.py",
    "mirror/test_network.py", "mirror/test_poolers.py", "mirror/test_stalled.py", "mirror/test_unlogged.py",
    "provenance/test_past.py", "providers/test_fork.py", "settings/test_same_as_pydantic.py",
    "test_packaging.py", "testing/test_plugin.py", "testing/test_strategies.py", "typing",
)  # fmt: skip
"""What starts programs, servers and whole systems, or many of them, what waits for a server's faults, whole analyses of
experiments, and comparisons of thousands of generated cases, below this folder; `.ci/run` runs these apart."""


# `--hypothesis-profile=ci`: the same examples in each run, and no limits of time; older versions lack it
hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    database=None,
    print_blob=True,
)


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled modules for this run where the environment keeps none: tests start hundreds of programs.

    Raises:
        pytest.UsageError: A file of `_SLOW` was renamed, and would run with the others.
    """
    if gone := [each for each in _SLOW if not (Path(__file__).parent / each).exists()]:
        raise pytest.UsageError(f"tests/conftest.py: _SLOW names what isn't there: {', '.join(gone)}")
    if sys.dont_write_bytecode:
        folder = tempfile.TemporaryDirectory(prefix="windsock-bytecode-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder.name
        os.environ.pop("PYTHONDONTWRITEBYTECODE")
        sys.dont_write_bytecode = False


def pytest_sessionstart() -> None:
    """Undo what the plugin does for other projects: these tests look at `.windsock` in folders of their own."""
    os.environ.pop("WINDSOCK_FOLDER", None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't load the files of `_SLOW` for a run without slow tests: what they import takes longer than most tests."""
    without, others = (config.option.markexpr.count(each) for each in ("not slow", "slow"))
    return True if without == others > 0 and _is_slow(collection_path) else None  # not "slow or not slow"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `_SLOW` as slow."""
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)


@cache
def _is_slow(path: Path) -> bool:
    here = Path(__file__).parent
    return any(path.is_relative_to(here / each) for each in _SLOW)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a flagd server where there is none."""
    if item.get_closest_marker("flagd") is not None and flagd_binary() is None:
        pytest.skip("no flagd server: set FLAGD_BIN to its path")


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test fails that leaves its process other than it found it.

    Slow ones are mostly programs of their own, and pages of the documentation show what a program leaves as it is.
    """
    if request.node.get_closest_marker("slow") or request.node.get_closest_marker("documentation"):
        yield
    else:
        with nothing_is_left():
            yield


@pytest.fixture(autouse=True)
def _own_classes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read the environment for the classes that a test can know: each start and reload reads it for all there are.

    Those of other test modules are loaded too, and those of earlier tests may not be collected yet.
    """
    others = {each for each in process.readers if _is_of_another_test(each, request.module.__name__)}
    for each in others:
        del process.readers[each]
    yield
    process.readers.update(dict.fromkeys(others))


def _is_of_another_test(reader: object, module: str) -> bool:
    if not isinstance(reader, Resolver):
        return False
    declared = reader.declaration.settings_class
    of_a_test = declared.__module__.rpartition(".")[2].startswith("test_")
    return "<locals>" in declared.__qualname__ or (of_a_test and declared.__module__ != module)


@pytest.fixture
def synced(monkeypatch) -> Callable[[Path], list[tuple[str, int]]]:
    """Note what is forced to the disk: the name, in a folder, that it has at that moment, and its size then."""
    force = os.fsync

    def watch(folder: Path) -> list[tuple[str, int]]:
        noted = []

        def fsync(descriptor: int) -> None:
            status = os.fstat(descriptor)
            if folder.stat().st_ino == status.st_ino:
                noted.append((folder.name, 0))
            with os.scandir(folder) as entries:  # it has their inodes: other threads rename files meanwhile
                noted.extend((each.name, status.st_size) for each in entries if each.inode() == status.st_ino)
            force(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        return noted

    return watch


def _server_folder() -> tempfile.TemporaryDirectory[str]:
    """Give a folder for a server's data, not below pytest's own.

    As root the server runs as another user, and each pytest session closes pytest's folder to other users.
    """
    return tempfile.TemporaryDirectory(prefix="windsock-test-", ignore_cleanup_errors=True)


@pytest.fixture
def postgres_folder() -> Iterator[Path]:
    """A data folder for a server of the test's own; there is nothing in it."""
    with _server_folder() as folder:
        yield Path(folder) / "postgres"


@pytest.fixture(scope="session")
def postgres(windsock_databases) -> embedded.EmbeddedPostgres:
    """One embedded server for each test process."""
    return windsock_databases.server


@pytest.fixture(scope="session")
def migrated_template(windsock_databases) -> str:
    """The name of a database with every migration applied, to make others from."""
    return windsock_databases.migrated


@pytest.fixture
def make_database(windsock_databases) -> Iterator[Callable[[str], str]]:
    """Make a database from a template and return its connection string; it is dropped after the test."""
    with ExitStack() as stack:
        yield lambda template="template1": stack.enter_context(windsock_databases.fresh(template))


@pytest.fixture
def empty_database(make_database) -> str:
    """The connection string of a fresh database without a table."""
    return make_database()


@pytest.fixture
def database(windsock_postgres) -> str:
    """The connection string of a fresh database with every migration applied."""
    return windsock_postgres


@pytest.fixture
def database_encoded_in(postgres) -> Iterator[Callable[[str], str]]:
    """Make a database without a table, of an encoding such as LATIN1; it is dropped after the test."""
    import psycopg  # an extra

    names = []
    with psycopg.connect(postgres.url, autocommit=True) as server:

        def make(encoding: str) -> str:
            name = f"encoded_{uuid4().hex}"
            server.execute(f"create database {name} encoding '{encoding}' locale 'C' template template0")
            names.append(name)
            return postgres.database_url(name)

        yield make
        for name in names:
            server.execute(f"drop database {name} with (force)")


@pytest.fixture
def proxy(postgres) -> Iterator[Proxy]:
    """A proxy before the server, to connect through over TCP."""
    proxy = Proxy(postgres.folder)
    yield proxy
    proxy.close()
