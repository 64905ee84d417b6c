"""The embedded PostgreSQL: started, shared, stopped."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from windsock.errors import ConfigurationError
from windsock.postgres import embedded


def running(folder):
    return (folder / "postmaster.pid").exists()


def test_starts_serves_and_stops(postgres_folder):
    folder = postgres_folder
    with embedded.start(folder) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
            assert connection.execute("show listen_addresses").fetchone() == ("",)
        with embedded.start(folder) as again:
            assert again.url == server.url
        assert running(folder)
    assert not running(folder)


@pytest.mark.slow
def test_data_is_there_after_a_restart(postgres_folder):
    with embedded.start(postgres_folder) as server, psycopg.connect(server.url) as connection:
        connection.execute("create table kept (id int)")
    with embedded.start(postgres_folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_a_killed_user_does_not_keep_the_server_alive(postgres_folder):
    folder = postgres_folder
    program = (
        "import os, pathlib, signal, sys; from windsock.postgres import embedded; "
        "embedded.start(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert killed.returncode == -9
    assert running(folder)
    with embedded.start(folder):
        pass
    assert not running(folder)


def test_a_path_with_white_space_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="white space"):
        embedded.start(tmp_path / "my data")


def test_a_folder_that_is_not_a_data_folder_is_a_message(tmp_path):
    (tmp_path / "something").write_text("else")
    with pytest.raises(ConfigurationError, match="does not start in"):
        embedded.start(tmp_path)


def test_a_log_is_named_only_if_there_is_one(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"\. Set DATABASE_URL to a server of your own$"):
        embedded.start(tmp_path / "file" / "postgres")


@pytest.fixture
def own(postgres_folder, monkeypatch):
    """The data folder of windsock's own, in a repository; there is nothing in it."""
    monkeypatch.chdir(postgres_folder.parent)
    monkeypatch.delenv("WINDSOCK_FOLDER", raising=False)
    return postgres_folder.parent / ".windsock" / "postgres"


def test_a_data_folder_that_came_with_a_checkout_is_not_started(own, monkeypatch):
    own.mkdir(parents=True)
    (own / "PG_VERSION").write_text("18\n")
    (own / "postgresql.conf").write_text("archive_mode = on\narchive_command = 'touch /tmp/pwned'\n")
    ada = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    for command in (["init", "-q"], ["add", "--force", "."], ["commit", "-qm", "one"]):
        subprocess.run([*ada, *command], check=True)
    before = os.umask(0o077)  # with the usual 022, PostgreSQL itself refuses the folder's mode
    try:
        subprocess.run(["git", "clone", "-q", ".", "clone"], check=True)
    finally:
        os.umask(before)
    monkeypatch.chdir("clone")
    with pytest.raises(ConfigurationError, match="it holds data that windsock did not make here"):
        embedded.start()
    assert {each.name for each in Path(".windsock/postgres").iterdir()} == {"PG_VERSION", "postgresql.conf"}


def test_nor_is_one_behind_a_link(own):
    own.parent.mkdir()
    own.symlink_to(own.parents[1])
    with pytest.raises(ConfigurationError, match="it is a link"):
        embedded.start()


@pytest.mark.slow
def test_one_that_was_made_here_or_is_vouched_for_starts(own):
    for _ in range(2):
        with embedded.start() as server:
            assert server.folder == own.resolve()
    own.chmod(0o700)
    with pytest.raises(ConfigurationError, match="chmod \\+t"):
        embedded.start()
    own.chmod(0o1700)
    with embedded.start() as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
