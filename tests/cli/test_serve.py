"""`windsock serve` as a program: it says where it listens, asks for a sign-in, and ends when it is told to."""

import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from tests.cli.conftest import boolean

PROGRAM = [sys.executable, "-c", "from windsock.cli import main; main()", "serve"]
CLASS = """
import windsock


class Teacher(windsock.Settings, flag="teacher"):
    top_k: int = 10
"""


@pytest.fixture
def serve(tmp_path, database):
    (tmp_path / "app.py").write_text(CLASS)
    (tmp_path / "flagd").mkdir()
    (tmp_path / "flagd/a.flagd.json").write_text(json.dumps({"flags": {"f": boolean()}}))
    started = []

    def serve(*arguments):
        process = subprocess.Popen(
            [*PROGRAM, "app:Teacher", *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=os.environ | {"DATABASE_URL": database},
        )  # fmt: skip
        started.append(process)
        return process

    yield serve
    for process in started:
        process.kill()
        process.communicate()


def test_it_serves_until_it_is_stopped(serve):
    process = serve("--port", "0")
    address = process.stdout.readline().split()[0]
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}
    asked = httpx.get(f"{address}/settings")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fsettings")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_one_line(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = serve("--port", str(taken.getsockname()[1]))
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.splitlines()[-1].endswith("cannot listen: Address already in use; choose another --port")
    assert len(errors.splitlines()) == 1
