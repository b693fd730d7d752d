"""Uploads in parts: order, errors, listings, abortion, and what becomes of them."""
import hashlib
import os
import threading

import pytest
from botocore.exceptions import ClientError

from kit import daemon, raw

MIB = 1 << 20
PART = os.urandom(5 * MIB)


def refused(call, **arguments):
    with pytest.raises(ClientError) as failure:
        call(**arguments)
    assert failure.value.response["Error"]["Message"]
    return failure.value.response["Error"]["Code"]


class Upload:
    def __init__(self, s3, bucket, key="k", **more):
        self.s3, self.where = s3, {"Bucket": bucket, "Key": key}
        self.where["UploadId"] = s3.create_multipart_upload(**self.where, **more)["UploadId"]
        self.etags = {}

    def part(self, number, body):
        self.etags[number] = self.s3.upload_part(**self.where, PartNumber=number, Body=body)["ETag"]
        assert self.etags[number] == f'"{raw.md5(body)}"'
        return self

    def listed(self, numbers=None):
        return {"Parts": [{"PartNumber": n, "ETag": self.etags[n]} for n in (numbers or sorted(self.etags))]}

    def complete(self, numbers=None):
        return self.s3.complete_multipart_upload(**self.where, MultipartUpload=self.listed(numbers))


def etag_of(*bodies):
    return '"' + hashlib.md5(b"".join(hashlib.md5(b).digest() for b in bodies)).hexdigest() + f'-{len(bodies)}"'


def test_parts_in_any_order_with_gaps(s3, bucket):
    up = Upload(s3, bucket, "deep/k ü+", ContentType="video/x", Metadata={"a": "b"}, CacheControl="no-cache")
    last = b"the end"
    up.part(10000, last).part(1, PART).part(7, PART[::-1])
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)  # not there before it is complete
    done = up.complete()
    assert done["ETag"] == etag_of(PART, PART[::-1], last) and done["Key"] == "deep/k ü+" and done["Location"]
    got = s3.get_object(Bucket=bucket, Key="deep/k ü+")
    whole = PART + PART[::-1] + last
    assert got["Body"].read() == whole and got["ETag"] == done["ETag"]
    assert (got["ContentType"], got["Metadata"], got["CacheControl"]) == ("video/x", {"a": "b"}, "no-cache")
    for first, end in ((0, 10), (5 * MIB - 3, 5 * MIB + 3), (10 * MIB - 1, 10 * MIB + 2), (3, len(whole))):
        part = s3.get_object(Bucket=bucket, Key="deep/k ü+", Range=f"bytes={first}-{end - 1}")
        assert part["Body"].read() == whole[first:end]
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(whole)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_last_write_of_a_part_counts_and_unnamed_parts_go(s3, bucket):
    up = Upload(s3, bucket)
    up.part(1, b"first try").part(1, b"second try").part(2, b"not named")
    assert up.complete([1])["ETag"] == etag_of(b"second try")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second try"
    up = Upload(s3, bucket)
    up.part(1, b"old")
    stale = dict(up.etags)
    up.part(1, b"new")
    up.etags = stale
    assert refused(up.s3.complete_multipart_upload, **up.where, MultipartUpload=up.listed()) == "InvalidPart"


def test_complete_twice_answers_alike(s3, bucket):
    up = Upload(s3, bucket).part(1, b"x")
    first = up.complete()
    assert up.complete()["ETag"] == first["ETag"]  # a retry after a lost answer
    s3.put_object(Bucket=bucket, Key="k", Body=b"later")
    assert refused(s3.complete_multipart_upload, **up.where, MultipartUpload=up.listed()) == "NoSuchUpload"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"later"


def test_refused_completions_change_nothing(s3, http, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    up = Upload(s3, bucket).part(1, b"small").part(2, b"small too").part(3, b"z")

    def code(parts):
        return refused(s3.complete_multipart_upload, **up.where, MultipartUpload={"Parts": parts})
    one, two = ({"PartNumber": n, "ETag": up.etags[n]} for n in (1, 2))
    assert code([one, two]) == "EntityTooSmall"
    assert code([two, one]) == "InvalidPartOrder"
    assert code([one, one]) == "InvalidPartOrder"
    assert code([{"PartNumber": 4, "ETag": up.etags[1]}]) == "InvalidPart"
    assert code([{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}]) == "InvalidPart"
    assert code([{"PartNumber": 1, "ETag": "nonsense"}]) == "InvalidPart"
    path = f"/{bucket}/k"
    query = [("uploadId", up.where["UploadId"])]
    for body in (b"", b"<CompleteMultipartUpload/>", b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>", b"x",
                 b"<Other/>", b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>y</ETag></Part>"
                 b"</CompleteMultipartUpload>"):
        answer = http.request("POST", path, query, body=body)
        assert (answer.status, answer.code) == (400, "MalformedXML"), body
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"before"
    assert len(s3.list_parts(**up.where)["Parts"]) == 3
    up.complete([3])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"z"


def test_of_no_upload(s3, http, bucket):
    gone = Upload(s3, bucket).part(1, b"x")
    s3.abort_multipart_upload(**gone.where)
    for upload in (gone.where["UploadId"], "0" * 32, "nonsense", "x" * 500):
        where = {"Bucket": bucket, "Key": "k", "UploadId": upload}
        assert refused(s3.upload_part, **where, PartNumber=1, Body=b"x") == "NoSuchUpload"
        assert refused(s3.list_parts, **where) == "NoSuchUpload"
        assert refused(s3.abort_multipart_upload, **where) == "NoSuchUpload"
        assert refused(s3.complete_multipart_upload, **where, MultipartUpload=gone.listed()) == "NoSuchUpload"
    live = Upload(s3, bucket, "one key")
    assert refused(s3.upload_part, Bucket=bucket, Key="another key", UploadId=live.where["UploadId"], PartNumber=1,
                   Body=b"x") == "NoSuchUpload"
    for number in ("0", "10001", "-1", "x", ""):
        answer = http.request("PUT", f"/{bucket}/one key",
                              [("partNumber", number), ("uploadId", live.where["UploadId"])], body=b"x")
        assert (answer.status, answer.code) == (400, "InvalidArgument"), number
    answer = http.request("PUT", f"/{bucket}/one key", [("partNumber", 1)], body=b"x")
    assert answer.status == 400
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_list_parts_in_pages(s3, bucket):
    up = Upload(s3, bucket)
    for number in (3, 1, 200, 10000, 42):
        up.part(number, b"x" * number)
    found, marker = [], 0
    while True:
        got = s3.list_parts(**up.where, MaxParts=2, PartNumberMarker=marker)
        found += [(p["PartNumber"], p["Size"], p["ETag"]) for p in got["Parts"]]
        if not got["IsTruncated"]:
            break
        marker = got["NextPartNumberMarker"]
    assert found == [(n, n, up.etags[n]) for n in (1, 3, 42, 200, 10000)]
    assert "Parts" not in s3.list_parts(**up.where, PartNumberMarker=10000)
    assert got["Initiator"]["ID"] == got["Owner"]["ID"] == "alice"


def test_list_uploads_in_pages(s3, bucket):
    made = {}
    for key in ("a", "b/1", "b/2", "b/2", "c", "ü +"):
        made.setdefault(key, []).append(Upload(s3, bucket, key).where["UploadId"])
    want = [(key, upload) for key in sorted(made) for upload in made[key]]
    found, markers = [], {}
    while True:
        got = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1, **markers)
        found += [(u["Key"], u["UploadId"]) for u in got.get("Uploads", [])]
        if not got["IsTruncated"]:
            break
        markers = {"KeyMarker": got["NextKeyMarker"], "UploadIdMarker": got["NextUploadIdMarker"]}
        assert len(found) <= 6
    assert sorted(found) == sorted(want) and [k for k, _ in found] == [k for k, _ in want]
    got = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [u["Key"] for u in got["Uploads"]] == ["a", "c", "ü +"]
    assert [p["Prefix"] for p in got["CommonPrefixes"]] == ["b/"]
    got = s3.list_multipart_uploads(Bucket=bucket, Prefix="b/")
    assert sorted(u["UploadId"] for u in got["Uploads"]) == sorted(made["b/1"] + made["b/2"])
    found, markers = [], {}
    while True:  # pages of prefixes and keys
        got = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/", MaxUploads=1, **markers)
        found += [u["Key"] for u in got.get("Uploads", [])] + [p["Prefix"] for p in got.get("CommonPrefixes", [])]
        assert len(found) <= 4, found
        if not got["IsTruncated"]:
            break
        markers = {"KeyMarker": got["NextKeyMarker"], "UploadIdMarker": got.get("NextUploadIdMarker", "")}
    assert found == ["a", "b/", "c", "ü +"]


def test_abort_leaves_nothing(s3, bucket):
    up = Upload(s3, bucket).part(1, PART)
    s3.abort_multipart_upload(**up.where)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)


def test_copied_parts(s3, bucket):
    source = os.urandom(6 * MIB + 17)
    s3.put_object(Bucket=bucket, Key="src %+ü", Body=source)
    up = Upload(s3, bucket)
    where = {"Bucket": bucket, "Key": "src %+ü"}

    def copy(number, **more):
        got = s3.upload_part_copy(**up.where, PartNumber=number, CopySource=where, **more)
        up.etags[number] = got["CopyPartResult"]["ETag"]
    copy(1, CopySourceRange=f"bytes=0-{5 * MIB - 1}")
    copy(2, CopySourceRange=f"bytes={5 * MIB}-{len(source) - 1}")
    assert up.etags[2] == f'"{raw.md5(source[5 * MIB:])}"'
    up.complete()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == source
    up = Upload(s3, bucket, "whole")
    copy(1)
    up.complete()
    assert s3.head_object(Bucket=bucket, Key="whole")["ETag"] == etag_of(source)
    up = Upload(s3, bucket, "never")
    copying = {**up.where, "PartNumber": 1}
    assert refused(s3.upload_part_copy, **copying, CopySource={"Bucket": bucket, "Key": "no"}) == "NoSuchKey"
    assert refused(s3.upload_part_copy, **copying, CopySource={"Bucket": "no-such-bucket", "Key": "k"}) == "NoSuchBucket"
    assert refused(s3.upload_part_copy, **copying, CopySource=where, CopySourceIfMatch='"x"') == "PreconditionFailed"
    beyond = f"bytes=5-{len(source)}"
    assert refused(s3.upload_part_copy, **copying, CopySource=where, CopySourceRange=beyond) == "InvalidRange"
    assert refused(s3.upload_part_copy, **copying, CopySource=where, CopySourceRange="bytes=5-") == "InvalidArgument"
    assert "Parts" not in s3.list_parts(**up.where)


def test_condition_of_a_completion(http, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"there")
    up = Upload(s3, bucket).part(1, b"x")
    body = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{up.etags[1]}</ETag></Part>"
            "</CompleteMultipartUpload>").encode()
    query = [("uploadId", up.where["UploadId"])]
    answer = http.request("POST", f"/{bucket}/k", query, {"If-None-Match": "*"}, body)
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"there"
    assert http.request("POST", f"/{bucket}/k", query, {"If-Match": "*"}, body).status == 200


def test_completed_and_aborted_at_once(server, s3, bucket):
    """One of them wins; the object is whole or was never there."""
    for n in range(12):
        up = Upload(s3, bucket, f"k{n}").part(1, PART).part(2, b"tail")
        results, barrier = {}, threading.Barrier(2)
        body = ("<CompleteMultipartUpload>" + "".join(
            f"<Part><PartNumber>{i}</PartNumber><ETag>{e}</ETag></Part>" for i, e in sorted(up.etags.items()))
            + "</CompleteMultipartUpload>").encode()

        def act(method, payload):
            with raw.S3(server, daemon.ALICE) as client:
                barrier.wait()
                query = [("uploadId", up.where["UploadId"])]
                results[method] = client.request(method, f"/{bucket}/k{n}", query, body=payload).status
        threads = [threading.Thread(target=act, args=a) for a in (("POST", body), ("DELETE", b""))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(results.items()) in ([("DELETE", 204), ("POST", 404)], [("DELETE", 404), ("POST", 200)])
        with raw.S3(server, daemon.ALICE) as client:
            got = client.get(bucket, f"k{n}")
        assert (got.status, got.body == PART + b"tail") == ((200, True) if results["POST"] == 200 else (404, False))
