"""`windsock dev` as a program: the database and the mirror at work, and nothing left once it is told to end."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from tests.cli.conftest import boolean

# a shell's background job ignores SIGINT, and so would what it starts
PROGRAM = [
    sys.executable,
    "-c",
    "import signal; signal.signal(2, signal.default_int_handler); from windsock.cli import main; main()",
]
TEACHER = {"state": "ENABLED", "variants": {"base": {}}, "defaultVariant": "base"}
PATIENCE = 60


@pytest.fixture
def folder():
    """A folder with a short path, which a unix socket needs, that ends without a process of its own."""
    with tempfile.TemporaryDirectory(prefix="w") as path:
        yield Path(path)
        assert eventually(lambda: not processes(path)), f"left running: {processes(path)}"


@pytest.fixture
def start(folder):
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [*PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "DATABASE_URL": "", "WINDSOCK_MIRROR_FLAGS": ""},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def processes(path):
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "pid"]):
        words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        if process.info["pid"] != os.getpid() and any(str(path) in word for word in words):
            found.append(words)
    return found


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def write(folder, flags):
    (folder / "flagd").mkdir()
    (folder / "flagd" / "a.flagd.json").write_text(json.dumps({"flags": flags}))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_assigned_profile_is_published_until_the_mirror_stops(folder, start, number):
    write(folder, {"teacher": TEACHER, "beta": boolean()})
    process = start("dev")
    name, _, url = process.stdout.readline().strip().removeprefix("export ").partition("=")
    assert name == "DATABASE_URL"
    with psycopg.connect(url.strip("'"), autocommit=True) as connection:
        [[made]] = connection.execute(
            "insert into app_configurations (name, settings) values ('mine', '{\"top_k\": 3}') returning id::text"
        ).fetchall()
        connection.execute("insert into profiles (id, config_id) values (gen_random_uuid(), %s)", (made,))
    published = folder / "flagd" / "mirror" / "profiles.flagd.json"
    assert eventually(lambda: published.exists() and made in published.read_text())
    assert set(json.loads(published.read_text())["flags"]) == {"teacher.profile", "teacher.profile.shards"}
    process.send_signal(number)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert told.endswith("stopped\n")
    assert "Traceback" not in told


SERVICE = """
import windsock

class Oven(windsock.Settings, flag="oven"):
    degrees: int = 180
"""


def test_the_console_is_served_beside_them_with_a_token_that_ends_with_them(folder, start):
    write(folder, {"oven": TEACHER})
    (folder / "kitchen.py").write_text(SERVICE)
    process = start("dev", "--settings", "kitchen:Oven", "--port", "0", "--no-open")
    told = next(line for line in process.stderr if line.startswith("the console is at "))
    [page] = re.fullmatch(r"the console is at (\S+); sign in with\n", told).groups()
    token = process.stderr.readline().strip()
    with httpx.Client(base_url=page, follow_redirects=True) as person:
        assert "Sign in" in person.get("/").text
        person.post("/sign-in", data={"token": token})
        assert "degrees" in person.get("/settings").text
    process.terminate()
    _, rest = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "Traceback" in rest) == (0, False)
    listed, _ = start("token", "list", "--json").communicate(timeout=PATIENCE)
    assert [token["revoked_at"] is None for token in json.loads(listed)] == [False]


def test_a_database_that_died_meanwhile_is_one_message_at_the_end(folder, start):
    write(folder, {"oven": TEACHER})
    (folder / "kitchen.py").write_text(SERVICE)
    process = start("dev", "--settings", "kitchen:Oven", "--port", "0", "--no-open")
    next(line for line in process.stderr if line.startswith("the mirror follows "))
    pid = int((folder / ".windsock" / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGQUIT)
    next(line for line in process.stderr if "cannot be reached" in line)
    process.terminate()
    _, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 4
    assert "Traceback" not in rest
    assert "windsock: the database cannot be reached" in rest


def test_a_signal_in_the_middle_of_the_start_leaves_nothing(folder, start):
    process = start("dev")
    assert eventually((folder / ".windsock" / "postgres" / "PG_VERSION").exists)
    process.terminate()
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    assert "no mirror: no flag in flagd has objects as values" in told


def test_commands_that_start_the_database_for_themselves_take_it_down_too(folder, start):
    write(folder, {"teacher": TEACHER})
    process = start("mirror", "run", "--flag", "teacher")
    assert eventually((folder / ".windsock" / "postgres" / "PG_VERSION").exists)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 128 + signal.SIGTERM)
