"""Who signed what: every way to sign, and every way to get it wrong."""
import base64
import datetime
import hashlib
import urllib.parse
import urllib.request
import zlib

import pytest
from botocore.exceptions import ClientError

from kit import daemon, raw, sigv4, tools


def ago(minutes):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes)


def fetch(url, method="GET", body=None, headers=None):
    """Outside of any S3 client: what a browser would do with a presigned URL."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return raw.Answer(answer.status, {n.lower(): v for n, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as failure:
        return raw.Answer(failure.code, {n.lower(): v for n, v in failure.headers.items()}, failure.read())


def test_wrong_secret(server, bucket):
    wrong = tools.boto(server, daemon.Key(daemon.ALICE.access, "not the secret", "alice"))
    with pytest.raises(ClientError) as failure:
        wrong.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert failure.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_unknown_key(server, bucket):
    unknown = tools.boto(server, daemon.Key("NOBODY", "x", "nobody"))
    with pytest.raises(ClientError) as failure:
        unknown.list_buckets()
    assert failure.value.response["Error"]["Code"] == "InvalidAccessKeyId"


def test_second_key_of_the_account(server, bucket):
    tools.boto(server, daemon.ALICE2).put_object(Bucket=bucket, Key="k", Body=b"x")
    assert tools.boto(server, daemon.ALICE).get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_anonymous(server, bucket):
    for method in ("GET", "PUT", "DELETE"):
        answer = fetch(f"{server.url}/{bucket}/k", method, b"x" if method == "PUT" else None)
        assert (answer.status, answer.code) == (403, "AccessDenied")
    assert fetch(f"{server.url}/").status == 403


def test_clock_skew(http, bucket):
    for minutes in (16, -16, 60 * 24):
        answer = http.request("GET", f"/{bucket}", now=ago(minutes))
        assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")
    for minutes in (14, -14):
        assert http.request("GET", f"/{bucket}", now=ago(minutes)).status == 200


def test_any_region_name_is_accepted(server, bucket):
    with raw.S3(server, daemon.ALICE) as client:
        for region in ("us-east-1", "xx", "cn-north-1"):
            headers = {"Host": f"{server.host}:{server.port}"}
            sigv4.sign(daemon.ALICE, "GET", f"/{bucket}", [], headers, sigv4.EMPTY, region=region)
            assert client.send(raw.head("GET", f"/{bucket}", headers), "GET").status == 200


@pytest.mark.parametrize("change", ["path", "query", "header", "method", "host", "signature", "date"])
def test_whatever_is_signed_holds(server, bucket, change):
    headers = {"Host": f"{server.host}:{server.port}", "x-amz-meta-a": "1", "Content-Length": "0"}
    sigv4.sign(daemon.ALICE, "PUT", f"/{bucket}/k", [], headers, sigv4.EMPTY)
    method, target = "PUT", f"/{bucket}/k"
    if change == "path":
        target = f"/{bucket}/other"
    elif change == "query":
        target += "?x=y"
    elif change == "header":
        headers["x-amz-meta-a"] = "2"
    elif change == "method":
        method = "DELETE"
    elif change == "host":
        headers["Host"] = "elsewhere"
    elif change == "signature":
        text = headers["Authorization"]
        headers["Authorization"] = text[:-1] + ("0" if text[-1] != "0" else "1")
    else:
        headers["x-amz-date"] = headers["x-amz-date"][:-2] + ("0Z" if headers["x-amz-date"][-2] != "0" else "1Z")
    with raw.S3(server, daemon.ALICE) as client:
        answer = client.send(raw.head(method, target, headers), method)
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
        assert client.get(bucket, "k").status == 404


def test_what_is_not_signed_is_refused(server, bucket):
    """An x-amz header added on the way would change the request's meaning."""
    headers = {"Host": f"{server.host}:{server.port}", "Content-Length": "0"}
    sigv4.sign(daemon.ALICE, "PUT", f"/{bucket}/k", [], headers, sigv4.EMPTY)
    headers["x-amz-copy-source"] = f"/{bucket}/secret"
    with raw.S3(server, daemon.ALICE) as client:
        answer = client.send(raw.head("PUT", f"/{bucket}/k", headers), "PUT")
    assert (answer.status, answer.code) == (403, "AccessDenied")


@pytest.mark.parametrize("text", [
    "", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "Basic YTpi", "AWS ALICEKEY:abcdef",
    "AWS4-HMAC-SHA256 Credential=ALICEKEY/x/y/s3/aws4_request, SignedHeaders=host, Signature=0",
    "AWS4-HMAC-SHA256 Credential=ALICEKEY/20260101/r/s3/aws4_request, SignedHeaders=, Signature=" + "0" * 64,
    "AWS4-HMAC-SHA256 Credential=ALICEKEY/20260101/r/ec2/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
    "AWS4-HMAC-SHA256 " + "Credential=ALICEKEY/20260101/r/s3/aws4_request, " * 20, "Bearer " + "x" * 8000])
def test_malformed_authorization(server, bucket, text):
    headers = {"Host": f"{server.host}:{server.port}", "Authorization": text,
               "x-amz-date": ago(0).strftime("%Y%m%dT%H%M%SZ"), "x-amz-content-sha256": sigv4.EMPTY}
    with raw.S3(server, daemon.ALICE) as client:
        answer = client.send(raw.head("GET", f"/{bucket}/k", headers), "GET")
    assert answer.status in (400, 403) and answer.code and answer.xml().findtext("Message"), answer


def test_body_other_than_signed(server, http, bucket):
    for wrong in (b"other", b""):
        data, _ = http.prepare("PUT", f"/{bucket}/k", body=wrong, payload=sigv4.sha256(b"body"))
        answer = http.send(data + wrong, "PUT")
        assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert http.get(bucket, "k").status == 404
    assert http.request("PUT", f"/{bucket}/k", body=b"any", payload=sigv4.UNSIGNED).status == 200


def test_content_md5(http, bucket):
    good = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    answer = http.put(bucket, "k", b"body", Content_MD5=other)
    assert (answer.status, answer.code) == (400, "BadDigest")
    for text in ("nonsense", "", "AAAA"):
        answer = http.put(bucket, "k", b"body", Content_MD5=text)
        assert (answer.status, answer.code) == (400, "InvalidDigest"), text
    assert http.get(bucket, "k").status == 404
    assert http.put(bucket, "k", b"body", Content_MD5=good).status == 200


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def crc64nvme(data):
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFFFFFFFFFF


CHECKSUMS = {
    "crc32": lambda d: zlib.crc32(d).to_bytes(4, "big"), "crc32c": lambda d: crc32c(d).to_bytes(4, "big"),
    "crc64nvme": lambda d: crc64nvme(d).to_bytes(8, "big"), "sha1": lambda d: hashlib.sha1(d).digest(),
    "sha256": lambda d: hashlib.sha256(d).digest()}


def checksum(kind, data):
    return base64.b64encode(CHECKSUMS[kind](data)).decode()


def test_own_checksums_are_right():
    assert crc32c(b"123456789") == 0xE3069283 and crc64nvme(b"123456789") == 0xAE8B14860A799888


@pytest.mark.parametrize("kind", CHECKSUMS)
def test_checksum_in_the_head(http, bucket, kind):
    name = f"x-amz-checksum-{kind}"
    answer = http.request("PUT", f"/{bucket}/k", headers={name: checksum(kind, b"other")}, body=b"body")
    assert (answer.status, answer.code) == (400, "BadDigest")
    answer = http.request("PUT", f"/{bucket}/k", headers={name: "AAA"}, body=b"body")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert http.get(bucket, "k").status == 404
    right = checksum(kind, b"body")
    assert http.request("PUT", f"/{bucket}/k", headers={name: right}, body=b"body")[name] == right
    for method in ("GET", "HEAD"):
        assert http.request(method, f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"})[name] == right
        assert http.request(method, f"/{bucket}/k")[name] is None


@pytest.mark.parametrize("kind", CHECKSUMS)
@pytest.mark.parametrize("signed", [False, True])
def test_checksum_in_the_trailer(http, bucket, kind, signed):
    body = b"some body " * 20000
    name = f"x-amz-checksum-{kind}"
    payload = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" if signed else "STREAMING-UNSIGNED-PAYLOAD-TRAILER")

    def send(value, key):
        pieces = [body[:65536], body[65536:131072], body[131072:], b""]

        def frames(sig):
            if signed:
                framed = b"".join(sig.chunk(p) for p in pieces)
                return framed[:-2] + sig.trailer(name, value)
            return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces[:-1]) + f"0\r\n{name}:{value}\r\n\r\n".encode()
        length = len(frames(sigv4.Signed(b"", "", "", "")))
        headers = {"x-amz-decoded-content-length": str(len(body)), "Content-Encoding": "aws-chunked",
                   "x-amz-trailer": name, "Content-Length": str(length)}
        data, sig = http.prepare("PUT", f"/{bucket}/{key}", headers=headers, payload=payload)
        return http.send(data + frames(sig), "PUT")
    answer = send(checksum(kind, b"other"), "k")
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert http.get(bucket, "k").status == 404
    answer = send(checksum(kind, body), "k")
    assert answer.status == 200, answer
    got = http.request("GET", f"/{bucket}/k", headers={"x-amz-checksum-mode": "ENABLED"})
    assert got.body == body and got[name] == checksum(kind, body) and got["content-encoding"] is None


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_boto3_checksums(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"body", ChecksumAlgorithm=algorithm)
    assert put[f"Checksum{algorithm}"] == checksum(algorithm.lower(), b"body")
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"body" and got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]


# ---- chunks signed one after another ----

def chunked(http, bucket, key, pieces, change=None, headers=None):
    decoded = sum(len(p) for p in pieces)

    def frames(sig):
        return [sig.chunk(p) for p in pieces]
    length = len(b"".join(frames(sigv4.Signed(b"", "", "", ""))))
    headers = {"x-amz-decoded-content-length": str(decoded), "Content-Length": str(length), **(headers or {})}
    data, sig = http.prepare("PUT", f"/{bucket}/{key}", headers=headers, payload=sigv4.STREAMING)
    framed = frames(sig)
    if change:
        change(framed)
    return http.send(data + b"".join(framed), "PUT")


def test_signed_chunks(http, bucket):
    pieces = [b"a" * 65536, b"b" * 70001, b"c" * 9000, b""]
    answer = chunked(http, bucket, "k", pieces, headers={"Content-Encoding": "aws-chunked"})
    assert answer.status == 200 and answer["etag"] == f'"{raw.md5(b"".join(pieces))}"'
    got = http.get(bucket, "k")
    assert got.body == b"".join(pieces) and got["content-encoding"] is None
    chunked(http, bucket, "k", [b"x" * 8192, b""], headers={"Content-Encoding": "aws-chunked,gzip"})
    assert http.get(bucket, "k")["content-encoding"] == "gzip"  # aws-chunked is a matter of the transfer
    assert chunked(http, bucket, "empty", [b""]).status == 200
    assert http.get(bucket, "empty").body == b""


@pytest.mark.parametrize("which", range(3))
def test_chunk_with_wrong_signature(server, bucket, which):
    pieces = [b"a" * 65536, b"b" * 65536, b""]

    def flip(framed):
        at = framed[which].index(b"=") + 1
        framed[which] = framed[which][:at] + (b"0" if framed[which][at:at + 1] != b"0" else b"1") + framed[which][at + 1:]
    with raw.S3(server, daemon.ALICE) as client:
        answer = chunked(client, bucket, "k", pieces, flip)
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    with raw.S3(server, daemon.ALICE) as client:
        assert client.get(bucket, "k").status == 404


def test_chunks_changed_on_the_way(server, bucket):
    pieces = [b"a" * 65536, b"b" * 65536, b""]

    def swap(framed):
        framed[0], framed[1] = framed[1], framed[0]

    def alter(framed):
        framed[1] = framed[1][:-10] + b"X" + framed[1][-9:]
    for change in (swap, alter):
        with raw.S3(server, daemon.ALICE) as client:
            answer = chunked(client, bucket, "k", pieces, change)
            assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    with raw.S3(server, daemon.ALICE) as client:
        assert client.get(bucket, "k").status == 404


@pytest.mark.parametrize("decoded", [8191, 8193, 0])
def test_decoded_length_other_than_announced(server, bucket, decoded):
    with raw.S3(server, daemon.ALICE) as client:
        answer = chunked(client, bucket, "k", [b"x" * 8192, b""],
                         headers={"x-amz-decoded-content-length": str(decoded)})
        assert answer.status == 400 and answer.code, answer
    with raw.S3(server, daemon.ALICE) as client:
        assert client.get(bucket, "k").status == 404


def test_chunks_that_end_early(server, bucket):
    with raw.S3(server, daemon.ALICE) as client:
        def cut(framed):
            framed[-1] = b"\r\n" * (len(framed[-1]) // 2) + b"\n" * (len(framed[-1]) % 2)
        answer = chunked(client, bucket, "k", [b"x" * 8192, b""], cut)
        assert answer.status in (400, 403) and answer.code
    with raw.S3(server, daemon.ALICE) as client:
        assert client.get(bucket, "k").status == 404


# ---- presigned ----

def test_presigned(s3, bucket):
    for key in ("plain", "odd +%ü/&?#"):
        url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key, "ContentType": "text/x-a"})
        assert fetch(url, "PUT", b"body", {"Content-Type": "text/x-a"}).status == 200
        assert fetch(url, "PUT", b"body", {"Content-Type": "text/other"}).code == "SignatureDoesNotMatch"
        url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key,
                                                       "ResponseContentDisposition": 'attachment; filename="x y"'})
        got = fetch(url)
        assert (got.status, got.body, got["content-type"]) == (200, b"body", "text/x-a")
        assert got["content-disposition"] == 'attachment; filename="x y"'
        assert fetch(url, headers={"Range": "bytes=1-2"}).body == b"od"
        assert fetch(url, "DELETE").status == 403
        assert fetch(url.replace("response-content", "response-kontent")).status in (400, 403)
        assert fetch(url.replace(bucket, bucket + "0")).code == "SignatureDoesNotMatch"
        signature = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["X-Amz-Signature"][0]
        assert fetch(url.replace(signature, "0" * 64)).code == "SignatureDoesNotMatch"


def presign(server, key, now, expires, path, method="GET", more=()):
    """By hand: boto3 cannot sign in the past, nor move headers (`more`) into the query as npm's presigner does."""
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    scope = f"{day}/r/s3/aws4_request"
    query = [("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", f"{key.access}/{scope}"),
             ("X-Amz-Date", stamp), ("X-Amz-Expires", expires), ("X-Amz-SignedHeaders", "host"), *more]
    canonical = "\n".join([method, path, sigv4.encode_query(sorted(query)), f"host:{server.host}:{server.port}", "",
                           "host", "UNSIGNED-PAYLOAD"])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, sigv4.sha256(canonical.encode())])
    import hmac
    signature = hmac.new(sigv4.signing_key(key.secret, day, "r"), text.encode(), hashlib.sha256).hexdigest()
    return f"{server.url}{path}?{sigv4.encode_query(query)}&X-Amz-Signature={signature}"


def test_presigned_in_time(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    path = f"/{bucket}/k"
    assert fetch(presign(server, daemon.ALICE, ago(5), 600, path)).body == b"x"
    late = fetch(presign(server, daemon.ALICE, ago(11), 600, path))
    assert (late.status, late.code) == (403, "AccessDenied") and "expired" in late.xml().findtext("Message")
    early = fetch(presign(server, daemon.ALICE, ago(-60), 600, path))
    assert (early.status, early.code) == (403, "AccessDenied")
    for expires in (604801, -1, "x"):
        answer = fetch(presign(server, daemon.ALICE, ago(0), expires, path))
        assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError"), expires
    assert fetch(presign(server, daemon.ALICE, ago(60 * 24), 604800, path)).body == b"x"
    assert fetch(presign(server, daemon.BOB, ago(0), 600, path)).code == "AccessDenied"
    unknown = daemon.Key("NOBODY", "x", "x")
    assert fetch(presign(server, unknown, ago(0), 600, path)).code == "InvalidAccessKeyId"
    both = fetch(presign(server, daemon.ALICE, ago(0), 600, path), headers={"Authorization": "AWS4-HMAC-SHA256 x"})
    assert both.status == 400
