"""Who may do what: two accounts, nobody at all, policies, ACLs, ownership, the public access block."""
import datetime
import json
import time
import urllib.parse

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from kit import daemon, raw, tools
from test_auth import fetch


@pytest.fixture
def nobody(server):
    """boto3 without any credential."""
    return boto3.session.Session().client("s3", endpoint_url=server.url, region_name="test-1",
                                          config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0},
                                                        s3={"addressing_style": "path"}))


def refused(code, call, **arguments):
    with pytest.raises(ClientError) as failure:
        call(**arguments)
    assert failure.value.response["Error"]["Code"] == code, failure.value.response
    return failure.value.response["Error"]["Message"]


def statement(bucket, action, principal="*", effect="Allow", below="*", **more):
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{below}"]
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": resources, **more}


def policy(s3, bucket, *statements):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    return text


BOB = {"AWS": "arn:aws:iam::bob:root"}


def test_another_account_needs_a_grant(s3, bob, nobody, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for each in (bob, nobody):
        refused("AccessDenied", each.get_object, Bucket=bucket, Key="k")
        refused("AccessDenied", each.get_object, Bucket=bucket, Key="absent")
        refused("AccessDenied", each.put_object, Bucket=bucket, Key="k", Body=b"y")
        refused("AccessDenied", each.delete_object, Bucket=bucket, Key="k")
        refused("AccessDenied", each.list_objects_v2, Bucket=bucket)
        refused("AccessDenied", each.get_bucket_location, Bucket=bucket)
        refused("AccessDenied", each.delete_bucket, Bucket=bucket)
        refused("AccessDenied", each.create_multipart_upload, Bucket=bucket, Key="m")
        refused("AccessDenied", each.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
        refused("AccessDenied", each.put_bucket_policy, Bucket=bucket, Policy="{}")
        refused("AccessDenied", each.get_bucket_policy, Bucket=bucket)
        refused("AccessDenied", each.put_bucket_acl, Bucket=bucket, ACL="private")
        refused("NoSuchBucket", each.get_object, Bucket="no-such-bucket", Key="k")
    refused("AccessDenied", nobody.list_buckets)
    refused("AccessDenied", nobody.create_bucket, Bucket="nobodys-bucket")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_policy_lets_another_account_in(s3, bob, nobody, bucket):
    s3.put_object(Bucket=bucket, Key="open/k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="shut/k", Body=b"x")
    text = policy(s3, bucket, statement(bucket, ["s3:GetObject"], BOB, below="open/*",
                                        Resource=f"arn:aws:s3:::{bucket}/open/*"))
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert bob.get_object(Bucket=bucket, Key="open/k")["Body"].read() == b"x"
    bob.head_object(Bucket=bucket, Key="open/k")
    refused("AccessDenied", bob.get_object, Bucket=bucket, Key="shut/k")
    refused("AccessDenied", bob.put_object, Bucket=bucket, Key="open/k", Body=b"y")
    refused("AccessDenied", bob.get_object, Bucket=bucket, Key="open/absent")  # who may not list is not told
    refused("AccessDenied", nobody.get_object, Bucket=bucket, Key="open/k")
    policy(s3, bucket, statement(bucket, ["s3:GetObject", "s3:ListBucket"], BOB))
    refused("NoSuchKey", bob.get_object, Bucket=bucket, Key="absent")
    s3.delete_bucket_policy(Bucket=bucket)
    refused("AccessDenied", bob.get_object, Bucket=bucket, Key="open/k")
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)


def test_anonymous_only_by_policy(s3, server, nobody, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    policy(s3, bucket, statement(bucket, "s3:GetObject", Resource=f"arn:aws:s3:::{bucket}/*"))
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert fetch(f"{server.url}/{bucket}/k").body == b"x"
    answer = fetch(f"{server.url}/{bucket}/k?response-content-type=text/html")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    refused("AccessDenied", nobody.put_object, Bucket=bucket, Key="k", Body=b"y")
    refused("AccessDenied", nobody.list_objects_v2, Bucket=bucket)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    policy(s3, bucket, statement(bucket, ["s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]))
    nobody.put_object(Bucket=bucket, Key="n", Body=b"of nobody")
    assert [o["Key"] for o in nobody.list_objects_v2(Bucket=bucket)["Contents"]] == ["k", "n"]
    nobody.delete_object(Bucket=bucket, Key="k")
    refused("AccessDenied", nobody.get_object, Bucket=bucket, Key="n")
    assert s3.get_object(Bucket=bucket, Key="n")["Body"].read() == b"of nobody"


def test_deny_comes_first(s3, bob, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    policy(s3, bucket, statement(bucket, "s3:*", BOB),
           statement(bucket, "s3:DeleteObject", effect="Deny", Sid="keep"))
    bob.put_object(Bucket=bucket, Key="b", Body=b"y")
    for each in (s3, bob):
        message = refused("AccessDenied", each.delete_object, Bucket=bucket, Key="k")
        assert "keep" not in message
    policy(s3, bucket, statement(bucket, "s3:*", effect="Deny"))
    refused("AccessDenied", s3.get_object, Bucket=bucket, Key="k")
    refused("AccessDenied", s3.delete_bucket, Bucket=bucket)
    s3.get_bucket_policy(Bucket=bucket)  # no owner is locked out of the lock itself
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_only_the_own_account_has_the_policy(s3, bob, bucket):
    policy(s3, bucket, statement(bucket, "s3:*", BOB))
    refused("MethodNotAllowed", bob.get_bucket_policy, Bucket=bucket)
    refused("MethodNotAllowed", bob.put_bucket_policy, Bucket=bucket, Policy="{}")
    refused("MethodNotAllowed", bob.delete_bucket_policy, Bucket=bucket)
    assert bob.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False


def test_keys_of_one_account_are_told_apart(server, s3, bucket):
    second = tools.boto(server, daemon.ALICE2)
    policy(s3, bucket, statement(bucket, "s3:PutObject", {"AWS": "arn:aws:iam::alice:user/ALICEKEY2"}, "Deny"))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    refused("AccessDenied", second.put_object, Bucket=bucket, Key="k", Body=b"y")
    assert second.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_delete_objects_key_by_key(s3, bob, bucket):
    for key in ("a/1", "b/1", "a/2"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    policy(s3, bucket, statement(bucket, "s3:DeleteObject", BOB, Resource=f"arn:aws:s3:::{bucket}/a/*"))
    answer = bob.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in ("a/1", "b/1", "a/2")]})
    assert [d["Key"] for d in answer["Deleted"]] == ["a/1", "a/2"]
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("b/1", "AccessDenied")]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b/1"]


def test_copy_needs_both(s3, bob, bucket):
    own = f"{bucket}-of-bob"
    bob.create_bucket(Bucket=own)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    source = {"Bucket": bucket, "Key": "k"}
    refused("AccessDenied", bob.copy_object, Bucket=own, Key="c", CopySource=source)
    policy(s3, bucket, statement(bucket, "s3:PutObject", BOB))
    refused("AccessDenied", bob.copy_object, Bucket=own, Key="c", CopySource=source)
    policy(s3, bucket, statement(bucket, "s3:GetObject", BOB, Resource=f"arn:aws:s3:::{bucket}/*"))
    bob.copy_object(Bucket=own, Key="c", CopySource=source)
    assert bob.get_object(Bucket=own, Key="c")["Body"].read() == b"x"
    refused("AccessDenied", bob.copy_object, Bucket=bucket, Key="c", CopySource={"Bucket": own, "Key": "c"})
    refused("AccessDenied", s3.copy_object, Bucket=bucket, Key="c", CopySource={"Bucket": own, "Key": "c"})


def test_multipart_by_another_account(s3, bob, bucket):
    policy(s3, bucket, statement(bucket, ["s3:PutObject", "s3:AbortMultipartUpload",
                                          "s3:ListMultipartUploadParts"], BOB))
    upload = bob.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    tag = bob.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x" * 100)["ETag"]
    assert len(bob.list_parts(Bucket=bucket, Key="m", UploadId=upload)["Parts"]) == 1
    refused("AccessDenied", bob.list_multipart_uploads, Bucket=bucket)
    bob.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload,
                                  MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == b"x" * 100


def test_presigned_by_another_account(s3, bob, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = bob.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert (fetch(url).status, fetch(url).code) == (403, "AccessDenied")
    policy(s3, bucket, statement(bucket, "s3:GetObject", BOB, Resource=f"arn:aws:s3:::{bucket}/*"))
    assert fetch(url).body == b"x"
    policy(s3, bucket, statement(bucket, "s3:GetObject", BOB, Resource=f"arn:aws:s3:::{bucket}/*"),
           statement(bucket, "s3:*", effect="Deny",
                     Condition={"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}))
    assert (fetch(url).status, fetch(url).code) == (403, "AccessDenied")
    assert bob.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_conditions(s3, nobody, bob, bucket):
    s3.put_object(Bucket=bucket, Key="home/BOBKEY/k", Body=b"x")
    listing = statement(bucket, "s3:ListBucket", BOB, Condition={
        "StringLike": {"s3:prefix": "home/${aws:username}/*"}, "NumericLessThanEquals": {"s3:max-keys": 10},
        "IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "Bool": {"aws:SecureTransport": False}})
    policy(s3, bucket, listing)
    assert bob.list_objects_v2(Bucket=bucket, Prefix="home/BOBKEY/", MaxKeys=10)["KeyCount"] == 1
    refused("AccessDenied", bob.list_objects_v2, Bucket=bucket, Prefix="home/ALICEKEY/", MaxKeys=10)
    refused("AccessDenied", bob.list_objects_v2, Bucket=bucket, Prefix="home/BOBKEY/", MaxKeys=11)
    refused("AccessDenied", bob.list_objects_v2, Bucket=bucket, Prefix="home/BOBKEY/")
    refused("AccessDenied", bob.list_objects_v2, Bucket=bucket)
    past = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    get = dict(action="s3:GetObject", Resource=f"arn:aws:s3:::{bucket}/*")
    for condition, allowed in ((("DateGreaterThan", "aws:CurrentTime", past), True),
                               (("DateLessThan", "aws:CurrentTime", past), False),
                               (("IpAddress", "aws:SourceIp", "192.0.2.0/24"), False),
                               (("NotIpAddress", "aws:SourceIp", "192.0.2.0/24"), True),
                               (("StringLike", "aws:UserAgent", "*Boto*"), True),
                               (("StringLike", "aws:UserAgent", "curl*"), False),
                               (("Null", "aws:Referer", "true"), True),
                               (("NumericLessThan", "s3:TlsVersion", "1.2"), False),
                               (("StringEquals", "s3:ExistingObjectTag/a", "b"), False)):
        operator, key, value = condition
        policy(s3, bucket, statement(bucket, Condition={operator: {key: value}}, **get))
        if allowed:
            nobody.get_object(Bucket=bucket, Key="home/BOBKEY/k")
        else:
            refused("AccessDenied", nobody.get_object, Bucket=bucket, Key="home/BOBKEY/k")


def test_put_conditions(s3, bob, bucket):
    policy(s3, bucket, statement(bucket, "s3:PutObject", BOB, Resource=f"arn:aws:s3:::{bucket}/*"),
           statement(bucket, "s3:PutObject", "*", "Deny", Resource=f"arn:aws:s3:::{bucket}/*",
                     Condition={"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}))
    for each in (s3, bob):
        refused("AccessDenied", each.put_object, Bucket=bucket, Key="k", Body=b"x")
        each.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")


@pytest.mark.parametrize("text, says", [
    ("", "invalid Json"),
    ("{}", "Statement"),
    ('{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}]}',
     "Statement[0]: Policy has invalid resource"),
    ('{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:Get0bject","Resource":"*"}]}', "s3:Get0bject"),
    ('{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*",'
     '"Condition":{"StringEquals":{"aws:SourceVpce":"v"}}}]}', "Statement[0].Condition: Policy has an invalid"),
    ('{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Extra":1}]}', "Extra"),
])
def test_policies_refused(s3, bucket, http, text, says):
    answer = http.request("PUT", f"/{bucket}", [("policy", "")], body=text.encode())
    assert (answer.status, answer.code) == (400, "MalformedPolicy")
    assert says in answer.xml().findtext(".//Message")
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)


def test_policy_is_bounded(s3, bucket):
    refused("MaxMessageLengthExceeded", s3.put_bucket_policy, Bucket=bucket, Policy=" " * (20 * 1024 + 1))


def test_policy_outlives_a_restart(own):
    own.start()
    s3, bob = tools.boto(own, daemon.ALICE), tools.boto(own, daemon.BOB)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"x")
    policy(s3, "kept", statement("kept", "s3:GetObject", BOB, Resource="arn:aws:s3:::kept/*"),
           statement("kept", "s3:DeleteObject", effect="Deny", Sid="for the owner to read"))
    own.stop()
    own.start()
    s3, bob = tools.boto(own, daemon.ALICE), tools.boto(own, daemon.BOB)
    assert bob.get_object(Bucket="kept", Key="k")["Body"].read() == b"x"
    refused("AccessDenied", bob.delete_object, Bucket="kept", Key="k")
    log = own.log()
    assert "for the owner to read" in log and "s3:DeleteObject" in log


def test_acls_are_off_by_default(s3, bucket):
    for acl in ("private", "bucket-owner-full-control"):
        s3.put_bucket_acl(Bucket=bucket, ACL=acl)
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL=acl)
        s3.put_object_acl(Bucket=bucket, Key="k", ACL=acl)
    for acl in ("public-read", "public-read-write", "authenticated-read"):
        refused("AccessControlListNotSupported", s3.put_bucket_acl, Bucket=bucket, ACL=acl)
        refused("AccessControlListNotSupported", s3.put_object, Bucket=bucket, Key="k", Body=b"y", ACL=acl)
        refused("AccessControlListNotSupported", s3.put_object_acl, Bucket=bucket, Key="k", ACL=acl)
        refused("AccessControlListNotSupported", s3.create_multipart_upload, Bucket=bucket, Key="k", ACL=acl)
    refused("AccessControlListNotSupported", s3.put_object, Bucket=bucket, Key="k", Body=b"y", GrantRead="id=bob")
    refused("InvalidBucketAclWithObjectOwnership", s3.create_bucket, Bucket=f"{bucket}-p", ACL="public-read")
    grants = s3.get_bucket_acl(Bucket=bucket)
    assert [(g["Grantee"]["ID"], g["Permission"]) for g in grants["Grants"]] == [("alice", "FULL_CONTROL")]
    refused("OwnershipControlsNotFoundError", s3.get_bucket_ownership_controls, Bucket=bucket)


def ownership(s3, bucket, name):
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": name}]})


def test_bucket_acls(s3, bob, nobody, bucket):
    ownership(s3, bucket, "BucketOwnerPreferred")
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerPreferred"}]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert nobody.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    refused("AccessDenied", nobody.get_object, Bucket=bucket, Key="k")
    refused("AccessDenied", nobody.put_object, Bucket=bucket, Key="n", Body=b"")
    assert {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"} in [
        g["Grantee"] for g in s3.get_bucket_acl(Bucket=bucket)["Grants"]]
    s3.put_bucket_acl(Bucket=bucket, GrantWrite="id=bob", GrantFullControl="id=alice")
    bob.put_object(Bucket=bucket, Key="b", Body=b"y")
    refused("AccessDenied", bob.list_objects_v2, Bucket=bucket)
    refused("AccessDenied", nobody.list_objects_v2, Bucket=bucket)
    document = s3.get_bucket_acl(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy={"Grants": document["Grants"], "Owner": document["Owner"]})
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"] == document["Grants"]
    refused("InvalidBucketAclWithObjectOwnership", ownership, s3=s3, bucket=bucket, name="BucketOwnerEnforced")
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    ownership(s3, bucket, "BucketOwnerEnforced")
    s3.delete_bucket_ownership_controls(Bucket=bucket)


def test_new_bucket_with_ownership_and_acl(s3, nobody, bucket):
    name = f"{bucket}-new"
    s3.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter", ACL="public-read")
    assert nobody.list_objects_v2(Bucket=name)["KeyCount"] == 0
    assert s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "ObjectWriter"}]


def block(s3, bucket, **on):
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket,
                               PublicAccessBlockConfiguration={n: on.get(n, False) for n in names})


def test_public_access_block(s3, bob, nobody, bucket):
    refused("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block, Bucket=bucket)
    ownership(s3, bucket, "ObjectWriter")
    block(s3, bucket, BlockPublicAcls=True, BlockPublicPolicy=True)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False}
    refused("AccessDenied", s3.put_bucket_acl, Bucket=bucket, ACL="public-read")
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="k", Body=b"", ACL="public-read")
    everybody = statement(bucket, ["s3:GetObject", "s3:ListBucket"])
    with pytest.raises(ClientError) as failure:
        policy(s3, bucket, everybody)
    assert failure.value.response["Error"]["Code"] == "AccessDenied"
    policy(s3, bucket, statement(bucket, ["s3:GetObject", "s3:ListBucket"], BOB))
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    nobody.list_objects_v2(Bucket=bucket)
    block(s3, bucket, IgnorePublicAcls=True)
    refused("AccessDenied", nobody.list_objects_v2, Bucket=bucket)
    policy(s3, bucket, everybody)
    nobody.list_objects_v2(Bucket=bucket)
    bob.list_objects_v2(Bucket=bucket)
    block(s3, bucket, IgnorePublicAcls=True, RestrictPublicBuckets=True)
    for each in (nobody, bob):
        refused("AccessDenied", each.list_objects_v2, Bucket=bucket)
    s3.list_objects_v2(Bucket=bucket)


def test_expected_owner_is_the_buckets(s3, bob, bucket):
    policy(s3, bucket, statement(bucket, "s3:ListBucket", BOB))
    bob.list_objects_v2(Bucket=bucket, ExpectedBucketOwner="alice")
    refused("AccessDenied", bob.list_objects_v2, Bucket=bucket, ExpectedBucketOwner="bob")


def test_old_signatures_are_refused(server, bucket):
    answer = fetch(f"{server.url}/{bucket}/k", headers={"Authorization": "AWS ALICEKEY:c2lnbmF0dXJl",
                                                        "Date": raw.http_date()})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert "AWS4-HMAC-SHA256" in answer.xml().findtext(".//Message")
    query = urllib.parse.urlencode({"AWSAccessKeyId": "ALICEKEY", "Expires": int(time.time()) + 60, "Signature": "x"})
    answer = fetch(f"{server.url}/{bucket}/k?{query}")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
