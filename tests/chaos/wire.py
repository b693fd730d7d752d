"""A small S3 client: one kept connection to each gateway, signatures (SigV4), answers that are whole or lost."""
import hashlib
import hmac
import socket
import time

ANSWER_S_MAX = 120  # a client is answered by then or the test fails: longer than any fault, than any hold
SERVICE = "us-east-1/s3/aws4_request"


class Lost(Exception):
    """The connection ended before the whole answer was there."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def etag(self):
        return self.headers.get("etag", "").strip('"')


class Signer:
    """The signing key of a day is kept: one HMAC and two hashes are left for a request."""

    def __init__(self, key):
        self.access, self.secret = key.split(":")
        self.day, self.day_key = None, None

    def key(self, day):
        if day != self.day:
            made = b"AWS4" + self.secret.encode()
            for word in (day, *SERVICE.split("/")):
                made = hmac.digest(made, word.encode(), "sha256")
            self.day, self.day_key = day, made
        return self.day_key

    def headers(self, method, path, query, host, more):
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        signed = {"host": host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now, **more}
        names = sorted(signed)
        asked = "\n".join([method, path, query, *[f"{n}:{signed[n]}" for n in names], "", ";".join(names),
                           "UNSIGNED-PAYLOAD"])
        scope = f"{now[:8]}/{SERVICE}"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(asked.encode()).hexdigest()])
        signature = hmac.digest(self.key(now[:8]), text.encode(), "sha256").hex()
        signed["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, "
                                   f"SignedHeaders={';'.join(names)}, Signature={signature}")
        return signed


class Line:
    """A connection to one gateway, made when it is needed and kept."""

    def __init__(self, port, signer):
        self.port, self.signer = port, signer
        self.socket = self.file = None

    def close(self):
        if self.socket is not None:
            self.file.close()
            self.socket.close()
        self.socket = self.file = None

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def ask(self, method, path, query="", body=b"", pause_s=0.0, **headers):
        """The answer; Lost when there is none. With a pause, half of the body comes so much later."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        fields = self.signer.headers(method, path, query, f"127.0.0.1:{self.port}", more)
        head = f"{method} {path}{'?' + query if query else ''} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = (head + f"content-length: {len(body)}\r\n\r\n").encode()
        try:
            if self.socket is None:
                self.open()
            if pause_s:
                self.socket.sendall(head + body[:len(body) // 2])
                time.sleep(pause_s)
                self.socket.sendall(body[len(body) // 2:])
            else:
                self.socket.sendall(head + body)
            answer = self.read(method)
        except TimeoutError:
            self.close()
            raise
        except (OSError, ValueError) as why:
            self.close()
            raise Lost(str(why)) from None
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def exactly(self, count):
        data = self.file.read(count)
        if len(data) != count:
            raise ValueError("a body was cut")
        return data

    def chunks(self):
        pieces = []
        while size := int(self.file.readline().split(b";")[0], 16):
            pieces.append(self.exactly(size))
            self.exactly(2)
        while self.file.readline().strip():
            pass
        return b"".join(pieces)

    def read(self, method):
        while True:
            status = int(self.file.readline().split()[1:2][0]) if self.peek() else 0
            headers = {}
            while (line := self.file.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            if not line:
                raise ValueError("a head was cut")
            if status >= 200:
                break
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif "chunked" in headers.get("transfer-encoding", ""):
            body = self.chunks()
        else:
            body = self.exactly(int(headers["content-length"]))
        return Answer(status, headers, body)

    def peek(self):
        if not self.file.peek(1):
            raise ValueError("no answer")
        return True
