"""Tags of objects with boto3 and awscli: set with the object and afterwards, of versions, copies and uploads; who may
read and set them, and what policies make of them."""
import json
import threading

import pytest
from botocore.exceptions import ClientError

from kit import daemon, tools
from test_access import BOB, policy, refused, statement
from test_tls import Secure

ONE = {"TagSet": [{"Key": "kind", "Value": "photo"}]}


def tag_set(tags):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


def tags_of(s3, bucket, key, **version):
    return {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=bucket, Key=key, **version)["TagSet"]}


def put(s3, bucket, key, tags, **more):
    return s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tag_set(tags), **more)


@pytest.mark.parametrize("size", [0, 10, 3 << 20])
def test_set_replaced_and_removed(s3, bucket, size):
    body = b"t" * size
    etag = s3.put_object(Bucket=bucket, Key="k", Body=body, Metadata={"m": "1"}, ContentType="text/x")["ETag"]
    before = s3.head_object(Bucket=bucket, Key="k")
    assert "TagCount" not in s3.get_object(Bucket=bucket, Key="k")
    assert tags_of(s3, bucket, "k") == {}
    for tags in ({"b": "2", "a": "1"}, {"only": ""}, {f"k{i}": "v" * 256 for i in range(10)}, {}):
        assert put(s3, bucket, "k", tags)["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert tags_of(s3, bucket, "k") == tags
        got = s3.get_object(Bucket=bucket, Key="k")
        assert got["Body"].read() == body and got["ETag"] == etag and got["ContentType"] == "text/x"
        assert got["Metadata"] == {"m": "1"} and got["LastModified"] == before["LastModified"]
        assert got["ResponseMetadata"]["HTTPHeaders"].get("x-amz-tagging-count") == (str(len(tags)) if tags else None)
    put(s3, bucket, "k", {"a": "1"})
    assert s3.delete_object_tagging(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags_of(s3, bucket, "k") == {}
    put(s3, bucket, "k", {"a": "1"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert tags_of(s3, bucket, "k") == {}  # an object that takes its place has its own


def test_with_the_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="b=2&a=one%20two&%C3%BC=%E4%B8%AD")
    assert tags_of(s3, bucket, "k") == {"a": "one two", "b": "2", "ü": "中"}
    assert s3.head_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "3"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="u", Tagging="of=upload")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="u", UploadId=upload, PartNumber=1, Body=b"p")["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="u", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert tags_of(s3, bucket, "u") == {"of": "upload"}


def test_limits(s3, http, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="stays=1")
    for tags in ({f"k{i}": "" for i in range(11)}, {"k" * 129: ""}, {"k": "v" * 257}, {"aws:x": "1"}, {"k": "<b>"}):
        refused("InvalidTag", s3.put_object_tagging, Bucket=bucket, Key="k", Tagging=tag_set(tags))
    refused("InvalidTag", s3.put_object_tagging, Bucket=bucket, Key="k",
            Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]})
    refused("InvalidTag", s3.put_object, Bucket=bucket, Key="n", Tagging="&".join(f"k{i}=" for i in range(11)))
    refused("InvalidArgument", s3.put_object, Bucket=bucket, Key="n", Tagging="a=1&a=2")
    for body in (b"", b"<Tagging/>", b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", b"<x"):
        answer = http.request("PUT", f"/{bucket}/k", [("tagging", None)], body=body)
        assert (answer.status, answer.code) == (400, "MalformedXML"), body
    answer = http.request("PUT", f"/{bucket}/k", [("tagging", None)], body=b" " * (100 << 10))
    assert (answer.status, answer.code) == (400, "MaxMessageLengthExceeded")
    answer = http.request("PUT", f"/{bucket}/k", [("tagging", None)], body=b"<Tagging><TagSet/></Tagging>",
                          headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert tags_of(s3, bucket, "k") == {"stays": "1"}
    refused("NoSuchKey", s3.get_object_tagging, Bucket=bucket, Key="n")
    refused("NoSuchKey", s3.put_object_tagging, Bucket=bucket, Key="n", Tagging=ONE)
    refused("NoSuchKey", s3.delete_object_tagging, Bucket=bucket, Key="n")
    refused("NoSuchBucket", s3.get_object_tagging, Bucket="no-such-bucket", Key="n")


def test_of_versions(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"null", Tagging="of=null")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="of=first")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    assert put(s3, bucket, "k", {"now": "second"})["VersionId"] == second
    assert put(s3, bucket, "k", {"now": "null"}, VersionId="null")["VersionId"] == "null"
    answer = s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=first)
    assert answer["VersionId"] == first and answer["TagSet"] == [{"Key": "of", "Value": "first"}]
    assert tags_of(s3, bucket, "k") == {"now": "second"}
    assert tags_of(s3, bucket, "k", VersionId="null") == {"now": "null"}
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [v["VersionId"] for v in listed] == [second, first, "null"]  # in the order in which they came
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    refused("NoSuchKey", s3.get_object_tagging, Bucket=bucket, Key="k")
    refused("MethodNotAllowed", s3.put_object_tagging, Bucket=bucket, Key="k", VersionId=marker, Tagging=ONE)
    refused("NoSuchVersion", s3.get_object_tagging, Bucket=bucket, Key="k", VersionId="0" * 32)
    assert s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=first)["VersionId"] == first
    assert tags_of(s3, bucket, "k", VersionId=first) == {}
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    assert tags_of(s3, bucket, "k") == {"now": "second"}


def test_of_copies(s3, bucket):
    source = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**source, Body=b"x", Tagging="a=1", Metadata={"m": "1"})
    copy = {"Bucket": bucket, "CopySource": source}
    s3.copy_object(**copy, Key="same")
    assert tags_of(s3, bucket, "same") == {"a": "1"}
    s3.copy_object(**copy, Key="other", TaggingDirective="REPLACE", Tagging="b=2")
    assert tags_of(s3, bucket, "other") == {"b": "2"}
    assert s3.head_object(Bucket=bucket, Key="other")["Metadata"] == {"m": "1"}
    s3.copy_object(**copy, Key="none", TaggingDirective="REPLACE")
    assert tags_of(s3, bucket, "none") == {}
    s3.copy_object(**copy, Key="kept", MetadataDirective="REPLACE", Metadata={"m": "2"}, Tagging="c=3")
    assert tags_of(s3, bucket, "kept") == {"a": "1"}
    assert s3.head_object(Bucket=bucket, Key="kept")["Metadata"] == {"m": "2"}
    s3.copy_object(**copy, Key="k", MetadataDirective="REPLACE")
    assert tags_of(s3, bucket, "k") == {"a": "1"}
    refused("InvalidArgument", s3.copy_object, **copy, Key="x", TaggingDirective="MOVE")


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory):
    """Keys of clients are taken over TLS only."""
    made = Secure(tmp_path_factory.mktemp("tls-tags"))
    yield tools.boto(made.daemon, daemon.ALICE, verify=made.ca.chain_file)
    made.daemon.kill()


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_beside_other_metadata(over_tls, size):
    """What else is known of an object stays: checksums, its parts', grants, the key that a client brings along."""
    s3, bucket = over_tls, f"beside-{size}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    for key in ({}, {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}):
        summed = s3.put_object(Bucket=bucket, Key="k", Body=b"x" * size, ChecksumAlgorithm="SHA256", ACL="public-read", **key)
        grants = s3.get_object_acl(Bucket=bucket, Key="k")["Grants"]
        put(s3, bucket, "k", {"a": "1"})  # without the key: what it seals is not touched
        got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", **key)
        assert got["Body"].read() == b"x" * size and got["ChecksumSHA256"] == summed["ChecksumSHA256"]
        assert s3.get_object_acl(Bucket=bucket, Key="k")["Grants"] == grants and len(grants) == 2
        upload = s3.create_multipart_upload(Bucket=bucket, Key="u", ChecksumAlgorithm="CRC32C", Tagging="b=2", **key)
        where = {"Bucket": bucket, "Key": "u", "UploadId": upload["UploadId"]}
        part = s3.upload_part(**where, PartNumber=1, Body=b"p" * size, ChecksumAlgorithm="CRC32C", **key)
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [
            {"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32C": part["ChecksumCRC32C"]}]})
        before = s3.head_object(Bucket=bucket, Key="u", PartNumber=1, ChecksumMode="ENABLED", **key)
        s3.put_object_acl(Bucket=bucket, Key="u", ACL="public-read")
        assert tags_of(s3, bucket, "u") == {"b": "2"}
        put(s3, bucket, "u", {"c": "3"})
        after = s3.head_object(Bucket=bucket, Key="u", PartNumber=1, ChecksumMode="ENABLED", **key)
        assert [after[n] for n in ("ETag", "PartsCount", "ChecksumCRC32C", "LastModified")] == [
            before[n] for n in ("ETag", "PartsCount", "ChecksumCRC32C", "LastModified")]
        assert s3.get_object(Bucket=bucket, Key="u", **key)["Body"].read() == b"p" * size


def test_rights(s3, bob, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**where, Body=b"x", Tagging="a=1")
    calls = [(bob.get_object_tagging, {}), (bob.put_object_tagging, {"Tagging": ONE}), (bob.delete_object_tagging, {})]
    for call, more in calls:
        refused("AccessDenied", call, **where, **more)
    policy(s3, bucket, statement(bucket, ["s3:GetObject", "s3:PutObject"], BOB))
    for call, more in calls:
        refused("AccessDenied", call, **where, **more)
    assert "x-amz-tagging-count" not in bob.head_object(**where)["ResponseMetadata"]["HTTPHeaders"]
    refused("AccessDenied", bob.put_object, Bucket=bucket, Key="n", Body=b"y", Tagging="a=1")
    refused("AccessDenied", bob.create_multipart_upload, Bucket=bucket, Key="n", Tagging="a=1")
    refused("AccessDenied", bob.copy_object, Bucket=bucket, Key="n", CopySource=where)
    bob.copy_object(Bucket=bucket, Key="n", CopySource=where, TaggingDirective="REPLACE")
    bob.put_object(Bucket=bucket, Key="n", Body=b"y")
    policy(s3, bucket, statement(bucket, ["s3:GetObject*", "s3:PutObject*", "s3:DeleteObjectTagging"], BOB))
    assert tags_of(bob, bucket, "k") == {"a": "1"}
    assert bob.head_object(**where)["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "1"
    bob.copy_object(Bucket=bucket, Key="n", CopySource=where)
    assert tags_of(s3, bucket, "n") == {"a": "1"}
    put(bob, bucket, "k", {"b": "2"})
    bob.delete_object_tagging(**where)
    refused("AccessDenied", bob.get_object_tagging, Bucket=bucket, Key="absent")


def test_policies_by_tags(s3, bob, bucket):
    existing = {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}
    asked = {"StringEquals": {"s3:RequestObjectTag/kind": ["photo", "film"]},
             "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["kind", "by"]}}
    s3.put_object(Bucket=bucket, Key="open", Body=b"o", Tagging="open=yes")
    s3.put_object(Bucket=bucket, Key="shut", Body=b"s", Tagging="open=no")
    s3.put_object(Bucket=bucket, Key="plain", Body=b"p")
    policy(s3, bucket, statement(bucket, ["s3:GetObject", "s3:GetObjectTagging"], BOB, Condition=existing))
    assert bob.get_object(Bucket=bucket, Key="open")["Body"].read() == b"o"
    assert tags_of(bob, bucket, "open") == {"open": "yes"}
    for key in ("shut", "plain", "absent"):
        refused("AccessDenied", bob.get_object, Bucket=bucket, Key=key)
        refused("AccessDenied", bob.get_object_tagging, Bucket=bucket, Key=key)
    mine = f"{bucket}-of-bob"
    bob.create_bucket(Bucket=mine)
    bob.copy_object(Bucket=mine, Key="copy", CopySource={"Bucket": bucket, "Key": "open"})
    assert tags_of(bob, mine, "copy") == {"open": "yes"}
    upload = bob.create_multipart_upload(Bucket=mine, Key="parts")["UploadId"]
    part = {"Bucket": mine, "Key": "parts", "UploadId": upload, "PartNumber": 1}
    bob.upload_part_copy(**part, CopySource={"Bucket": bucket, "Key": "open"})
    for key in ("shut", "plain", "absent"):
        refused("AccessDenied", bob.copy_object, Bucket=mine, Key="copy", CopySource={"Bucket": bucket, "Key": key})
        refused("AccessDenied", bob.upload_part_copy, **part, CopySource={"Bucket": bucket, "Key": key})
    put(s3, bucket, "shut", {"open": "yes"})
    assert bob.get_object(Bucket=bucket, Key="shut")["Body"].read() == b"s"
    policy(s3, bucket, statement(bucket, "s3:PutObject", BOB),
           statement(bucket, "s3:PutObjectTagging", BOB, Condition=asked))
    bob.put_object(Bucket=bucket, Key="b", Body=b"x", Tagging="kind=photo&by=bob")
    put(bob, bucket, "b", {"kind": "film"})
    for tags in ({"kind": "book"}, {"kind": "photo", "else": "1"}, {}):
        refused("AccessDenied", bob.put_object_tagging, Bucket=bucket, Key="b", Tagging=tag_set(tags))
    refused("AccessDenied", bob.put_object, Bucket=bucket, Key="b", Body=b"y", Tagging="kind=book")
    assert tags_of(s3, bucket, "b") == {"kind": "film"}
    # What is there decides who may change it.
    policy(s3, bucket, statement(bucket, "s3:PutObjectTagging", BOB, Condition=existing))
    refused("AccessDenied", bob.put_object_tagging, Bucket=bucket, Key="b", Tagging=ONE)
    put(bob, bucket, "open", {"open": "no"})
    refused("AccessDenied", bob.put_object_tagging, Bucket=bucket, Key="open", Tagging=ONE)
    policy(s3, bucket, statement(bucket, "s3:*Tagging", "*", effect="Deny",
                                 Condition={"StringEquals": {"s3:ExistingObjectTag/kind": "film"}}))
    refused("AccessDenied", s3.put_object_tagging, Bucket=bucket, Key="b", Tagging=ONE)
    put(s3, bucket, "plain", {"kind": "film"})
    refused("AccessDenied", s3.delete_object_tagging, Bucket=bucket, Key="plain")


def test_many_at_once(server, s3, bucket):
    """Amendments of one object and of its neighbours: none is lost, none takes another's place."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket=bucket, Key="k", Body=b"%d" % i)["VersionId"] for i in range(4)]
    failures = []

    def work(number):
        mine = tools.boto(server, daemon.ALICE)
        try:
            for turn in range(20):
                put(mine, bucket, "k", {"turn": str(turn), "who": str(number)}, VersionId=versions[number])
                if turn % 5 == number:
                    mine.put_object(Bucket=bucket, Key="k", Body=b"more")
        except ClientError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    assert not failures
    for number, version in enumerate(versions):
        assert tags_of(s3, bucket, "k", VersionId=version) == {"turn": "19", "who": str(number)}
        assert s3.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read() == b"%d" % number


def test_survive_a_kill(own):
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    s3.create_bucket(Bucket="kept")
    for i in range(20):
        s3.put_object(Bucket="kept", Key=f"k{i}", Body=b"x" * i, Tagging="n=0")
        put(s3, "kept", f"k{i}", {"n": str(i)})
    own.kill()
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    for i in range(20):
        assert tags_of(s3, "kept", f"k{i}") == {"n": str(i)}
        assert s3.get_object(Bucket="kept", Key=f"k{i}")["Body"].read() == b"x" * i


def test_awscli(folder, server, s3, bucket):
    aws = tools.Aws(folder / "home", server, daemon.ALICE)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    aws.run("s3api", "put-object-tagging", "--bucket", bucket, "--key", "k", "--tagging", json.dumps(ONE))
    told = json.loads(aws.run("s3api", "get-object-tagging", "--bucket", bucket, "--key", "k"))
    assert told["TagSet"] == ONE["TagSet"]
    aws.run("s3api", "delete-object-tagging", "--bucket", bucket, "--key", "k")
    assert tags_of(s3, bucket, "k") == {}
