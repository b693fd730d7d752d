"""Objects: bytes, ranges, metadata, conditions, deletion."""
import base64
import concurrent.futures
import datetime
import hashlib
import os

import pytest
from botocore.exceptions import ClientError

from kit import daemon, raw, tools

KEYS = ["plain", "a/b/c", "/leading", "trailing/", "double//slash", "///", ".", "..", "./x", "../x", "a/../b", " ", "  x  ",
        "+", "a+b c", "%", "%2F", "%25", "?", "#", "&", "a=b", ";", ":", "@", "'", '"', "<a>", "\\", "|", "^", "`", "{}",
        "[]", "~", "*", "$", "!", "(", ")", ",", "ü", "é", "e\u0301", "हिन्दी", "中文", "😀", "\u00a0", "\u200b",
        "\U0010ffff", "x" * 1024, "ü" * 512, "line\nbreak", "tab\tkey", "\x01\x02", "\x7f", "-", "-/", "uploads",
        "acl", "?acl", "versionId=1", "-/healthz"]


@pytest.mark.parametrize("key", KEYS, ids=[str(i) for i in range(len(KEYS))])
def test_any_key(http, bucket, key):
    body = key.encode() * 3
    put = http.put(bucket, key, body)
    assert put.status == 200 and put["etag"] == f'"{raw.md5(body)}"'
    got = http.get(bucket, key)
    assert (got.status, got.body, got["etag"]) == (200, body, put["etag"])
    listing = http.request("GET", f"/{bucket}", [("list-type", 2), ("encoding-type", "url")]).xml()
    import urllib.parse
    assert [urllib.parse.unquote_plus(k.text) for k in listing.iter("Key")] == [key]
    assert http.delete(bucket, key).status == 204
    gone = http.get(bucket, key)
    assert (gone.status, gone.code) == (404, "NoSuchKey")


def test_key_too_long(http, bucket):
    for method in ("PUT", "GET", "DELETE"):
        answer = http.request(method, f"/{bucket}/" + "x" * 1025)
        assert (answer.status, answer.code) == (400, "KeyTooLongError")
    answer = http.put(bucket, "ü" * 512 + "x", b"")
    assert (answer.status, answer.code) == (400, "KeyTooLongError")


@pytest.mark.parametrize("key", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"nul\x00"])
def test_key_must_be_utf8(http, bucket, key):
    answer = http.put(bucket, key, b"x")
    assert (answer.status, answer.code) == (400, "InvalidURI")


@pytest.mark.parametrize("size", [0, 1, 4095, 65535, 65536, 65537, 262144, 1048577, 5 << 20])
def test_any_size(http, bucket, size):
    body = os.urandom(size)
    assert http.put(bucket, "k", body)["etag"] == f'"{raw.md5(body)}"'
    got = http.get(bucket, "k")
    assert got.body == body and got["content-length"] == str(size) and got["accept-ranges"] == "bytes"
    head = http.request("HEAD", f"/{bucket}/k")
    assert (head.status, head["content-length"], head.body) == (200, str(size), b"")


RANGES = [("bytes=0-0", 0, 1), ("bytes=0-9", 0, 10), ("bytes=10-19", 10, 20), ("bytes=990-", 990, 1000),
          ("bytes=0-", 0, 1000), ("bytes=-1", 999, 1000), ("bytes=-1000", 0, 1000), ("bytes=-5000", 0, 1000),
          ("bytes=500-5000", 500, 1000), ("bytes=999-999", 999, 1000), ("Bytes=1-2", 1, 3)]


@pytest.mark.parametrize("size", [1000, 300000])
def test_ranges(http, bucket, size):
    body = os.urandom(size)
    http.put(bucket, "k", body)
    wanted = RANGES if size == 1000 else [(f"bytes={a}-{b}", a, b + 1) for a, b in
                                          [(0, 0), (65535, 65536), (262143, 262145), (1, 299999), (299999, 299999)]]
    for text, first, end in wanted:
        got = http.get(bucket, "k", Range=text)
        assert (got.status, got.body) == (206, body[first:end]), text
        assert got["content-range"] == f"bytes {first}-{end - 1}/{size}"
        head = http.request("HEAD", f"/{bucket}/k", headers={"Range": text})
        assert (head.status, head["content-length"]) == (206, str(end - first))
    for text in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}", "bytes=-0"):
        got = http.get(bucket, "k", Range=text)
        assert (got.status, got.code) == (416, "InvalidRange"), text
    for text in ("bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes=", "0-1"):
        got = http.get(bucket, "k", Range=text)
        assert (got.status, got.body) == (200, body), text  # what is no byte range is ignored (RFC 9110 14.2)


def test_range_goes_without_the_checksum_of_the_whole(http, bucket):
    """A client that validates compares it with the bytes that it got."""
    name = "x-amz-checksum-sha256"
    right = base64.b64encode(hashlib.sha256(b"some body").digest()).decode()
    http.request("PUT", f"/{bucket}/k", headers={name: right}, body=b"some body")
    mode = {"x-amz-checksum-mode": "ENABLED"}
    for method in ("GET", "HEAD"):
        for text, there in ((None, True), ("bytes=0-", True), ("bytes=1-", False), ("bytes=0-3", False), ("bytes=-1", False)):
            got = http.request(method, f"/{bucket}/k", headers={**mode, **({"Range": text} if text else {})})
            assert got[name] == (right if there else None), (method, text)


def test_range_of_an_empty_object(http, bucket):
    http.put(bucket, "k", b"")
    for text in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        assert http.get(bucket, "k", Range=text).status == 416


def test_metadata_round_trip(s3, http, bucket):
    expires = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/x-odd; charset=utf-8", CacheControl="max-age=5",
                  ContentDisposition='attachment; filename="a b.txt"', ContentEncoding="gzip", ContentLanguage="hi",
                  Expires=expires, Metadata={"Name": "Value with  blanks", "empty": "", "dash-ed": "a=b&c"})
    for got in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        assert got["ContentType"] == "text/x-odd; charset=utf-8" and got["CacheControl"] == "max-age=5"
        assert got["ContentDisposition"] == 'attachment; filename="a b.txt"' and got["ContentEncoding"] == "gzip"
        assert got["ContentLanguage"] == "hi" and got["Expires"] == expires
        assert got["Metadata"] == {"name": "Value with  blanks", "empty": "", "dash-ed": "a=b&c"}
        assert abs((datetime.datetime.now(datetime.timezone.utc) - got["LastModified"]).total_seconds()) < 3600
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")  # an overwrite takes nothing over
    got = s3.head_object(Bucket=bucket, Key="k")
    assert got["Metadata"] == {} and "ContentEncoding" not in got and got["ContentType"] == "binary/octet-stream"


def test_metadata_in_utf8_comes_back_as_sent(http, bucket):
    value = "नमस्ते ü".encode()
    assert http.request("PUT", f"/{bucket}/k", headers={"x-amz-meta-name": value}, body=b"x").status == 200
    got = http.get(bucket, "k")
    assert got["x-amz-meta-name"].encode("latin-1") == value


def test_metadata_limit(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"n": "v" * 2047})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"]["n"] == "v" * 2047
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket=bucket, Key="k2", Body=b"", Metadata={"n": "v" * 2048})
    assert failure.value.response["Error"]["Code"] == "MetadataTooLarge"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_response_overrides(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="a/b")
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/plain", ResponseCacheControl="no-store",
                        ResponseContentDisposition="inline", ResponseContentLanguage="en", ResponseContentEncoding="br")
    assert (got["ContentType"], got["CacheControl"], got["ContentDisposition"]) == ("text/plain", "no-store", "inline")
    assert (got["ContentLanguage"], got["ContentEncoding"]) == ("en", "br")


def test_conditional_reads(http, bucket):
    etag = http.put(bucket, "k", b"body")["etag"]
    before, after = raw.http_date(-3600), raw.http_date(3600)
    for method in ("GET", "HEAD"):
        def ask(status, **headers):
            answer = http.request(method, f"/{bucket}/k", headers={n.replace("_", "-"): v for n, v in headers.items()})
            assert answer.status == status, headers
            if status in (200, 304):
                assert answer["etag"] == etag, headers
            if status == 412 and method == "GET":
                assert answer.code == "PreconditionFailed"
        ask(200, If_Match=etag)
        ask(200, If_Match=etag.strip('"'))
        ask(200, If_Match="*")
        ask(200, If_Match=f'"other", {etag}')
        ask(412, If_Match='"other"')
        ask(304, If_None_Match=etag)
        ask(304, If_None_Match="*")
        ask(200, If_None_Match='"other"')
        ask(304, If_Modified_Since=after)
        ask(200, If_Modified_Since=before)
        ask(412, If_Unmodified_Since=before)
        ask(200, If_Unmodified_Since=after)
        ask(200, If_Match=etag, If_Unmodified_Since=before)
        ask(200, If_None_Match='"other"', If_Modified_Since=after)
        ask(304, If_Modified_Since=before, If_None_Match=etag)
        ask(200, If_Modified_Since="no date")


def test_conditional_writes(http, bucket):
    assert http.put(bucket, "k", b"0", If_Match='"x"').code == "NoSuchKey"
    first = http.put(bucket, "k", b"1", If_None_Match="*")
    assert first.status == 200
    again = http.put(bucket, "k", b"2", If_None_Match="*")
    assert (again.status, again.code) == (412, "PreconditionFailed")
    assert http.put(bucket, "k", b"3", If_Match='"other"').status == 412
    assert http.get(bucket, "k").body == b"1"
    assert http.put(bucket, "k", b"4", If_Match=first["etag"]).status == 200
    assert http.get(bucket, "k").body == b"4"
    assert http.put(bucket, "k", b"5", If_Match="*").status == 200
    assert http.put(bucket, "k", b"6", If_None_Match='"x"').status == 501
    assert http.get(bucket, "k").body == b"5"


def test_boto3_conditional_writes(server, bucket):
    """Debian's boto3 has no parameter for it yet; its users add the header before it is signed."""
    s3 = tools.boto(server, daemon.ALICE)
    wanted = {}

    def add(request, **_):
        for name, value in wanted.items():
            request.headers[name] = value
    s3.meta.events.register("before-sign.s3.PutObject", add)

    def put(body, **condition):
        wanted.clear()
        wanted.update({name.replace("_", "-"): value for name, value in condition.items()})
        try:
            return s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm="SHA256")["ETag"]
        except ClientError as error:
            return error.response["Error"]["Code"]
    first = put(b"1", If_None_Match="*")
    assert first == f'"{raw.md5(b"1")}"'
    assert put(b"2", If_None_Match="*") == put(b"3", If_Match='"other"') == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == b"1"
    assert put(b"4", If_Match=first) == f'"{raw.md5(b"4")}"'
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == b"4"


def race(server, count, work):
    """`work(client, i)` from `count` threads that start together."""
    import threading
    barrier = threading.Barrier(count)

    def one(i):
        with raw.S3(server, daemon.ALICE) as client:
            client.get("not-there", "x")  # the connection is up
            barrier.wait()
            return work(client, i)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_one_of_many_creates(server, http, bucket):
    """If-None-Match: * is decided in the same step as the write."""
    def work(client, i):
        return [client.put(bucket, f"k{n}", b"%d" % i, If_None_Match="*").status for n in range(60)]
    results = race(server, 8, work)
    for n in range(60):
        statuses = sorted(r[n] for r in results)
        assert statuses == [200] + [412] * 7, n
        assert http.get(bucket, f"k{n}").body == b"%d" % [r[n] for r in results].index(200)


def test_one_of_many_replacements(server, http, bucket):
    """A counter moved by If-Match loses no step."""
    http.put(bucket, "counter", b"0")

    def work(client, _):
        done = 0
        while done < 15:
            now = client.get(bucket, "counter")
            put = client.put(bucket, "counter", b"%d" % (int(now.body) + 1), If_Match=now["etag"])
            assert put.status in (200, 412), put
            done += put.status == 200
    race(server, 6, work)
    assert http.get(bucket, "counter").body == b"90"


def test_overwrites_at_once_leave_one_whole_value(server, http, bucket):
    def value(i, n):
        text = f"writer {i} value {n} ".encode() * (1 + (i * 37 + n * 101) % 9000)
        return hashlib.sha256(text).hexdigest().encode() + text

    def work(client, i):
        for n in range(12):
            if i % 4 == 3:
                got = client.get(bucket, "k")
                if got.status == 404:
                    continue
                assert got.status == 200
                assert hashlib.sha256(got.body[64:]).hexdigest().encode() == got.body[:64]
                assert got["etag"] == f'"{raw.md5(got.body)}"'
            else:
                assert client.put(bucket, "k", value(i, n)).status == 200
    race(server, 12, work)
    last = http.get(bucket, "k").body
    assert last in [value(i, 11) for i in range(12)]  # some writer's last one
    assert [e.text for e in http.request("GET", f"/{bucket}").xml().iter("Key")] == ["k"]


def test_read_goes_on_while_overwritten_and_deleted(server, http, bucket):
    """A reader in the middle of an object sees that object to its end."""
    old = os.urandom(24 << 20)
    http.put(bucket, "k", old)
    data, _ = http.prepare("GET", f"/{bucket}/k")
    with raw.Connection(server) as slow:
        slow.send(data)
        assert slow.file.read(100)  # the answer has begun; 24 MiB do not fit the socket's buffers
        assert http.put(bucket, "k", b"new").status == 200
        assert http.delete(bucket, "k").status == 204
        rest = b""
        while len(rest) < len(old):
            piece = slow.file.read1(1 << 20)
            assert piece
            rest += piece
        assert rest[-1000:] == old[-1000:]
    assert http.get(bucket, "k").status == 404


def test_delete(http, bucket):
    assert http.delete(bucket, "never").status == 204
    http.put(bucket, "k", b"x")
    assert http.delete(bucket, "k").status == 204
    assert http.delete(bucket, "k").status == 204
    assert http.request("HEAD", f"/{bucket}/k").status == 404


def test_delete_objects(s3, http, bucket):
    for key in ("a", "b", "c d/ü", "&<>"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "absent"}, {"Key": "&<>"}]})
    assert [d["Key"] for d in answer["Deleted"]] == ["a", "absent", "&<>"] and "Errors" not in answer
    answer = s3.delete_objects(Bucket=bucket, Delete={"Quiet": True, "Objects": [
        {"Key": "b"}, {"Key": "x" * 1025}, {"Key": "c d/ü", "VersionId": "v1"}]})
    assert "Deleted" not in answer
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("x" * 1025, "KeyTooLongError"),
                                                                  ("c d/ü", "NoSuchVersion")]
    assert all(e["Message"] for e in answer["Errors"])
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c d/ü"]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c d/ü", "VersionId": "null"}]})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_delete_objects_refused_as_a_whole(s3, http, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    many = "".join(f"<Object><Key>k{i}</Key></Object>" for i in range(1000))
    bodies = [(f"<Delete>{many}<Object><Key>a</Key></Object></Delete>".encode(), {}, "MalformedXML"),
              (b"<Delete></Delete>", {}, "MalformedXML"), (b"<Delete><Object></Object></Delete>", {}, "MalformedXML"),
              (b"no xml", {}, "MalformedXML"), (b"", {}, "MalformedXML"),
              (b"<Delete><Object><Key>a</Key></Object></Delete>", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"),
              (b'<!DOCTYPE d [<!ENTITY e "a">]><Delete><Object><Key>&e;</Key></Object></Delete>', {}, "MalformedXML")]
    for body, headers, code in bodies:
        answer = http.request("POST", f"/{bucket}", [("delete", None)], headers, body)
        assert (answer.status, answer.code) == (400, code), body[:60]
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_object_acl(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Grants"][0]["Permission"] == "FULL_CONTROL"
