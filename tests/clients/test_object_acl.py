"""Grants of single objects: canned, in headers and documents, of new objects and of those that are there; two
accounts and nobody at all."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon, raw, tools  # noqa: E402
from kit.world import KEY, watched  # noqa: E402
from lib import regions  # noqa: E402
from test_access import BOB, block, nobody, ownership, policy, refused, statement  # noqa: E402,F401
from test_auth import ago, fetch, presign  # noqa: E402

ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
ACCOUNTS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"


@pytest.fixture
def open_bucket(s3, bucket):
    """ACLs are on."""
    ownership(s3, bucket, "ObjectWriter")
    return bucket


def grants(s3, bucket, key, **more):
    """(who, permission), sorted."""
    answer = s3.get_object_acl(Bucket=bucket, Key=key, **more)
    assert answer["Owner"]["ID"] == "alice"  # all objects are the bucket's account's
    return sorted((g["Grantee"].get("ID") or g["Grantee"]["URI"], g["Permission"]) for g in answer["Grants"])


def reads(s3, bucket, key, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


OWN = [("alice", "FULL_CONTROL")]
CANNED = {"private": [], "public-read": [(ALL, "READ")], "public-read-write": [(ALL, "READ"), (ALL, "WRITE")],
          "authenticated-read": [(ACCOUNTS, "READ")], "bucket-owner-read": [], "bucket-owner-full-control": []}


@pytest.mark.parametrize("canned", CANNED)
def test_canned(s3, bob, nobody, open_bucket, canned):  # noqa: F811
    s3.put_object(Bucket=open_bucket, Key="new", Body=b"x", ACL=canned)
    s3.put_object(Bucket=open_bucket, Key="later", Body=b"x")
    s3.put_object_acl(Bucket=open_bucket, Key="later", ACL=canned)
    s3.copy_object(Bucket=open_bucket, Key="copy", CopySource=f"{open_bucket}/new", ACL=canned)
    upload = s3.create_multipart_upload(Bucket=open_bucket, Key="parts", ACL=canned)["UploadId"]
    tag = s3.upload_part(Bucket=open_bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(Bucket=open_bucket, Key="parts", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    s3.copy_object(Bucket=open_bucket, Key="bare-copy", CopySource=f"{open_bucket}/new")
    assert grants(s3, open_bucket, "bare-copy") == OWN  # no source's grants come along
    for key in ("new", "later", "copy", "parts"):
        assert grants(s3, open_bucket, key) == sorted(OWN + CANNED[canned]), key
        for who, may in ((nobody, "public" in canned), (bob, "public" in canned or "auth" in canned)):
            if may:
                assert reads(who, open_bucket, key) == b"x"
                assert who.head_object(Bucket=open_bucket, Key=key)["ContentLength"] == 1
            else:
                refused("AccessDenied", who.get_object, Bucket=open_bucket, Key=key)
            refused("AccessDenied", who.get_object_acl, Bucket=open_bucket, Key=key)
            refused("AccessDenied", who.put_object_acl, Bucket=open_bucket, Key=key, ACL="private")
            refused("AccessDenied", who.delete_object, Bucket=open_bucket, Key=key)
            refused("AccessDenied", who.put_object, Bucket=open_bucket, Key=key, Body=b"")


def test_headers_and_documents(s3, bob, nobody, open_bucket):  # noqa: F811
    s3.put_object(Bucket=open_bucket, Key="k", Body=b"x", GrantRead='id="bob"', GrantReadACP="id=bob")
    want = [("bob", "READ"), ("bob", "READ_ACP")]
    assert grants(s3, open_bucket, "k") == grants(bob, open_bucket, "k") == want
    assert reads(bob, open_bucket, "k") == b"x" == reads(s3, open_bucket, "k")
    refused("AccessDenied", nobody.get_object, Bucket=open_bucket, Key="k")
    refused("AccessDenied", bob.put_object_acl, Bucket=open_bucket, Key="k", ACL="public-read")
    s3.put_object_acl(Bucket=open_bucket, Key="k", GrantFullControl="id=bob", GrantRead=f'uri="{ALL}"')
    assert reads(nobody, open_bucket, "k") == b"x"
    answer = bob.get_object_acl(Bucket=open_bucket, Key="k")
    bob.put_object_acl(Bucket=open_bucket, Key="k", AccessControlPolicy={
        "Owner": answer["Owner"], "Grants": [g for g in answer["Grants"] if g["Grantee"].get("ID") == "bob"]})
    assert grants(s3, open_bucket, "k") == [("bob", "FULL_CONTROL")]
    refused("AccessDenied", nobody.get_object, Bucket=open_bucket, Key="k")
    refused("AccessDenied", s3.put_object_acl, Bucket=open_bucket, Key="k", AccessControlPolicy={
        "Owner": {"ID": "bob"}, "Grants": answer["Grants"]})
    refused("MalformedACLError", s3.put_object_acl, Bucket=open_bucket, Key="k", AccessControlPolicy={
        "Owner": answer["Owner"], "Grants": [{"Grantee": {"Type": "CanonicalUser", "ID": "bob"}, "Permission": "ALL"}]})
    refused("InvalidArgument", s3.put_object, Bucket=open_bucket, Key="bad", Body=b"", GrantRead="bob")
    refused("InvalidArgument", s3.put_object_acl, Bucket=open_bucket, Key="k", ACL="very-private")
    refused("InvalidRequest", s3.put_object, Bucket=open_bucket, Key="bad", Body=b"", ACL="private", GrantRead="id=bob")
    refused("NoSuchKey", s3.put_object_acl, Bucket=open_bucket, Key="absent", ACL="public-read")
    refused("AccessDenied", bob.put_object_acl, Bucket=open_bucket, Key="absent", ACL="public-read")
    s3.put_object(Bucket=open_bucket, Key="k", Body=b"another")  # a new object, and nobody's but alice's
    assert grants(s3, open_bucket, "k") == OWN
    refused("AccessDenied", bob.get_object, Bucket=open_bucket, Key="k")


def test_the_rest_of_an_object_stays(s3, open_bucket):
    body = b"b" * 3_000_000
    for key, data in (("small", b"x"), ("large", body)):
        s3.put_object(Bucket=open_bucket, Key=key, Body=data, ContentType="a/b", Metadata={"m": "1"}, Tagging="t=1")
        before = s3.head_object(Bucket=open_bucket, Key=key)
        s3.put_object_acl(Bucket=open_bucket, Key=key, ACL="public-read")
        after = s3.get_object(Bucket=open_bucket, Key=key)
        assert after["Body"].read() == data
        for name in ("ETag", "LastModified", "ContentType", "Metadata", "ContentLength"):
            assert before[name] == after[name]
        s3.put_object_tagging(Bucket=open_bucket, Key=key, Tagging={"TagSet": [{"Key": "u", "Value": "2"}]})
        assert (ALL, "READ") in grants(s3, open_bucket, key)


def test_another_writer(s3, bob, bucket):
    """Who writes into somebody else's bucket keeps full control, until that is given away."""
    ownership(s3, bucket, "BucketOwnerPreferred")
    s3.put_bucket_acl(Bucket=bucket, GrantWrite="id=bob", GrantFullControl="id=alice")
    bob.put_object(Bucket=bucket, Key="kept", Body=b"k")
    bob.put_object(Bucket=bucket, Key="given", Body=b"g", ACL="bucket-owner-full-control")
    bob.put_object(Bucket=bucket, Key="shown", Body=b"s", ACL="public-read")
    assert grants(bob, bucket, "kept") == [("bob", "FULL_CONTROL")]
    assert grants(s3, bucket, "given") == OWN
    assert reads(bob, bucket, "kept") == reads(s3, bucket, "kept") == b"k"
    refused("AccessDenied", bob.get_object, Bucket=bucket, Key="given")
    assert (ALL, "READ") in grants(bob, bucket, "shown")
    ownership(s3, bucket, "ObjectWriter")
    bob.put_object(Bucket=bucket, Key="both", Body=b"b", ACL="bucket-owner-full-control")
    assert grants(bob, bucket, "both") == sorted(OWN + [("bob", "FULL_CONTROL")])


def test_copies_of_what_an_acl_opens(s3, bob, server, open_bucket):
    theirs = f"{open_bucket}-bob"
    bob.create_bucket(Bucket=theirs)
    s3.put_object(Bucket=open_bucket, Key="shown", Body=b"s", GrantRead="id=bob")
    s3.put_object(Bucket=open_bucket, Key="hidden", Body=b"h")
    bob.copy_object(Bucket=theirs, Key="k", CopySource=f"{open_bucket}/shown")
    assert reads(bob, theirs, "k") == b"s"
    for key in ("hidden", "absent"):
        refused("AccessDenied", bob.copy_object, Bucket=theirs, Key="k", CopySource=f"{open_bucket}/{key}")
    refused("AccessDenied", s3.get_object, Bucket=theirs, Key="k")
    upload = bob.create_multipart_upload(Bucket=theirs, Key="m")["UploadId"]
    part = {"Bucket": theirs, "Key": "m", "UploadId": upload, "PartNumber": 1}
    bob.upload_part_copy(**part, CopySource=f"{open_bucket}/shown")
    refused("AccessDenied", bob.upload_part_copy, **part, CopySource=f"{open_bucket}/hidden")


def test_a_policy_may_forbid_grants(s3, bob, bucket):
    """To set them with a new object is s3:PutObjectAcl, too; what says nothing is not."""
    ownership(s3, bucket, "ObjectWriter")
    policy(s3, bucket, statement(bucket, "s3:PutObject", BOB),
           statement(bucket, ["s3:PutObjectAcl", "s3:PutObjectVersionAcl"], "*", "Deny", "locked/*"))
    for who in (s3, bob):
        refused("AccessDenied", who.put_object, Bucket=bucket, Key="locked/a", Body=b"", ACL="public-read")
        refused("AccessDenied", who.create_multipart_upload, Bucket=bucket, Key="locked/a", GrantRead="id=bob")
        who.put_object(Bucket=bucket, Key="locked/a", Body=b"", ACL="private")
        refused("AccessDenied", who.put_object_acl, Bucket=bucket, Key="locked/a", ACL="public-read")
        refused("AccessDenied", who.copy_object, Bucket=bucket, Key="locked/b", CopySource=f"{bucket}/locked/a",
                ACL="public-read")
        who.put_object(Bucket=bucket, Key=f"free/{id(who)}", Body=b"", ACL="public-read")
    policy(s3, bucket, statement(bucket, "s3:PutObjectAcl", BOB))
    s3.put_object(Bucket=bucket, Key="by-policy", Body=b"")
    bob.put_object_acl(Bucket=bucket, Key="by-policy", ACL="public-read")


def test_ownership_and_block(s3, bob, nobody, open_bucket):  # noqa: F811
    s3.put_object(Bucket=open_bucket, Key="k", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=open_bucket, Key="bobs", Body=b"y", GrantRead="id=bob")
    block(s3, open_bucket, IgnorePublicAcls=True)
    refused("AccessDenied", nobody.get_object, Bucket=open_bucket, Key="k")
    assert reads(bob, open_bucket, "bobs") == b"y"
    block(s3, open_bucket, BlockPublicAcls=True)
    assert reads(nobody, open_bucket, "k") == b"x"
    refused("AccessDenied", s3.put_object_acl, Bucket=open_bucket, Key="k", ACL="public-read")
    refused("AccessDenied", s3.put_object, Bucket=open_bucket, Key="n", Body=b"", ACL="authenticated-read")
    s3.put_object_acl(Bucket=open_bucket, Key="bobs", GrantRead="id=bob")
    s3.delete_public_access_block(Bucket=open_bucket)
    ownership(s3, open_bucket, "BucketOwnerEnforced")  # off: they count for nothing, and are there again later
    refused("AccessDenied", nobody.get_object, Bucket=open_bucket, Key="k")
    assert grants(s3, open_bucket, "k") == OWN
    refused("AccessControlListNotSupported", s3.put_object_acl, Bucket=open_bucket, Key="k", ACL="public-read")
    s3.put_object_acl(Bucket=open_bucket, Key="k", ACL="bucket-owner-full-control")
    ownership(s3, open_bucket, "BucketOwnerPreferred")
    assert reads(nobody, open_bucket, "k") == b"x"


def test_versions(s3, bob, nobody, open_bucket):  # noqa: F811
    s3.put_bucket_versioning(Bucket=open_bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=open_bucket, Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=open_bucket, Key="k", Body=b"2", ACL="public-read")["VersionId"]
    assert (grants(s3, open_bucket, "k", VersionId=first), len(grants(s3, open_bucket, "k"))) == (OWN, 2)
    refused("AccessDenied", nobody.get_object, Bucket=open_bucket, Key="k", VersionId=first)
    assert reads(nobody, open_bucket, "k", VersionId=second) == b"2"
    s3.put_object_acl(Bucket=open_bucket, Key="k", VersionId=first, GrantRead="id=bob")
    assert reads(bob, open_bucket, "k", VersionId=first) == b"1"
    refused("AccessDenied", nobody.get_object, Bucket=open_bucket, Key="k", VersionId=first)
    marker = s3.delete_object(Bucket=open_bucket, Key="k")["VersionId"]
    for call in (s3.get_object_acl, s3.put_object_acl):
        more = {"ACL": "private"} if call == s3.put_object_acl else {}  # pylint: disable=comparison-with-callable
        refused("MethodNotAllowed", call, Bucket=open_bucket, Key="k", VersionId=marker, **more)
        refused("NoSuchKey", call, Bucket=open_bucket, Key="k", **more)


def test_presigned_with_an_acl(s3, nobody, server, open_bucket):  # noqa: F811
    url = s3.generate_presigned_url("put_object", Params={"Bucket": open_bucket, "Key": "p", "ACL": "public-read"})
    with raw.Connection(server) as connection:
        connection.send(raw.head("PUT", url.split(f":{server.port}", 1)[1],
                                 {"Host": f"{server.host}:{server.port}", "Content-Length": "1",
                                  "x-amz-acl": "public-read"}) + b"x")
        assert connection.answer("PUT").status == 200
    assert reads(nobody, open_bucket, "p") == b"x"


def test_headers_that_a_presigner_moved(s3, bob, server, open_bucket):
    """A header in the query counts as one: for policies, and for all that it grants."""
    policy(s3, open_bucket, statement(open_bucket, "s3:PutObject*", BOB),
           statement(open_bucket, "s3:PutObject", "*", "Deny", "acl/*",
                     Condition={"StringEquals": {"s3:x-amz-acl": "public-read"}}),
           statement(open_bucket, "s3:PutObject", "*", "Deny", "grant/*",
                     Condition={"Null": {"s3:x-amz-grant-read": "false"}}))
    for key, name, value in (("acl/k", "x-amz-acl", "public-read"), ("grant/k", "X-Amz-Grant-Read", f'uri="{ALL}"')):
        url = presign(server, daemon.BOB, ago(0), 600, f"/{open_bucket}/{key}", "PUT", [(name, value)])
        answer = fetch(url, "PUT", b"x")
        assert (answer.status, answer.code) == (403, "AccessDenied")
        refused("NoSuchKey", s3.get_object, Bucket=open_bucket, Key=key)
        url = presign(server, daemon.BOB, ago(0), 600, f"/{open_bucket}/free/{key}", "PUT", [(name, value)])
        assert fetch(url, "PUT", b"x").status == 200
        assert (ALL, "READ") in grants(bob, open_bucket, f"free/{key}")


# ---- between regions --------------------------------------------------------------------------------------

RULES = """  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""


def test_grants_move_with_their_person():
    with watched("object-acl", RULES, "phones") as world:
        world.register("asha", "IN", at="cn")
        s3 = {name: tools.boto(world.gateway[name], KEY) for name in world.names}

        def public(name, key):
            with raw.Connection(world.gateway[name]) as connection:
                gateway = world.gateway[name]
                connection.send(raw.head("GET", f"/phones/{key}", {"Host": f"{gateway.host}:{gateway.port}"}))
                return connection.answer().status
        ownership(s3["in"], "phones", "ObjectWriter")
        s3["us"].put_object(Bucket="phones", Key="asha/open", Body=b"o", ACL="public-read")
        s3["us"].put_object(Bucket="phones", Key="asha/closed", Body=b"c")
        for where in ("cn", "sg"):
            for name in world.names:
                assert (public(name, "asha/open"), public(name, "asha/closed")) == (200, 403), (where, name)
                shown = s3[name].get_object_acl(Bucket="phones", Key="asha/open")["Grants"]
                assert {"URI": ALL, "Type": "Group"} in [each["Grantee"] for each in shown]
            if where == "cn":
                world.at("cn", "move", "--subject", "asha", "--tenant", regions.TENANT, "--to", "sg")
        s3["cn"].put_object_acl(Bucket="phones", Key="asha/open", ACL="private")
        s3["cn"].put_object_acl(Bucket="phones", Key="asha/closed", ACL="public-read")
        assert {(public(name, "asha/open"), public(name, "asha/closed")) for name in world.names} == {(403, 200)}
