"""Attacks that once worked. Each test is one: what an adversary, or bad luck, did to a region alone."""
import pytest

from kit import daemon, raw, sigv4

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
