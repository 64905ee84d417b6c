"""A proxy before a PostgreSQL that listens on a unix socket: for networks that lose things."""

import contextlib
import select
import socket
import struct
import threading

READY = b"Z\0\0\0\5I"
"""The server's ReadyForQuery, which ends the start of a session."""


class Proxy:
    """Forwards connections until it is told to drop notifications or to stall.

    Attributes:
        drops_notifications: Swallow the server's NotificationResponse messages, as a transaction pooler does.
        silent_session: The number, from 0, of a session that hears nothing more once it has begun.
        stalls: Read nothing more and forward nothing more, and close nothing either.
    """

    def __init__(self, socket_folder):
        self._server_path = f"{socket_folder}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.drops_notifications = False
        self.silent_session = None
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
                thread = threading.Thread(target=self._serve, args=[client, len(self._threads) - 1])
                thread.start()
                self._threads.append(thread)

    def _serve(self, client, number):
        server = socket.socket(socket.AF_UNIX)
        with client, server, contextlib.suppress(OSError):
            server.connect(self._server_path)
            waiting = b""
            has_begun = False
            while not self._stop.is_set():
                if self.stalls or (has_begun and number == self.silent_session):
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
                    has_begun = has_begun or READY in passed

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
