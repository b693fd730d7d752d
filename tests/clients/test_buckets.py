"""The life of a bucket, and who may touch it."""
import pytest
from botocore.exceptions import ClientError

from kit import daemon, raw, tools


def code(failure):
    return failure.value.response["Error"]["Code"], failure.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_life(s3, bucket):
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError) as failure:
        s3.create_bucket(Bucket=bucket)
    assert code(failure) == ("BucketAlreadyOwnedByYou", 409)
    s3.put_object(Bucket=bucket, Key="one", Body=b"1")
    with pytest.raises(ClientError) as failure:
        s3.delete_bucket(Bucket=bucket)
    assert code(failure) == ("BucketNotEmpty", 409)
    assert s3.get_object(Bucket=bucket, Key="one")["Body"].read() == b"1"
    s3.put_object(Bucket=bucket, Key="two", Body=b"2")  # a refused deletion leaves a bucket that works
    for key in ("one", "two"):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)
    assert bucket not in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    for call in (s3.head_bucket, s3.delete_bucket, s3.list_objects_v2, s3.list_objects, s3.get_bucket_location,
                 s3.list_multipart_uploads):
        with pytest.raises(ClientError) as failure:
            call(Bucket=bucket)
        assert code(failure) == ("404" if call == s3.head_bucket else "NoSuchBucket", 404)
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket=bucket, Key="x", Body=b"")
    assert code(failure) == ("NoSuchBucket", 404)


def test_made_again_it_is_empty(s3, bucket):
    s3.put_object(Bucket=bucket, Key="old", Body=b"old")
    s3.delete_object(Bucket=bucket, Key="old")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.put_object(Bucket=bucket, Key="new", Body=b"new")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["new"]


def test_upload_in_progress_keeps_it(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    with pytest.raises(ClientError) as failure:
        s3.delete_bucket(Bucket=bucket)
    assert code(failure) == ("BucketNotEmpty", 409)
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("name", ["ab", "A-b", "Upper", "under_score", "a..b", "192.168.1.1", "-abc", "abc-", ".abc",
                                  "abc.", "x" * 64, "xn--abc", "a.-b", "a-.b", "sthree-x", "name-s3alias"])
def test_bad_names(http, name):
    answer = http.request("PUT", f"/{name}")
    assert (answer.status, answer.code) == (400, "InvalidBucketName")


@pytest.mark.parametrize("name", ["abc", "1ab", "a.b-c", "x" * 63, "a1.b2.c3"])
def test_good_names(http, name):
    answer = http.request("PUT", f"/{name}")
    assert answer.status == 200 and answer["location"] == f"/{name}"
    assert http.request("HEAD", f"/{name}").status == 200
    assert http.request("DELETE", f"/{name}").status == 204


def test_listed_in_order_with_dates_and_owner(server):
    carol = daemon.Key("ALICEKEY2", daemon.ALICE2.secret, "alice")
    s3 = tools.boto(server, carol)  # the second key of the account sees the same buckets
    answer = s3.list_buckets()
    names = [b["Name"] for b in answer["Buckets"]]
    assert names == sorted(names)
    assert all(b["CreationDate"].year >= 2024 for b in answer["Buckets"])
    assert answer["Owner"]["ID"] == "alice"


def test_properties(s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "in"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    grants = s3.get_bucket_acl(Bucket=bucket)
    assert grants["Owner"]["ID"] == "alice" and grants["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "in"


def test_location_constraint(s3, http):
    s3.create_bucket(Bucket="constrained", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.delete_bucket(Bucket="constrained")
    answer = http.request("PUT", "/constrained", body=b"<nonsense")
    assert (answer.status, answer.code) == (400, "MalformedXML")
    answer = http.request("PUT", "/constrained", headers={"x-domicile-region": "nowhere"}, add=["x-domicile-region"])
    assert (answer.status, answer.code) == (400, "IllegalLocationConstraintException")
    assert http.request("HEAD", "/constrained").status == 404


def test_of_another_account(s3, bob, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"alice's")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="u")["UploadId"]
    bob.create_bucket(Bucket=f"{bucket}-bob")
    source = {"Bucket": bucket, "Key": "k"}
    with pytest.raises(ClientError) as failure:
        bob.create_bucket(Bucket=bucket)
    assert code(failure) == ("BucketAlreadyExists", 409)
    calls = [
        lambda: bob.list_objects_v2(Bucket=bucket), lambda: bob.list_objects(Bucket=bucket),
        lambda: bob.get_bucket_location(Bucket=bucket), lambda: bob.get_bucket_acl(Bucket=bucket),
        lambda: bob.get_bucket_versioning(Bucket=bucket), lambda: bob.delete_bucket(Bucket=bucket),
        lambda: bob.list_multipart_uploads(Bucket=bucket), lambda: bob.get_object(Bucket=bucket, Key="k"),
        lambda: bob.get_object(Bucket=bucket, Key="not-there"), lambda: bob.put_object(Bucket=bucket, Key="k", Body=b"b"),
        lambda: bob.delete_object(Bucket=bucket, Key="k"), lambda: bob.get_object_acl(Bucket=bucket, Key="k"),
        lambda: bob.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]}),
        lambda: bob.copy_object(Bucket=f"{bucket}-bob", Key="stolen", CopySource=source),
        lambda: bob.create_multipart_upload(Bucket=bucket, Key="k"),
        lambda: bob.upload_part(Bucket=bucket, Key="u", UploadId=upload, PartNumber=1, Body=b"p"),
        lambda: bob.list_parts(Bucket=bucket, Key="u", UploadId=upload),
        lambda: bob.abort_multipart_upload(Bucket=bucket, Key="u", UploadId=upload),
        lambda: bob.complete_multipart_upload(Bucket=bucket, Key="u", UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": 1, "ETag": raw.md5(b"p")}]}),
    ]
    for call in calls:
        with pytest.raises(ClientError) as failure:
            call()
        assert code(failure) == ("AccessDenied", 403)
    for call in (lambda: bob.head_object(Bucket=bucket, Key="k"), lambda: bob.head_bucket(Bucket=bucket)):
        with pytest.raises(ClientError) as failure:
            call()
        assert code(failure)[1] == 403
    assert bucket not in [b["Name"] for b in bob.list_buckets()["Buckets"]]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"alice's"
    assert "Contents" not in bob.list_objects_v2(Bucket=f"{bucket}-bob")
    upload_bob = bob.create_multipart_upload(Bucket=f"{bucket}-bob", Key="u")["UploadId"]
    with pytest.raises(ClientError) as failure:
        bob.upload_part_copy(Bucket=f"{bucket}-bob", Key="u", UploadId=upload_bob, PartNumber=1, CopySource=source)
    assert code(failure) == ("AccessDenied", 403)


def test_expected_owner(http, bucket):
    assert http.request("GET", f"/{bucket}", headers={"x-amz-expected-bucket-owner": "alice"}).status == 200
    answer = http.request("GET", f"/{bucket}", headers={"x-amz-expected-bucket-owner": "bob"})
    assert (answer.status, answer.code) == (403, "AccessDenied")
