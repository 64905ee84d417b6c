"""What the tests of ad learning share: a flag file of the test's own, its database, and the mirror between them."""

import json
import shutil
import socket
import threading
from pathlib import Path

import psycopg
import pytest
from examples.ad_learning.settings import Learning
from psycopg import sql
from tests.waiting import eventually

import windsock
from examples.ad_learning import config_loader
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
from windsock.nested import overlay
from windsock.postgres.migrations import migrate, read_migrations

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def learning_file(tmp_path, monkeypatch):
    """A copy of the flag file, alone in a folder, which the system's variable names."""
    path = tmp_path / "flagd" / "learning.flagd.json"
    path.parent.mkdir()
    shutil.copy(REPOSITORY / "flagd" / path.name, path)
    monkeypatch.setenv("LEARNING_CONFIG_PATH", str(path))
    return path


@pytest.fixture
def served(learning_file):
    """The flag file is served to this process."""
    config_loader.start()
    yield learning_file
    windsock.stop()


@pytest.fixture
def configure(served):
    """Change a section of what production is served: ``configure("feature_flags", auto_promoter=False)``.

    Mappings merge key by key; None takes a key away.
    """

    def configure(section, **values):
        document = json.loads(served.read_bytes())
        variant = document["flags"]["learning"]["variants"]["production"]
        variant[section] = without_nulls(overlay(variant[section], values))
        served.write_text(json.dumps(document))
        config_loader.reload_config()

    return configure


def without_nulls(value):
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(item) for key, item in value.items() if item is not None}


@pytest.fixture(scope="session")
def learning_template(postgres, migrated_template):
    """The name of a database with the system's tables, to make others from."""
    name = "learning_template"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(migrated_template)
            )
        )
    with psycopg.connect(postgres.database_url(name), autocommit=True) as connection:
        own = read_migrations(REPOSITORY / "examples/ad_learning/migrations")
        migrate(connection, [*read_migrations(), *own])
    return name


@pytest.fixture
def database(make_database, learning_template):
    """The connection string of a fresh database with the system's tables."""
    return make_database(learning_template)


@pytest.fixture
def connection(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def embeddings(endpoint, monkeypatch):
    """An endpoint of the embedding model, which the environment names."""
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "loopback")
    return endpoint


@pytest.fixture
def silent():
    """The URL of a server that accepts, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def mirror(database, connection, learning_file, tmp_path):
    """The mirror, which writes the flag into `learning_config`; not at work yet."""
    options = MirrorOptions(
        url=database,
        folder=tmp_path / "mirror",
        flags=("learning",),
        settings=(Learning,),
        learning_config=("learning",),
        units=("learning:campaigns",),
        git_folder=learning_file.parent,
    )
    return Mirror(options)


@pytest.fixture
def watching_mirror(mirror, connection):
    """The mirror at work, past its first write."""
    stop = threading.Event()
    thread = threading.Thread(target=mirror.watch, args=[stop])
    thread.start()
    try:
        eventually_true(connection, "select bool_or(revision is not null) from learning_config")
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive(), "the mirror did not stop"


def eventually_true(connection, question):
    """Wait until the database says yes."""
    eventually(lambda: connection.execute(question).fetchone()[0])
