"""A worker that gevent patches late, as gunicorn's with --preload: its database calls let other greenlets run."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("gevent")

WORKER = """
import gevent, psycopg, socket, sys, windsock
from windsock.postgres.connection import KeptConnection

windsock.start(flags="flagd", usage=sys.argv[1])  # before the patching
from gevent import monkey
monkey.patch_all()

ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0.02)
gevent.spawn(tick)

kept = KeptConnection(sys.argv[1], "test", "the test")
kept.opened()
before = ticks
kept.opened().execute("select pg_sleep(1)")
print("while a statement ran:", ticks - before > 3)
kept.close()

silent = socket.create_server(("127.0.0.1", 0))
before = ticks
try:
    KeptConnection(f"postgresql://a@127.0.0.1:{silent.getsockname()[1]}/a", "test", "the test").opened()
except psycopg.OperationalError:
    print("while a server was silent:", ticks - before > 3)
windsock.stop()
"""


@pytest.mark.slow
def test_a_database_that_is_slow_blocks_no_other_greenlet(database, tmp_path):
    (tmp_path / "flagd").mkdir()
    (tmp_path / "flagd" / "a.flagd.json").write_text('{"flags": {}}')
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("WINDSOCK", "PSYCOPG"))
    }
    done = subprocess.run(
        [sys.executable, "-c", WORKER, database],
        capture_output=True, text=True, env=clean, cwd=tmp_path, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["while a statement ran: True", "while a server was silent: True"]
