"""The fronts: each fault does what its name says, to one directed pair only."""
import os
import socket
import sys
import threading

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
from lib.regions import free_port  # noqa: E402
from links_process import Links  # noqa: E402

LONG_S = 600
ANSWER_S = 20
HEAD = b"POST /-/peer/x HTTP/1.1\r\nX-Domicile-From: %d\r\n\r\n"


class Echo:
    """A region that gives back whatever it gets."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def serve(connection):
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass
        connection.close()


@pytest.fixture
def front():
    echo, port = Echo(), free_port()
    links = Links([(2, port, echo.port)])
    links.port = port
    yield links
    links.close()
    echo.listener.close()


def call(front, number, body=b""):
    """A connection that has said who it is, with its echo still to be read."""
    made = socket.create_connection(("127.0.0.1", front.port), timeout=ANSWER_S)
    made.sendall(HEAD % number + body)
    return made


def read(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            break
        data += more
    return data


def answered(connection, body=b""):
    return len(read(connection, len(HEAD % 1) + len(body))) == len(HEAD % 1) + len(body)


def test_passes_everything_and_the_end(front):
    body = os.urandom(3 << 20)
    connection = socket.create_connection(("127.0.0.1", front.port), timeout=ANSWER_S)
    threading.Thread(target=lambda: (connection.sendall(HEAD % 1 + body), connection.shutdown(socket.SHUT_WR))).start()
    assert read(connection, len(HEAD % 1) + len(body)) == HEAD % 1 + body
    assert connection.recv(1) == b""


def test_a_cut_resets_what_is_there_and_what_comes_and_nobody_else(front):
    before, other = call(front, 1), call(front, 3)
    assert answered(before) and answered(other)
    front.tell("cut", 1, 2, LONG_S, 0)
    with pytest.raises(ConnectionResetError):
        before.recv(1)
    with pytest.raises(ConnectionResetError):
        call(front, 1).recv(1)
    other.sendall(b"x")
    assert other.recv(1) == b"x"
    front.tell("heal")
    assert answered(call(front, 1))


def test_a_hole_keeps_everything_until_it_is_over(front):
    before = call(front, 1)
    assert answered(before)
    front.tell("hole", 1, 2, LONG_S, 0)
    before.sendall(b"kept")
    other = call(front, 3)
    assert answered(other)  # and by now the piece above would have come, too
    before.setblocking(False)
    with pytest.raises(BlockingIOError):
        before.recv(1)
    before.settimeout(ANSWER_S)
    front.tell("heal")
    assert read(before, 4) == b"kept"


def test_a_break_lets_exactly_so_much_pass(front):
    front.tell("break", 1, 2, LONG_S, len(HEAD % 1) + 10)
    connection = call(front, 1, b"0123456789abcdef")
    with pytest.raises(ConnectionResetError):
        while connection.recv(65536):
            pass
    assert answered(call(front, 1))


def test_a_delayed_link_still_passes(front):
    front.tell("delay", 1, 2, LONG_S, 0.01)
    assert answered(call(front, 1))
