"""What a running example stands on: a database, the mirror, a folder of flags, and a model endpoint."""

import os
import threading

import psycopg
import pytest
from tests.waiting import eventually

from windsock.demo.endpoint import LlmEndpoint
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions

FOREIGN = (
    "AD_",
    "AURA_",
    "CELERY_",
    "CONFIGURATION_API_",
    "DATABASE_URL",
    "ENVIRONMENT",
    "FLAGD_",
    "FUZZY_",
    "JITTER_",
    "LEARNING_",
    "MAX_",
    "OLLAMA_",
    "OPENAI_",
    "OPENROUTER_",
    "PG",
    "POLL_",
    "RAG_",
    "SAFE_EXECUTOR_",
    "TEACHER_",
    "VELOCITY_",
    "WINNER_",
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    """An example sees no variable and no `.env` of the machine that the tests run on."""
    for name in [name for name in os.environ if name.startswith(FOREIGN) and name != "FLAGD_BIN"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """The folder of flags that an example reads; empty so far."""
    folder = tmp_path / "flagd"
    folder.mkdir()
    monkeypatch.setenv("FLAGD_OFFLINE_FLAG_SOURCE_PATH", str(folder))
    return folder


@pytest.fixture
def endpoint():
    with LlmEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def sql(database):
    """Run a statement as a person at an SQL editor would."""
    with psycopg.connect(database, autocommit=True) as connection:

        def run(statement, *values):
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def database_url(database, monkeypatch):
    """The database, named to an example as a deployment names it."""
    monkeypatch.setenv("DATABASE_URL", database)


@pytest.fixture
def mirror(database, flags):
    """Run the mirror of one flag, as `windsock mirror run` does, until the end of the test."""
    stop, threads = threading.Event(), []

    def run(flag):
        mirror = Mirror(MirrorOptions(url=database, folder=flags / "mirror", flags=(flag,), poll_seconds=0.5))
        threads.append(threading.Thread(target=mirror.watch, args=[stop]))
        threads[-1].start()
        eventually((flags / "mirror/profiles.flagd.json").exists)

    yield run
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive(), "the mirror did not stop"
