"""Attacks that once worked. Each test is one: what an adversary, or bad luck, did to a region alone."""
import contextlib
import datetime

import pytest

from kit import daemon, raw

SMALL, LARGE = 4096, (1 << 20) + 4096  # inside the log; in a file


@pytest.fixture
def victim(http):
    """A bucket that a test may delete while it is written to."""
    name = "victim-bucket"
    assert http.request("PUT", f"/{name}").status in (200, 409)
    yield name
    http.delete(name, "k")
    http.request("DELETE", f"/{name}")


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_put_into_a_bucket_deleted_meanwhile_is_refused(server, http, victim, size):
    """It was acknowledged: the bucket had been looked up before the body came, and never again."""
    body = b"x" * size
    with raw.S3(server, daemon.ALICE) as slow:
        head, _ = slow.prepare("PUT", f"/{victim}/k", body=body)
        slow.connection = raw.Connection(server)
        slow.connection.send(head + body[:-1])
        # The body's first bytes are read by now or not: both ways must end the same.
        assert http.request("DELETE", f"/{victim}").status == 204
        answer = slow.send(body[-1:], "PUT")
    assert (answer.status, answer.code) == (404, "NoSuchBucket")
    assert http.request("PUT", f"/{victim}").status == 200
    assert http.get(victim, "k").code == "NoSuchKey"


def test_part_into_a_bucket_deleted_meanwhile_is_refused(server, http, victim):
    upload = http.request("POST", f"/{victim}/k", query=[("uploads", None)]).xml().findtext("UploadId")
    query, body = [("partNumber", 1), ("uploadId", upload)], b"x" * SMALL
    with raw.S3(server, daemon.ALICE) as slow:
        head, _ = slow.prepare("PUT", f"/{victim}/k", query=query, body=body)
        slow.connection = raw.Connection(server)
        slow.connection.send(head + body[:-1])
        assert http.request("DELETE", f"/{victim}/k", query=[("uploadId", upload)]).status == 204
        assert http.request("DELETE", f"/{victim}").status == 204
        answer = slow.send(body[-1:], "PUT")
    assert answer.status == 404


def test_connections_leave_descriptors_for_the_store(own):
    """Connections took them all; the ledger then could not open a file, and the region was read-only until
    somebody started it again."""
    own.start(wrapper=["prlimit", "--nofile=1024:1024"])
    with raw.S3(own, daemon.ALICE) as client, contextlib.ExitStack() as crowd:
        assert client.request("PUT", "/crowded").status == 200
        for _ in range(1024):
            with contextlib.suppress(OSError):
                crowd.enter_context(raw.Connection(own))
        assert client.put("crowded", "large", b"x" * LARGE).status == 200
        assert client.request("PUT", "/crowded-2").status == 200
        assert client.request("GET", "/-/healthz").body.startswith(b'{"state":"writable"')


def test_too_few_descriptors_are_refused_at_the_start(folder):
    dev = daemon.Daemon.dev(folder)
    with pytest.raises(AssertionError, match="at least 1024 file descriptors are needed, the limit is 64"):
        dev.start(wrapper=["prlimit", "--nofile=64:64"])


def test_a_lost_route_key_is_no_empty_region(own):
    """A new one was made; then every object was 404 and the region took writes under other tokens."""
    own.start()
    with raw.S3(own, daemon.ALICE) as client:
        assert client.request("PUT", "/kept").status == 200
        assert client.put("kept", "k", b"here").status == 200
    own.stop()
    key = own.folder / "data.keys" / "route.key"
    saved = key.read_bytes()
    key.unlink()
    with pytest.raises(AssertionError, match="route key is not the one that this data folder was written with"):
        own.start()
    key.write_bytes(saved)
    own.start()
    with raw.S3(own, daemon.ALICE) as client:
        assert client.get("kept", "k").body == b"here"


def test_a_rotten_identity_of_the_index_does_not_end_the_process(own):
    """RocksDB asserts that this file never rots, though it can do without it."""
    own.start()
    with raw.S3(own, daemon.ALICE) as client:
        assert client.request("PUT", "/kept").status == 200
        assert client.put("kept", "k", b"here").status == 200
    own.stop()
    path = own.folder / "data" / "index" / "IDENTITY"
    rotten = bytearray(path.read_bytes())
    rotten[0] ^= 1
    path.write_bytes(rotten)
    own.start()
    with raw.S3(own, daemon.ALICE) as client:
        assert client.get("kept", "k").body == b"here"


UNPROVEN = [("GET", "/{b}/k", {}), ("HEAD", "/{b}/k", {}), ("GET", "/{b}", {}), ("GET", "/", {}), ("DELETE", "/{b}/k", {}),
            ("DELETE", "/{b}", {}), ("PUT", "/{b}/copy", {"x-amz-copy-source": "/{b}/k"}), ("POST", "/{b}/k?uploads=", {}),
            ("PUT", "/{b}/k", {}), ("PUT", "/unproven-bucket", {}), ("POST", "/{b}?delete=", {})]


@pytest.mark.parametrize("length", ["1", "00"])
@pytest.mark.parametrize("method,target,fields", UNPROVEN)
def test_nothing_for_a_head_that_only_its_body_would_prove(server, http, bucket, method, target, fields, length):
    """Without x-amz-content-sha256, and with a body, the signature was looked at only where a body was read:
    whoever knew an access key's public name could read and delete."""
    assert http.put(bucket, "k", b"mine").status == 200
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    fields = {"Host": f"{server.host}:{server.port}", "x-amz-date": date,
              **{name: value.format(b=bucket) for name, value in fields.items()}}
    names = ";".join(sorted(name.lower() for name in fields))
    fields["Content-Length"] = length
    fields["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={daemon.ALICE.access}/{date[:8]}/us-east-1/s3/aws4_request, "
                               f"SignedHeaders={names}, Signature={'0' * 64}")
    with raw.Connection(server) as connection:
        connection.send(raw.head(method, target.format(b=bucket), fields) + b"x" * int(length))
        answer = connection.answer(method)
    assert answer.status in (400, 403), answer
    assert http.get(bucket, "k").body == b"mine" and http.get(bucket, "copy").status == 404
    assert http.request("GET", "/unproven-bucket").status == 404
    assert not list(http.request("GET", f"/{bucket}", [("uploads", None)]).xml().iter("Upload"))
