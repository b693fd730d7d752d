"""The access log and the figures: what operators read, with nothing personal in it."""
import json
import os
import re
import signal
import urllib.request

from botocore.exceptions import ClientError

from kit import daemon, tools

NEEDLES = (b"needle-key", b"needle-value", b"needle-subject", b"alice-secret", b"127.0.0.1")


def lines(path):
    with open(path, "rb") as file:
        return [json.loads(line) for line in file]


def wait_for(check):
    """A line is written after its answer: the next request's answer comes after it, not before."""
    while not check():
        os.sched_yield()


def test_lines_and_rotation(folder):
    path = folder / "access.log"
    own = daemon.Daemon.dev(folder, extra=["--access-log", path]).start()
    s3 = tools.boto(own, daemon.ALICE)
    s3.create_bucket(Bucket="logged")
    s3.put_object(Bucket="logged", Key="needle-subject/needle-key", Body=b"needle-value" * 100)
    s3.get_object(Bucket="logged", Key="needle-subject/needle-key", Range="bytes=0-9")["Body"].read()
    for key, client in (("needle-key-absent", s3), ("needle-key", tools.boto(own, daemon.BOB))):
        try:
            client.get_object(Bucket="logged", Key=key)
            raise AssertionError("answered")
        except ClientError:
            pass
    try:
        s3.get_object(Bucket="needle-subject-8421", Key="k")  # a person's id where a bucket is meant
        raise AssertionError("answered")
    except ClientError:
        pass
    wait_for(lambda: len(lines(path)) >= 6)
    seen = lines(path)
    assert [(l["operation"], l["status"], l.get("error")) for l in seen] == [
        ("CreateBucket", 200, None), ("PutObject", 200, None), ("GetObject", 206, None),
        ("GetObject", 404, "NoSuchKey"), ("GetObject", 403, "AccessDenied"),
        ("GetObject", 404, "NoSuchBucket")]
    put, got = seen[1], seen[2]
    assert put["bytes_in"] >= 1200 and got["bytes_out"] >= 10 and put["account"] == "alice" and put["bucket"] == "logged"
    assert re.fullmatch("[0-9a-f]{16}", put["key"]) and put["key"] == got["key"] != seen[3]["key"]
    assert all(re.fullmatch("[0-9a-f]{16}", l["request"]) and l["us"] >= 0 for l in seen)
    raw = path.read_bytes()
    assert not [n for n in NEEDLES if n in raw]

    os.rename(path, folder / "access.log.1")  # as logrotate does
    own.process.send_signal(signal.SIGHUP)
    wait_for(path.exists)
    s3.head_bucket(Bucket="logged")
    wait_for(lambda: len(lines(path)) >= 1)
    assert [l["operation"] for l in lines(path)] == ["HeadBucket"] and len(lines(folder / "access.log.1")) == 6
    assert os.stat(path).st_mode & 0o137 == 0 and own.stop() == 0


def test_a_log_that_cannot_be_opened(folder):
    own = daemon.Daemon.dev(folder, extra=["--access-log", folder / "no" / "log"])
    status, out, err = daemon.run(["serve", *own.arguments], folder)
    assert status == 3 and not out and "no/log" in str(err)


def test_histograms(server, bucket):
    s3 = tools.boto(server, daemon.ALICE)
    s3.put_object(Bucket=bucket, Key="timed", Body=b"x")
    s3.head_bucket(Bucket=bucket)  # the figure of a request is there before the next one's
    text = urllib.request.urlopen(server.url + "/-/metrics").read().decode()
    slots = re.findall(r'domicile_s3_request_seconds_bucket\{operation="PutObject",le="([^"]+)"\} (\d+)', text)
    assert slots[-1][0] == "+Inf" and [float(le) for le, _ in slots[:-1]] == sorted(float(le) for le, _ in slots[:-1])
    counts = [int(n) for _, n in slots]
    assert counts == sorted(counts) and counts[-1] > 0
    total = re.search(r'domicile_s3_request_seconds_count\{operation="PutObject"\} (\d+)', text)
    assert int(total.group(1)) == counts[-1]
    assert float(re.search(r'domicile_s3_request_seconds_sum\{operation="PutObject"\} ([0-9.]+)', text).group(1)) > 0
