"""The embedded PostgreSQL: started, shared, stopped."""

import subprocess
import sys

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
