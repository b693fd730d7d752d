"""HTTP by hand: one socket, bytes in, answers out. And a small signed S3 client over it."""
import datetime
import hashlib
import re
import socket
import xml.etree.ElementTree as ET

from . import sigv4

READ_S = 60  # a bound against a hang, not an expectation


class Answer:
    def __init__(self, status, headers, body, interim=()):
        self.status, self.headers, self.body, self.interim = status, headers, body, interim

    def __getitem__(self, name):
        return self.headers.get(name.lower())

    def xml(self):
        """The root, names without their name space."""
        return ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", self.body, count=1))

    @property
    def code(self):
        return self.xml().findtext("Code") if self.body else None

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:400]!r}>"


class Closed(Exception):
    """The server ended the connection before a whole answer."""


class Connection:
    """`server.tls`, where there is one: the context of a TLS connection; `server.source`: the client's address."""

    def __init__(self, server):
        source = getattr(server, "source", None)
        self.socket = socket.create_connection((server.host, server.port), READ_S, source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if getattr(server, "tls", None):
            self.socket = server.tls.wrap_socket(self.socket, server_hostname=server.host)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _line(self):
        line = self.file.readline(65536)
        if not line.endswith(b"\n"):
            raise Closed(line)
        return line.rstrip(b"\r\n").decode("latin-1")

    def _head(self):
        status = int(self._line().split(" ", 2)[1])
        headers = {}
        while True:
            line = self._line()
            if not line:
                return status, headers
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()

    def _body(self, headers):
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while True:
                size = int(self._line().split(";")[0], 16)
                data = self.file.read(size)
                self._line()
                if size == 0:
                    return b"".join(parts)
                parts.append(data)
        size = int(headers.get("content-length", 0))
        data = self.file.read(size)
        if len(data) < size:
            raise Closed(data)
        return data

    def answer(self, method="GET"):
        interim = []
        status, headers = self._head()
        while status < 200:
            interim.append(status)
            status, headers = self._head()
        bodyless = method == "HEAD" or status in (204, 304)
        return Answer(status, headers, b"" if bodyless else self._body(headers), interim)


def head(method, target, headers):
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    for name, value in headers.items():
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("latin-1")))
    return b"\r\n".join(lines) + b"\r\n\r\n"


class S3:
    """Signed requests over one kept connection. `bucket` and `key` are text or bytes."""

    def __init__(self, server, key):
        self.server, self.key, self.connection = server, key, None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def prepare(self, method, path, query=(), headers=None, body=b"", payload=None, now=None, add=()):
        """(bytes of the head, Signed). `path` is not yet encoded."""
        headers = {"Host": f"{self.server.host}:{self.server.port}", **(headers or {})}
        target = sigv4.quote_path(path)
        if body or method in ("PUT", "POST"):
            headers.setdefault("Content-Length", str(len(body)))
        signed = sigv4.sign(self.key, method, target, list(query), headers, payload or sigv4.sha256(body), now,
                            add=add)
        encoded = sigv4.encode_query(query)
        return head(method, target + ("?" + encoded if encoded else ""), headers), signed

    def send(self, data, method):
        if self.connection is None:
            self.connection = Connection(self.server)
        self.connection.send(data)
        answer = self.connection.answer(method)
        if answer["connection"] == "close":
            self.close()
        return answer

    def request(self, method, path, query=(), headers=None, body=b"", **more):
        data, _ = self.prepare(method, path, query, headers, body, **more)
        return self.send(data + body, method)

    def put(self, bucket, key, body, **headers):
        return self.request("PUT", _path(bucket, key), headers={n.replace("_", "-"): v for n, v in headers.items()},
                            body=body)

    def get(self, bucket, key, **headers):
        return self.request("GET", _path(bucket, key), headers={n.replace("_", "-"): v for n, v in headers.items()})

    def delete(self, bucket, key):
        return self.request("DELETE", _path(bucket, key))


def _path(bucket, key):
    key = key if isinstance(key, bytes) else key.encode()
    return b"/" + bucket.encode() + b"/" + key


def md5(data):
    return hashlib.md5(data).hexdigest()


def http_date(seconds_from_now=0):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_from_now)
    return when.strftime("%a, %d %b %Y %H:%M:%S GMT")
