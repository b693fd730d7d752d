"""SigV4 written for these tests alone, from the AWS documentation ("Authenticating Requests: Using the
Authorization Header", "Transferring Payload in Multiple Chunks"); it shares nothing with server or boto3."""
import datetime
import hashlib
import hmac
import urllib.parse

EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def quote(text, safe="-._~"):
    return urllib.parse.quote(text if isinstance(text, bytes) else text.encode(), safe=safe)


def quote_path(text):
    return quote(text, "-._~/")


def encode_query(query):
    """The query as it is sent: a list of (name, value); value None stands for a bare name."""
    return "&".join(quote(n) + ("" if v is None else "=" + quote(str(v))) for n, v in query)


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret, day, region, service="s3"):
    key = _hmac(("AWS4" + secret).encode(), day)
    return _hmac(_hmac(_hmac(key, region), service), "aws4_request")


class Signed:
    """What a signature leaves behind, to sign chunks after it."""

    def __init__(self, key, stamp, scope, signature):
        self.key, self.stamp, self.scope, self.signature = key, stamp, scope, signature

    def _next(self, algorithm, *hashes):
        text = "\n".join([algorithm, self.stamp, self.scope, self.signature, *hashes])
        self.signature = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return self.signature

    def chunk(self, data):
        """One aws-chunked frame."""
        signature = self._next("AWS4-HMAC-SHA256-PAYLOAD", EMPTY, sha256(data))
        return b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), signature.encode(), data)

    def trailer(self, name, value):
        signature = self._next("AWS4-HMAC-SHA256-TRAILER", sha256(f"{name}:{value}\n".encode()))
        return f"{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()


def _latin(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def sign(key, method, path, query, headers, payload, now=None, region="test-1", add=()):
    """Adds to `headers` (a dict; Host must be there) what SigV4 needs. `path` is encoded as it is sent.
    Returns Signed. `add` names further headers to sign."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers["x-amz-date"] = stamp
    if payload is not None:
        headers["x-amz-content-sha256"] = payload
    lower = {n.lower(): " ".join(_latin(v).split()) for n, v in headers.items()}
    names = sorted(n for n in lower
                   if n in ("host", "content-md5", "content-type", "range", *add) or n.startswith("x-amz-"))
    canonical_query = "&".join(sorted(quote(n) + "=" + quote("" if v is None else str(v)) for n, v in query))
    listed = ";".join(names)
    canonical = "\n".join([method, path, canonical_query, *(f"{n}:{lower[n]}" for n in names), "", listed,
                           payload or EMPTY]).encode("latin-1")
    scope = f"{day}/{region}/s3/aws4_request"
    secret = signing_key(key.secret, day, region)
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, sha256(canonical)])
    signature = hmac.new(secret, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={key.access}/{scope}, SignedHeaders={listed}, "
                                f"Signature={signature}")
    return Signed(secret, stamp, scope, signature)
