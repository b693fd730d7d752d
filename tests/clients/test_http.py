"""HTTP itself: order, framing, refusals, and what an error answer always holds."""
import time

import pytest

from kit import daemon, raw, sigv4


def expecting(client, path, body, key=None, **headers):
    signer = raw.S3(client.server, key or daemon.ALICE)
    data, _ = signer.prepare("PUT", path, headers={"Expect": "100-continue", **headers}, body=body)
    return data


def test_continue_only_after_authentication(server, http, bucket):
    body = b"x" * 100000
    with raw.Connection(server) as connection:
        connection.send(expecting(http, f"/{bucket}/k", body))
        assert connection._head() == (100, {})
        connection.send(body)
        assert connection.answer("PUT").status == 200
    wrong = daemon.Key(daemon.ALICE.access, "wrong", "alice")
    refusals = [(f"/{bucket}/k", wrong, 403), (f"/{bucket}/k", daemon.Key("NOBODY", "x", "x"), 403),
                (f"/{bucket}/k", daemon.BOB, 403), ("/no-such-bucket/k", None, 404), (f"/{bucket}/" + "x" * 1025, None, 400)]
    for path, key, status in refusals:
        with raw.Connection(server) as connection:
            connection.send(expecting(http, path, body, key))
            answer = connection.answer("PUT")
            assert (answer.status, answer.interim, answer["connection"]) == (status, [], "close"), path
    assert http.get(bucket, "k").body == body


def test_continue_for_an_empty_body(server, http, bucket):
    """botocore 1.29 sends Expect with empty bodies, and keeps the connection."""
    with raw.Connection(server) as connection:
        for _ in range(2):
            connection.send(expecting(http, f"/{bucket}/k", b""))
            answer = connection.answer("PUT")
            assert (answer.status, answer.interim) == (200, [100])


def test_impatient_client_does_not_wait(server, http, bucket):
    """A client may send the body at once in spite of its Expect."""
    with raw.Connection(server) as connection:
        connection.send(expecting(http, f"/{bucket}/k", b"body") + b"body")
        assert connection.answer("PUT").status == 200
        data, _ = http.prepare("GET", f"/{bucket}/k")
        connection.send(data)
        assert connection.answer().body == b"body"


def test_pipelining(server, http, bucket):
    for i in range(5):
        http.put(bucket, f"k{i}", b"%d" % i * 1000)
    asked = [("GET", "k3"), ("HEAD", "k1"), ("GET", "missing"), ("GET", "k0"), ("DELETE", "k2"), ("GET", "k2"),
             ("PUT", "k9"), ("GET", "k9"), ("HEAD", "missing"), ("GET", "k4")]
    data = b""
    for method, key in asked:
        data += http.prepare(method, f"/{bucket}/{key}", body=b"new" if method == "PUT" else b"")[0]
        data += b"new" if method == "PUT" else b""
    with raw.Connection(server) as connection:
        connection.send(data)
        answers = [connection.answer(method) for method, _ in asked]
    assert [a.status for a in answers] == [200, 200, 404, 200, 204, 404, 200, 200, 404, 200]
    assert answers[0].body == b"3" * 1000 and answers[3].body == b"0" * 1000 and answers[7].body == b"new"
    assert answers[9].body == b"4" * 1000


def test_kept_alive(server, http, bucket):
    http.put(bucket, "k", b"x")
    with raw.Connection(server) as connection:
        for _ in range(100):
            connection.send(http.prepare("GET", f"/{bucket}/k")[0])
            assert connection.answer().body == b"x"
        connection.send(http.prepare("GET", f"/{bucket}/k", headers={"Connection": "close"})[0])
        assert connection.answer()["connection"] == "close"
        assert connection.file.read() == b""


@pytest.mark.parametrize("text", [
    b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"NONSENSE\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx",
    b"PUT /b/k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40000 + b"\r\n\r\n", b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_ambiguous_heads_are_refused(server, text):
    with raw.Connection(server) as connection:
        connection.send(text)
        answer = connection.answer()
        assert 400 <= answer.status < 600 and answer["connection"] == "close", answer
        assert connection.file.read() == b""


def test_body_needs_a_length(server, http, bucket):
    headers = {"Transfer-Encoding": "chunked"}
    data, _ = http.prepare("PUT", f"/{bucket}/k", headers=headers, payload=sigv4.UNSIGNED)
    data = b"\r\n".join(l for l in data.split(b"\r\n") if not l.startswith(b"Content-Length"))
    with raw.Connection(server) as connection:
        connection.send(data + b"4\r\nbody\r\n0\r\n\r\n")
        answer = connection.answer("PUT")
    assert (answer.status, answer.code) == (411, "MissingContentLength")
    too_much = str((5 << 30) + 1)
    with raw.Connection(server) as connection:
        connection.send(http.prepare("PUT", f"/{bucket}/k", headers={"Content-Length": too_much},
                                     payload=sigv4.UNSIGNED)[0])
        answer = connection.answer("PUT")
    assert (answer.status, answer.code) == (400, "EntityTooLarge")


def test_half_a_body_stores_nothing(server, http, bucket):
    for size in (1000, 3 << 20):
        data, _ = http.prepare("PUT", f"/{bucket}/k", headers={"Content-Length": str(size)}, payload=sigv4.UNSIGNED)
        connection = raw.Connection(server)
        connection.send(data + b"x" * (size // 2))
        connection.close()
    time.sleep(0)  # nothing to wait for: the next request is answered whatever became of those
    assert http.get(bucket, "k").status == 404
    assert http.request("GET", f"/{bucket}").xml().find("Contents") is None


UNSUPPORTED = [("POST", "/k", "tagging"), ("PUT", "", "website"), ("PUT", "", "replication"),
               ("GET", "/k", "torrent"),
               ("DELETE", "/k", "retention"), ("DELETE", "/k", "legal-hold"), ("POST", "/k", "restore"), ("POST", "/k", "select"),
               ("DELETE", "", "object-lock"), ("PUT", "/k", "attributes"),
               ("DELETE", "", "replication")]


@pytest.mark.parametrize("method,key,name", UNSUPPORTED, ids=[f"{m}{k}-{n}" for m, k, n in UNSUPPORTED])
def test_unsupported_is_501_and_does_nothing(http, bucket, method, key, name):
    http.put(bucket, "k", b"stays")
    answer = http.request(method, f"/{bucket}{key}", [(name, None)])
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert name.lower() in answer.xml().findtext("Message").lower()
    assert http.get(bucket, "k").body == b"stays"


@pytest.mark.parametrize("name,value", [
    ("x-amz-server-side-encryption", "aws:kms"),
    ("x-amz-website-redirect-location", "/x")])
def test_header_that_cannot_be_honoured_is_501(http, bucket, name, value):
    answer = http.request("PUT", f"/{bucket}/k", headers={name: value}, body=b"x")
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert http.get(bucket, "k").status == 404


def test_unknown_methods(http, bucket):
    for method in ("PATCH", "POST", "OPTIONS"):
        answer = http.request(method, f"/{bucket}/k")
        assert answer.status in (400, 405, 501) and answer.code, method


ERRORS = [("GET", "/no-such-bucket", [], 404), ("GET", "/B", [], 400), ("GET", "/{b}/missing key ü", [], 404),
          ("PUT", "/{b}", [], 409), ("DELETE", "/{b}/k", [("uploadId", "0" * 32)], 404), ("GET", "/{b}", [("max-keys", "x")], 400),
          ("POST", "/{b}", [("delete", None)], 400), ("POST", "/{b}/k", [("uploadId", "0" * 32)], 400), ("GET", "/{b}/k", [("uploadId", "x")], 404),
          ("PUT", "/{b}/" + "x" * 1025, [], 400), ("GET", "/{b}", [("inventory", None)], 501), ("PATCH", "/{b}/k", [], 405)]


@pytest.mark.parametrize("method,path,query,status", ERRORS, ids=[f"{e[0]}-{i}" for i, e in enumerate(ERRORS)])
def test_error_answers_are_complete(server, http, bucket, method, path, query, status):
    path = path.replace("{b}", bucket)
    answer = http.request(method, path, query)
    assert answer.status == status and answer["content-type"] == "application/xml"
    root = answer.xml()
    assert root.tag == "Error" and root.findtext("Code") and root.findtext("Message")
    assert root.findtext("RequestId") == answer["x-amz-request-id"] and len(answer["x-amz-request-id"]) == 16
    assert root.findtext("Resource") == path and root.findtext("HostId")
    wrong = raw.S3(server, daemon.Key("ALICEKEY", "wrong", "alice"))
    refused = wrong.request(method, path, query)
    wrong.close()
    assert refused.status == 403 and refused.xml().findtext("RequestId") == refused["x-amz-request-id"]
    assert refused.xml().findtext("Resource") == path and refused.xml().findtext("Message")


def test_head_answers_have_no_body(server, http, bucket):
    with raw.Connection(server) as connection:
        for path, status in ((f"/{bucket}/missing", 404), (f"/{bucket}", 200), ("/no-such-bucket", 404)):
            connection.send(http.prepare("HEAD", path)[0])
            assert connection.answer("HEAD").status == status  # a body would be taken for the next answer


def test_own_pages(server):
    with raw.Connection(server) as connection:
        for path, status in (("/-/healthz", 200), ("/-/metrics", 200), ("/-/nothing", 404)):
            connection.send(raw.head("GET", path, {"Host": "x"}))
            answer = connection.answer()
            assert answer.status == status
            if path == "/-/healthz":
                assert b'"writable"' in answer.body


def test_idle_connections_hold_nothing(server, http, bucket):
    """Two hundred clients that say nothing, or half a head, and one that works."""
    idle = [raw.Connection(server) for _ in range(200)]
    for i, connection in enumerate(idle):
        if i % 2:
            connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ")
    assert http.put(bucket, "k", b"x").status == 200 and http.get(bucket, "k").body == b"x"
    for connection in idle:
        connection.close()
