"""Poolers and proxies between the mirror and the database."""

import contextlib
import logging
import select
import socket
import struct
import threading

import pytest
from tests.waiting import eventually

from windsock.errors import DatabaseUnfitError


class Proxy:
    """Forwards connections until it is told to drop notifications or to stall.

    Attributes:
        drops_notifications: Swallow the server's NotificationResponse messages, as a transaction pooler does.
        stalls: Read nothing more and forward nothing more, and close nothing either.
    """

    def __init__(self, socket_folder):
        self._server_path = f"{socket_folder}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.drops_notifications = False
        self.stalls = False
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable&gssencmode=disable"

    def close(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self):
        while not self._stop.is_set():
            if select.select([self._listener], [], [], 0.1)[0]:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=[client])
                thread.start()
                self._threads.append(thread)

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        with client, server, contextlib.suppress(OSError):
            server.connect(self._server_path)
            waiting = b""
            while not self._stop.is_set():
                if self.stalls:
                    self._stop.wait(0.05)
                    continue
                readable, _, _ = select.select([client, server], [], [], 0.1)
                if client in readable:
                    data = client.recv(65536)
                    if not data:
                        return
                    server.sendall(data)
                if server in readable:
                    data = server.recv(65536)
                    if not data:
                        return
                    passed, waiting = self._filter(waiting + data)
                    client.sendall(passed)

    def _filter(self, data):
        """Split the server's stream into messages (a type byte, a length) and leave out the notifications."""
        passed = b""
        while len(data) >= 5:
            size = 1 + struct.unpack("!I", data[1:5])[0]
            if len(data) < size:
                break
            if not (data[:1] == b"A" and self.drops_notifications):
                passed += data[:size]
            data = data[size:]
        return passed, data


@pytest.fixture
def proxy(postgres):
    proxy = Proxy(postgres.folder)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(world, proxy):
    world.proxy = proxy
    return proxy.url(world.connection.info.dbname)


def test_over_tcp_everything_works(world, proxied):
    ann = world.user(world.seed)
    world.mirror(url=proxied).once()
    assert set(world.served()) == {ann}


def test_a_connection_that_drops_notifications_is_refused_at_the_start(world, proxied):
    world.proxy.drops_notifications = True
    with pytest.raises(DatabaseUnfitError, match=r"transaction pooler.*port 5432 instead of 6543"):
        world.mirror(url=proxied).once()


def test_notifications_lost_later_are_noticed_and_the_poll_serves_meanwhile(
    *, world, proxied, watching, messages, recovered
):
    ann = world.user()
    watching(world.mirror(url=proxied, poll_seconds=0.3, self_test_seconds=1.0))
    eventually(lambda: "teacher.profile" in world.flags())
    world.proxy.drops_notifications = True
    world.assign(ann, world.seed)
    eventually(lambda: ann in world.served())
    with world.serving():
        eventually(lambda: messages(logging.ERROR))
    world.proxy.drops_notifications = False
    world.assign(ann, None)
    recovered(world, "notifications are lost")


def test_a_wake_up_that_arrives_during_the_self_test_is_not_lost(world):
    with world.mirror()._connected() as source:
        world.assign(world.user(), world.seed)
        assert source.hears_itself()
        assert source.wait(0.5)
        assert source.wait(0.5), "before it sleeps it reads once more"
        assert not source.wait(0.1), "it wakes once"


def test_a_stalled_connection_is_broken_and_opened_again(*, world, proxied, watching, messages, recovered):
    world.user(world.seed)
    watching(world.mirror(url=proxied, answer_seconds=2.0))
    eventually(lambda: world.served() == world.assigned())
    with world.serving():
        world.proxy.stalls = True
        world.user(world.seed)
        eventually(lambda: messages(logging.ERROR), seconds=20)
    world.proxy.stalls = False
    recovered(world, "the connection to the database is lost")
