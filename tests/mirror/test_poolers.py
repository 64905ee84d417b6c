"""A real PgBouncer before the database, pooling sessions and pooling transactions."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
from tests.ports import free_ports
from tests.waiting import eventually

from windsock.errors import DatabaseUnfitError

CONFIGURATION = """
[databases]
* = host={server} port=5432 user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
"""


@pytest.fixture
def pooler(postgres, world):
    """Start PgBouncer in a mode; the world's connection string through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    owner = postgres.folder.stat()  # PgBouncer refuses to run as root, and must reach the server's socket
    with tempfile.TemporaryDirectory(prefix="windsock-test-") as folder, contextlib.ExitStack() as started:
        os.chown(folder, owner.st_uid, owner.st_gid)

        def start(mode, size=20):
            (port,) = free_ports(1)
            file = Path(folder) / f"{mode}.ini"
            file.write_text(CONFIGURATION.format(server=postgres.folder, port=port, mode=mode, size=size))
            process = subprocess.Popen(
                [program, "-q", file], user=owner.st_uid, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            started.callback(process.wait)
            started.callback(process.kill)
            url = f"host=127.0.0.1 port={port} user=postgres dbname={world.connection.info.dbname}"
            eventually(lambda: answers(url))
            return url

        yield start


def answers(url):
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_session_pooler_carries_the_mirror(pooler, world, watching, recovered):
    ann = world.user()
    mirror = watching(world.mirror(url=pooler("session"), poll_seconds=60, self_test_seconds=0.1))
    eventually(lambda: "teacher.profile" in world.flags())
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    assert mirror.status.leading
    recovered(world, None)


@pytest.mark.parametrize("size", [1, 20])
def test_a_transaction_pooler_is_refused_with_the_reason_and_the_right_port(pooler, world, size):
    url = pooler("transaction", size)
    with pytest.raises(
        DatabaseUnfitError, match=r"goes through a transaction pooler.*port 5432 instead of 6543"
    ):
        world.mirror(url=url).once()
    assert not world.folder.exists() or not list(world.folder.iterdir())


def test_a_refused_pooler_is_left_as_it_was_for_the_applications_on_it(pooler, world):
    """Its sessions are shared, so what one client sets there, the others have."""
    url = pooler("transaction", 1)

    def session():
        with psycopg.connect(url, autocommit=True) as application:
            settings = "select name, setting from pg_settings where name <> 'application_name'"
            locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
            listening = "select pg_listening_channels()"
            return [application.execute(query).fetchall() for query in (settings, locks, listening)]

    before = session()
    with pytest.raises(DatabaseUnfitError):
        world.mirror(url=url).once()
    assert session() == before
