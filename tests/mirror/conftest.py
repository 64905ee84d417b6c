"""A migrated database with a folder beside it, and hands to change the one and read the other."""

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import threading
import uuid

import psycopg
import pytest
from tests.waiting import eventually

from windsock.mirror import base_tables
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions


class World:
    """The database as an application sees it, and the folder as flagd sees it."""

    def __init__(self, url, folder):
        self.folder = folder
        self.connection = None
        self.connect(url)
        self.seed = self.execute("select id::text from app_configurations")[0][0]

    def connect(self, url):
        """Work on this server from now on, as an application does after a failover."""
        self.url = url
        if self.connection is not None:
            self.connection.close()
        self.connection = psycopg.connect(url, autocommit=True)

    def execute(self, statement, *parameters):
        cursor = self.connection.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []

    def configuration(self, name, settings, *, active=True):
        text = settings if isinstance(settings, str) else json.dumps(settings)
        return self.execute(
            "insert into app_configurations (name, settings, is_active) values (%s, %s::jsonb, %s) returning id::text",
            name,
            text,
            active,
        )[0][0]

    def user(self, config_id=None, user_id=None):
        user_id = user_id or str(uuid.uuid4())
        self.execute("insert into profiles (id, config_id) values (%s, %s)", user_id, config_id)
        return user_id

    def assign(self, user_id, config_id):
        self.execute("update profiles set config_id = %s where id = %s", config_id, user_id)

    def assigned(self):
        """User id → settings, as the tables say it: what must be served once a fault is over."""
        return dict(
            self.execute(
                "select p.id::text, c.settings from profiles p "
                "join app_configurations c on c.id = p.config_id and c.is_active"
            )
        )

    @contextlib.contextmanager
    def serving(self):
        """What is served as the block begins is served all through it, whole, however often one reads."""
        before, seen, over = self.served(), [], threading.Event()

        def read():
            while not seen or not over.wait(0.02):
                try:
                    seen.append(self.served())
                except (OSError, ValueError, KeyError) as error:  # a document that is gone or not whole
                    seen.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield before
        finally:
            over.set()
            reader.join()
        assert all(each == before for each in seen)

    def mirror(self, **options):
        chosen = {
            "url": self.url,
            "folder": self.folder,
            "flags": ("teacher",),
            "poll_seconds": 0.5,
        } | options
        return Mirror(MirrorOptions(**chosen))

    def flags(self, name="profiles.flagd.json"):
        return json.loads((self.folder / name).read_bytes())["flags"]

    def served(self, flag="teacher.profile"):
        """User id → settings, from every document of the folder."""
        found = {}
        for path in sorted(self.folder.glob("*.flagd.json")):
            for key, written in json.loads(path.read_bytes())["flags"].items():
                if key != flag and not key.removeprefix(f"{flag}.").isdigit():
                    continue
                rule = written.get("targeting", {"if": []})["if"]
                for condition, variant in zip(rule[::2], rule[1::2], strict=True):
                    for user_id in condition["in"][1]:
                        assert user_id not in found, "a user is in two lists"
                        found[user_id] = written["variants"][variant]
        return found


@pytest.fixture
def make_world(tmp_path):
    worlds = []

    def make(url):
        worlds.append(World(url, tmp_path / "mirror"))
        return worlds[-1]

    yield make
    for world in worlds:
        world.connection.close()


@pytest.fixture
def world(database, make_world):
    return make_world(database)


@pytest.fixture
def looking_often(monkeypatch):
    """Mirrors look more often whether somebody changed the base values by hand."""
    monkeypatch.setattr(base_tables, "_LOOK_SECONDS", 0.1)


@pytest.fixture
def role(postgres):
    """A role that may log in and has no rights."""
    name = f"role_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create role {name} login")
    return name


@pytest.fixture
def watching():
    """Run mirrors in threads until the end of the test."""
    stop = threading.Event()
    threads = []

    def watch(mirror):
        thread = threading.Thread(target=mirror.watch, args=[stop])
        thread.start()
        threads.append(thread)
        return mirror

    yield watch
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive(), "a mirror did not stop"


MIRROR = """
import pathlib, sys, threading
from windsock.mirror.loop import Mirror
from windsock.mirror.options import MirrorOptions
Mirror(MirrorOptions(url=sys.argv[1], folder=pathlib.Path(sys.argv[2]), flags=("teacher",), shards=4)).watch(threading.Event())
"""


@pytest.fixture
def start_mirror(world):
    """Start mirrors of four shards as processes, to be killed."""
    started = []
    with (world.folder.parent / "mirrors.log").open("w") as log:

        def start():
            command = [sys.executable, "-c", MIRROR, world.url, str(world.folder)]
            started.append(subprocess.Popen(command, stderr=log))
            return started[-1]

        yield start
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture
def messages(caplog):
    caplog.set_level(logging.INFO, logger="windsock.mirror")

    def texts(level=logging.WARNING):
        return [record.getMessage() for record in caplog.records if record.levelno >= level]

    return texts


@pytest.fixture
def recovered(messages):
    """Nothing lost, nothing invented, and the one alarm that says what happened; None for no alarm."""

    def check(world, alarm, seconds=60.0):
        eventually(lambda: world.served() == world.assigned(), seconds)
        assert world.mirror().differences() == ()
        alarms = messages(logging.ERROR)
        assert len(alarms) == (alarm is not None), alarms
        if alarm is not None:
            assert re.search(alarm, alarms[0])
            eventually(lambda: any("; the trouble was: " in each for each in messages(logging.INFO)))

    return check


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount program")
    if done.returncode:
        pytest.skip("mounting a small disk needs more rights than this test run has")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


WINDSOCK = [sys.executable, "-c", "from windsock.cli import main; main()"]


@pytest.fixture
def windsock_command(tmp_path):
    def run(*arguments, expect=None, **environment):
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("DATABASE", "WINDSOCK"))
        }
        done = subprocess.run(
            [*WINDSOCK, *arguments],
            capture_output=True,
            check=False,
            text=True,
            cwd=tmp_path,
            env=clean | environment,
            timeout=60,
        )
        if expect is not None:
            assert done.returncode == expect, done.stdout + done.stderr
        return done

    return run
