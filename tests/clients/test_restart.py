"""What was acknowledged is there after any end of the process."""
import os
import signal

import pytest

from kit import daemon, raw, tools


def everything(s3, bucket):
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for each in page.get("Contents", []):
            got = s3.get_object(Bucket=bucket, Key=each["Key"])
            found[each["Key"]] = (got["Body"].read(), got["ETag"], got["Metadata"], got["ContentType"], got["LastModified"])
            assert each["ETag"] == got["ETag"] and each["Size"] == len(found[each["Key"]][0])
    return found


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT], ids=["term", "kill", "int"])
def test_everything_is_still_there(own, how):
    s3 = tools.boto(own.start(), daemon.ALICE)
    s3.create_bucket(Bucket="kept")
    s3.create_bucket(Bucket="emptied")
    s3.create_bucket(Bucket="deleted")
    for size in (0, 1, 4096, 65536, 65537, 3 << 20):
        s3.put_object(Bucket="kept", Key=f"size {size} ü", Body=os.urandom(size), Metadata={"size": str(size)},
                      ContentType="a/b")
    for n in range(30):
        s3.put_object(Bucket="kept", Key=f"over {n % 5}", Body=b"%d" % n * 1000)
        s3.put_object(Bucket="emptied", Key=f"gone {n}", Body=b"x")
    for n in range(30):
        s3.delete_object(Bucket="emptied", Key=f"gone {n}")
    s3.delete_bucket(Bucket="deleted")
    upload = {"Bucket": "kept", "Key": "parts",
              "UploadId": s3.create_multipart_upload(Bucket="kept", Key="parts", Metadata={"m": "1"})["UploadId"]}
    first = os.urandom(5 << 20)
    one = s3.upload_part(**upload, PartNumber=1, Body=first)["ETag"]
    before = everything(s3, "kept")
    assert len(before) == 11

    for _ in range(2):  # the second end comes right after a recovery
        assert own.stop(how) == {signal.SIGTERM: 0, signal.SIGINT: 130, signal.SIGKILL: -9}[how]
        s3 = tools.boto(own.start(), daemon.ALICE)
        assert everything(s3, "kept") == before
        assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["emptied", "kept"]
        assert s3.list_objects_v2(Bucket="emptied")["KeyCount"] == 0
        assert [p["ETag"] for p in s3.list_parts(**upload)["Parts"]] == [one]
    two = s3.upload_part(**upload, PartNumber=2, Body=b"tail")["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": one},
                                                                      {"PartNumber": 2, "ETag": two}]})
    got = s3.get_object(Bucket="kept", Key="parts")
    assert got["Body"].read() == first + b"tail" and got["Metadata"] == {"m": "1"}
    s3.delete_bucket(Bucket="emptied")
    own.stop()
    s3 = tools.boto(own.start(), daemon.ALICE)
    assert everything(s3, "kept").keys() == before.keys() | {"parts"}
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["kept"]


def test_drain_finishes_what_is_in_flight(own):
    """SIGTERM while a body arrives: that request is answered, and what it stored is kept."""
    own.start()
    with raw.S3(own, daemon.ALICE) as client:
        assert client.request("PUT", "/bucket").status == 200
    body = os.urandom(300000)
    signer = raw.S3(own, daemon.ALICE)
    data, _ = signer.prepare("PUT", "/bucket/k", headers={"Expect": "100-continue"}, body=body)
    with raw.Connection(own) as connection, raw.Connection(own) as idle:
        connection.send(data)
        assert connection._head()[0] == 100  # it is in a worker now
        connection.send(body[:1000])
        own.process.send_signal(signal.SIGTERM)
        assert idle.file.read() == b""  # the idle connection is closed: the drain has begun
        connection.send(body[1000:])
        answer = connection.answer("PUT")
        assert (answer.status, answer["connection"]) == (200, "close")
    assert own.process.wait(30) == 0
    own.process.stdout.close()
    own.process = None
    s3 = tools.boto(own.start(), daemon.ALICE)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body


def test_killed_amid_writes(own):
    """Whatever was acknowledged before kill -9 is there; the rest is absent or whole."""
    import threading
    own.start()
    with raw.S3(own, daemon.ALICE) as client:
        assert client.request("PUT", "/bucket").status == 200
    acknowledged, enough = [{} for _ in range(4)], threading.Event()

    def value(i, n):
        return (b"%d-%d " % (i, n)) * (1 + (n * 577) % 30000)

    def write(i):
        try:
            with raw.S3(own, daemon.ALICE) as client:
                for n in range(100000):
                    if client.put("bucket", f"{i}-{n % 40}", value(i, n)).status == 200:
                        acknowledged[i][n % 40] = n
                    if n > 60:
                        enough.set()
        except (OSError, raw.Closed):
            pass
    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for each in threads:
        each.start()
    assert enough.wait(120)
    own.stop(signal.SIGKILL)
    for each in threads:
        each.join()
    own.start()
    with raw.S3(own, daemon.ALICE) as client:
        for i, last in enumerate(acknowledged):
            for slot, n in last.items():
                got = client.get("bucket", f"{i}-{slot}")
                assert got.body in (value(i, n), value(i, n + 40)), (i, slot, n)
