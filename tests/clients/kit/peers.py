"""Between regions: a tap that sees, holds and repeats what they say to each other, and a signer of envelopes
written from the wire room's README."""
import base64
import hashlib
import os
import socket
import threading
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect",
       "content-length"}


class Message:
    """One request of one region to another, as it was sent."""

    def __init__(self, head, body):
        self.head, self.body = head, body
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ")
        self.fields = [(n, v.strip()) for n, v in (line.split(":", 1) for line in lines[1:] if line)]

    def __getitem__(self, name):
        return next((v for n, v in self.fields if n.lower() == name), None)

    @property
    def raw(self):
        """To be sent in one piece: nobody waits for 100 Continue then."""
        return self.head + self.body


class Cut(Exception):
    """The connection ends behind these bytes."""

    def __init__(self, data):
        super().__init__()
        self.data = data


class Tap:
    """A TCP proxy in front of one region. `seen`: requests; `answers`: what came back, as bytes.
    While `hold` accepts a message it is kept back until `release`. `delay_s`: each message takes so long; while
    `silent` is set it never arrives, and nobody is told. `bend` may change what is answered on a
    connection: called with the next bytes, it gives what is passed on, or raises Cut."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen, self.answers = [], []
        self.hold, self.held, self.released = None, threading.Event(), threading.Event()
        self.kept = self.bend = None
        self.delay_s, self.silent = 0, False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.released.set()
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 30)
        except OSError:
            client.close()
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        record = bytearray()
        self.answers.append(record)
        threading.Thread(target=self._back, args=(server, client, record), daemon=True).start()
        try:
            with client.makefile("rb", buffering=0) as source:
                while self._one(source, server):
                    pass
        except (OSError, ValueError):
            pass
        finally:
            for each in (client, server):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _back(self, server, client, record):
        try:
            while data := server.recv(1 << 16):
                record += data
                client.sendall(self.bend(data) if self.bend else data)
        except Cut as cut:
            client.sendall(cut.data)
        except OSError:
            pass
        try:
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _one(self, source, server):
        """Passes one request on: head, then body of the declared length or in chunks."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = source.readline()
            if not line:
                return False
            head += line
        if self.silent:
            self.released.wait()
            return False
        time.sleep(self.delay_s)  # the way is long: nothing is waited for
        message = Message(head, bytearray())  # in place: a copy for each piece would cost its square
        if self.hold and self.hold(message):
            self.hold = None
            message.body = self._body(source, message)  # a body that waits for 100 Continue is not held
            self.seen.append(message)
            self.kept = message
            self.held.set()
            self.released.wait(60)
            server.sendall(message.raw)
            return True
        server.sendall(head)
        self.seen.append(message)
        if (message["transfer-encoding"] or "").lower() == "chunked":
            while True:
                line = source.readline()
                data = b""
                size = int(line.split(b";")[0], 16)
                while len(data) < size + 2:
                    data += source.read(size + 2 - len(data))
                server.sendall(line + data)
                message.body += line + data
                if size == 0:
                    return True
        left = int(message["content-length"] or 0)
        while left:
            data = source.read(min(left, 1 << 16))
            if not data:
                return False
            message.body += data
            server.sendall(data)
            left -= len(data)
        return True

    @staticmethod
    def _body(source, message):
        body = b""
        while len(body) < int(message["content-length"] or 0):
            data = source.read(int(message["content-length"]) - len(body))
            if not data:
                break
            body += data
        return body

    def keep_next(self, wanted):
        self.held.clear()
        self.released.clear()
        self.hold = wanted

    def release(self):
        self.released.set()


def _b16(data):
    return len(data).to_bytes(2, "big") + data


def _b32(data):
    return len(data).to_bytes(4, "big") + data


def sealed(seed, sender, receiver, method, target, fields, digest, length, now_ms=None):
    """The head with an envelope around it, as region `sender` would send it. `digest` b"": the body streams."""
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    nonce = os.urandom(16)
    fields = [*fields, ("x-domicile-from", str(sender)), ("x-domicile-to", str(receiver)),
              ("x-domicile-time", str(now_ms)), ("x-domicile-nonce", nonce.hex()),
              ("x-domicile-body-sha256", digest.hex() or "streamed")]
    signed = sorted(((n.lower(), v) for n, v in fields if n.lower() not in HOP), key=lambda field: field[0])
    text = (_b16(b"domicile-envelope-v1") + _b16(method.encode()) + _b32(target.encode()) + sender.to_bytes(2, "big")
            + receiver.to_bytes(2, "big") + now_ms.to_bytes(8, "big") + nonce + (b"\0" + digest if digest else b"\1" + bytes(32))
            + length.to_bytes(8, "big") + len(signed).to_bytes(2, "big")
            + b"".join(_b16(n.encode()) + _b32(v.encode()) for n, v in signed))
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text)
    fields.append(("x-domicile-signature", base64.b64encode(signature).decode()))
    return (f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n").encode(), nonce


def envelope(seed, sender, receiver, path, body, host, now_ms=None, extra=()):
    """A whole signed POST, as region `sender` would send it."""
    fields = [("Host", host), ("Content-Length", str(len(body))), *extra]
    covered = len(body)
    if path.startswith("bulk/") and len(body) >= 4 + int.from_bytes(body[:4], "big"):
        covered = 4 + int.from_bytes(body[:4], "big")
    digest = hashlib.sha256(body[:covered]).digest()
    head, _ = sealed(seed, sender, receiver, "POST", "/-/peer/" + path, fields, digest, len(body), now_ms)
    return head + body


def copy_source(body, public_key, sender, receiver, nonce):
    """What the source's home streamed for a copy, from docs/formats/copy.md: (metadata, classes, bytes). Fails
    unless the signature at its end holds."""
    assert body[:5] == b"DOMC\x01"
    count, meta, classes = (int.from_bytes(body[a:b], "big") for a, b in ((5, 13), (13, 17), (17, 19)))
    at = 19 + meta + classes
    assert len(body) == at + count + 64
    digest = hashlib.sha256(body[:-64]).digest()
    Ed25519PublicKey.from_public_bytes(public_key).verify(
        body[-64:], _b16(b"domicile-answer-v1") + sender.to_bytes(2, "big") + receiver.to_bytes(2, "big") + nonce
        + (200).to_bytes(2, "big") + _b16(b"stream") + _b16(b"") + digest)
    return body[19:19 + meta], body[19 + meta:at].decode(), body[at:-64]
