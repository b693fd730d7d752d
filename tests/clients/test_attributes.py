"""What an object is, told without its bytes: GetObjectAttributes; and reads of one part."""
import json
import signal
import subprocess
import os
import subprocess

import pytest
from botocore.exceptions import ClientError

from kit import daemon, env, tools
from test_multipart import MIB, PART, Upload, etag_of, refused

ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


def in_parts(s3, bucket, key="k"):
    up = Upload(s3, bucket, key).part(1, PART).part(2, PART[::-1]).part(3, b"the end")
    return up.complete()["ETag"]


def test_of_an_object(s3, http, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=ALL)
    assert told["ETag"] == put["ETag"].strip('"') and told["ObjectSize"] == 5
    assert told["StorageClass"] == "STANDARD" and "ObjectParts" not in told
    assert told["Checksum"]["ChecksumSHA256"] == put["ChecksumSHA256"]
    head = s3.head_object(Bucket=bucket, Key="k")
    assert told["LastModified"] == head["LastModified"]
    only = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])
    assert only["ObjectSize"] == 5 and "ETag" not in only and "Checksum" not in only
    assert refused(s3.get_object_attributes, Bucket=bucket, Key="no", ObjectAttributes=ALL) == "NoSuchKey"
    assert http.request("GET", f"/{bucket}/k", [("attributes", "")]).code == "InvalidArgument"
    assert http.request("GET", f"/{bucket}/k", [("attributes", "")],
                        headers={"x-amz-object-attributes": "Colour"}).code == "InvalidArgument"


def test_of_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old one")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])["ObjectSize"] == 3
    told = s3.get_object_attributes(Bucket=bucket, Key="k", VersionId=old, ObjectAttributes=["ObjectSize"])
    assert told["ObjectSize"] == 7 and told["VersionId"] == old
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    assert refused(s3.get_object_attributes, Bucket=bucket, Key="k", ObjectAttributes=ALL) == "NoSuchKey"
    assert refused(s3.get_object_attributes, Bucket=bucket, Key="k", VersionId=marker,
                   ObjectAttributes=ALL) == "MethodNotAllowed"


def test_both_rights_are_needed(server, s3, bucket):
    bob = tools.boto(server, daemon.BOB)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    def allow(*actions):
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": daemon.BOB.account}, "Action": list(actions),
             "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
    for actions in (("s3:GetObject",), ("s3:GetObjectAttributes",)):
        allow(*actions)
        assert refused(bob.get_object_attributes, Bucket=bucket, Key="k", ObjectAttributes=ALL) == "AccessDenied"
    allow("s3:GetObject", "s3:GetObjectAttributes")
    assert bob.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=ALL)["ObjectSize"] == 1


def test_parts_are_counted(s3, bucket):
    etag = in_parts(s3, bucket)
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=ALL)
    assert f'"{told["ETag"]}"' == etag == etag_of(PART, PART[::-1], b"the end")
    assert told["ObjectParts"]["TotalPartsCount"] == 3 and told["ObjectSize"] == 10 * MIB + 7


def test_one_part_is_read(s3, http, bucket):
    etag = in_parts(s3, bucket)
    first = 0
    for number, body in enumerate((PART, PART[::-1], b"the end"), 1):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206 and got["PartsCount"] == 3
        assert got["ContentRange"] == f"bytes {first}-{first + len(body) - 1}/{10 * MIB + 7}"
        assert got["Body"].read() == body and got["ETag"] == etag
        head = s3.head_object(Bucket=bucket, Key="k", PartNumber=number)
        assert (head["ContentLength"], head["PartsCount"]) == (len(body), 3)
        first += len(body)
    with pytest.raises(ClientError) as failure:
        s3.get_object(Bucket=bucket, Key="k", PartNumber=4)
    assert failure.value.response["Error"]["Code"] == "InvalidPartNumber"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416
    both = http.request("GET", f"/{bucket}/k", [("partNumber", 1)], headers={"Range": "bytes=0-1"})
    assert (both.status, both.code) == (400, "InvalidRequest")


def test_part_of_what_came_in_one_piece(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"all of it")
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert got["Body"].read() == b"all of it" and "PartsCount" not in got
    assert got["ContentRange"] == "bytes 0-8/9"
    assert refused(s3.get_object, Bucket=bucket, Key="k", PartNumber=2) == "InvalidPartNumber"
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty", PartNumber=1)["Body"].read() == b""


def test_after_a_crash_and_a_rebuild(own):
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    s3.create_bucket(Bucket="parts")
    in_parts(s3, "parts")
    own.stop(signal.SIGKILL)
    rebuilt = subprocess.run([env.BINARY, "fsck", "--dev", "--region", "in", "--data", own.folder / "data", "--rebuild-index"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert rebuilt.returncode == 0, rebuilt.stdout
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    told = s3.get_object_attributes(Bucket="parts", Key="k", ObjectAttributes=ALL)
    assert told["ObjectParts"]["TotalPartsCount"] == 3
    assert s3.get_object(Bucket="parts", Key="k", PartNumber=2)["Body"].read() == PART[::-1]
