"""The console's listener."""

import socket

from windsock.console.serving import _listening


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_beginning():
    with _listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
