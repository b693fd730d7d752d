"""Slow clients, thousands in one process: head drippers, body drippers and idle ones, a third each.

    python3 slow.py HOST PORT COUNT TARGET

TARGET is a presigned PUT. Writes "ready" when all are connected; on a line of input (or its end) writes what
became of them, as JSON, and ends. A connection that the server cuts is opened again after a pause, so that
their number stays.
"""
import collections
import errno
import json
import resource
import select
import socket
import sys
import time

DRIP_S = 5  # between two bytes of one client: far below any rate a server should wait for
PAUSE_S = 10  # before a client that was cut comes again
SOURCES = 6  # addresses 127.0.1.x that they come from: below the server's cap for one, enough ports
BURST = 250  # connections opened at a time, so that no SYN is dropped
KINDS = ("head", "body", "idle")


class Slow:
    def __init__(self, host, port, count, target):
        self.address = (host, port)
        self.first = {"head": f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nX-Drip: ".encode(),
                      "body": f"PUT {target} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000000\r\n\r\n".encode(), "idle": b""}
        self.epoll, self.open = select.epoll(), {}
        self.waiting = collections.deque((0.0, i, KINDS[i % 3]) for i in range(count))  # (when, number, kind)
        self.drips = collections.deque()  # (when, connection), in order: all wait equally long
        self.ended = {kind: collections.Counter() for kind in KINDS}
        self.opened, self.most = 0, 0

    def connect(self, number, kind):
        c = socket.socket()
        c.setblocking(False)
        c.bind((f"127.0.1.{1 + number % SOURCES}", 0))
        try:
            c.connect(self.address)
        except BlockingIOError:
            pass
        self.open[c.fileno()] = (c, number, kind)
        self.epoll.register(c.fileno(), select.EPOLLIN | select.EPOLLOUT)
        self.opened += 1

    def connected(self, fd, c, kind):
        self.epoll.modify(fd, select.EPOLLIN)
        if self.send(fd, c, self.first[kind]) and kind != "idle":
            self.drips.append((time.monotonic() + DRIP_S, fd, c))

    def send(self, fd, c, data):
        try:
            return c.send(data) > 0 or not data
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return True
            self.end(fd, "reset")
            return False

    def end(self, fd, how):
        c, number, kind = self.open.pop(fd)
        c.close()
        self.ended[kind][how] += 1
        self.waiting.append((time.monotonic() + PAUSE_S, number, kind))

    def readable(self, fd, c):
        try:
            data = c.recv(4096)
        except OSError:
            self.end(fd, "reset")
            return
        self.end(fd, data[9:12].decode("latin-1") if data.startswith(b"HTTP/1.1 ") else "closed")

    def turn(self):
        """What is due, then what is ready. False: the driver was told to end."""
        now = time.monotonic()
        for _ in range(BURST):
            if not self.waiting or self.waiting[0][0] > now:
                break
            self.connect(*self.waiting.popleft()[1:])
        while self.drips and self.drips[0][0] <= now:
            _, fd, c = self.drips.popleft()
            if fd in self.open and self.open[fd][0] is c and self.send(fd, c, b"x"):
                self.drips.append((now + DRIP_S, fd, c))
        for fd, events in self.epoll.poll(0.05, 1024):
            if fd == sys.stdin.fileno():
                return False
            if fd not in self.open:
                continue
            c, _, kind = self.open[fd]
            if events & select.EPOLLOUT:
                self.connected(fd, c, kind)
            elif events:
                self.readable(fd, c)
        self.most = max(self.most, len(self.open))
        return True

    def run(self):
        ready = False
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
        while self.turn():
            if not ready and not any(when == 0 for when, _, _ in self.waiting):
                ready = True
                print("ready", flush=True)
        print(json.dumps({"opened": self.opened, "most": self.most, "open": len(self.open),
                          "ended": {kind: dict(how) for kind, how in self.ended.items()}}), flush=True)


if __name__ == "__main__":
    count = int(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 100, hard), hard))
    Slow(sys.argv[1], int(sys.argv[2]), count, sys.argv[4]).run()
