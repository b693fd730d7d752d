"""Copies on the server's side."""
import os

import pytest
from botocore.exceptions import ClientError

from kit import raw


@pytest.fixture
def source(s3, bucket):
    s3.put_object(Bucket=bucket, Key="src %2B+ü&", Body=b"source" * 50000, ContentType="a/b", CacheControl="c",
                  Metadata={"m": "1"})
    return {"Bucket": bucket, "Key": "src %2B+ü&"}


def refused(call, **arguments):
    with pytest.raises(ClientError) as failure:
        call(**arguments)
    return failure.value.response["Error"]["Code"]


def test_with_its_metadata(s3, bucket, source):
    copied = s3.copy_object(Bucket=bucket, Key="t", CopySource=source)["CopyObjectResult"]
    got = s3.get_object(Bucket=bucket, Key="t")
    assert got["Body"].read() == b"source" * 50000 and got["ETag"] == copied["ETag"] == f'"{raw.md5(b"source" * 50000)}"'
    assert (got["ContentType"], got["CacheControl"], got["Metadata"]) == ("a/b", "c", {"m": "1"})
    # What the head says of metadata is not heard without REPLACE.
    s3.copy_object(Bucket=bucket, Key="t2", CopySource=source, Metadata={"x": "y"}, MetadataDirective="COPY")
    assert s3.head_object(Bucket=bucket, Key="t2")["Metadata"] == {"m": "1"}


def test_with_other_metadata(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="t", CopySource=source, MetadataDirective="REPLACE", ContentType="new/one",
                   Metadata={"n": "2"})
    got = s3.head_object(Bucket=bucket, Key="t")
    assert (got["ContentType"], got["Metadata"]) == ("new/one", {"n": "2"}) and "CacheControl" not in got


def test_onto_itself(s3, bucket, source):
    assert refused(s3.copy_object, **source, CopySource=source) == "InvalidRequest"
    s3.copy_object(**source, CopySource=source, MetadataDirective="REPLACE", Metadata={"touched": "yes"})
    got = s3.get_object(**source)
    assert got["Metadata"] == {"touched": "yes"} and got["Body"].read() == b"source" * 50000


def test_to_another_bucket(s3, bucket, source):
    s3.create_bucket(Bucket=f"{bucket}-other")
    s3.copy_object(Bucket=f"{bucket}-other", Key="t", CopySource=source)
    s3.delete_object(**source)
    assert s3.get_object(Bucket=f"{bucket}-other", Key="t")["Body"].read() == b"source" * 50000


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3 << 20])
def test_of_any_size(s3, bucket, size):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="s", Body=body)
    s3.copy_object(Bucket=bucket, Key="t", CopySource={"Bucket": bucket, "Key": "s"})
    assert s3.get_object(Bucket=bucket, Key="t")["Body"].read() == body


def test_of_a_multipart_object_is_one_piece(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    where = {"Bucket": bucket, "Key": "m", "UploadId": upload}
    bodies = [os.urandom(5 << 20), b"tail"]
    parts = [{"PartNumber": i + 1, "ETag": s3.upload_part(**where, PartNumber=i + 1, Body=b)["ETag"]}
             for i, b in enumerate(bodies)]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket=bucket, Key="t", CopySource={"Bucket": bucket, "Key": "m"})
    got = s3.get_object(Bucket=bucket, Key="t")
    whole = b"".join(bodies)
    assert got["Body"].read() == whole and got["ETag"] == f'"{raw.md5(whole)}"'


def test_refused(s3, http, bucket, source):
    there = {"Bucket": bucket, "Key": "t"}
    assert refused(s3.copy_object, **there, CopySource={"Bucket": bucket, "Key": "no"}) == "NoSuchKey"
    assert refused(s3.copy_object, **there, CopySource={"Bucket": "no-such-bucket-here", "Key": "k"}) == "NoSuchBucket"
    assert refused(s3.copy_object, Bucket="no-such-bucket-here", Key="t", CopySource=source) == "NoSuchBucket"
    for text in ("", "/", "nokey", f"/{bucket}/", f"/{bucket}/%zz", f"/{bucket}/%FF", "//x", "/UPPER_CASE/k"):
        answer = http.request("PUT", f"/{bucket}/t", headers={"x-amz-copy-source": text})
        assert answer.status in (400, 404) and answer.code, text
    assert refused(s3.copy_object, **there, CopySource=source, CopySourceIfMatch='"x"') == "PreconditionFailed"
    etag = s3.head_object(**source)["ETag"]
    assert refused(s3.copy_object, **there, CopySource=source, CopySourceIfNoneMatch=etag) == "PreconditionFailed"
    answer = http.request("PUT", f"/{bucket}/t", headers={"x-amz-copy-source": f"/{bucket}/src", "x-amz-metadata-directive": "NO"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    s3.copy_object(**there, CopySource=source, CopySourceIfMatch=etag)


def test_condition_of_the_target(http, bucket):
    http.put(bucket, "s", b"new")
    http.put(bucket, "t", b"old")
    answer = http.request("PUT", f"/{bucket}/t", headers={"x-amz-copy-source": f"/{bucket}/s", "If-None-Match": "*"})
    assert answer.status == 412 and http.get(bucket, "t").body == b"old"
