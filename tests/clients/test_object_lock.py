"""Object lock with boto3 and awscli: buckets, retention and legal hold of versions, defaults, what they keep from being
removed, who may bypass governance, and what policies make of it."""
import datetime
import itertools
import json

import pytest

import test_post
from kit import daemon, raw, tools
from test_access import BOB, policy, refused, statement

NUMBERS = itertools.count(1)
DAY = datetime.timedelta(days=1)


def ahead(**how):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**how)).replace(microsecond=0)


def retention(mode, until):
    return {"Mode": mode, "RetainUntilDate": until}


@pytest.fixture
def locked(s3):
    name = f"locked-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def put(s3, bucket, key="k", body=b"x", **more):
    return {"Bucket": bucket, "Key": key, "VersionId": s3.put_object(Bucket=bucket, Key=key, Body=body, **more)["VersionId"]}


def held_by(s3, version):
    answer = s3.head_object(**version)
    return answer.get("ObjectLockMode"), answer.get("ObjectLockRetainUntilDate"), answer.get("ObjectLockLegalHoldStatus")


def default(mode=None, **period):
    rule = {"Rule": {"DefaultRetention": {"Mode": mode, **period}}} if mode else {}
    return {"ObjectLockEnabled": "Enabled", **rule}


def test_bucket(s3, bucket, locked):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == default()
    refused("InvalidBucketState", s3.put_bucket_versioning, Bucket=locked, VersioningConfiguration={"Status": "Suspended"})
    for config in (default("GOVERNANCE", Days=3), default("COMPLIANCE", Years=2), default()):
        s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=config)
        assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == config
    for wrong in (default("GOVERNANCE"), default("GOVERNANCE", Days=1, Years=1), default("SOMETIMES", Days=1)):
        refused("MalformedXML", s3.put_object_lock_configuration, Bucket=locked, ObjectLockConfiguration=wrong)
    refused("InvalidArgument", s3.put_object_lock_configuration, Bucket=locked,
            ObjectLockConfiguration=default("GOVERNANCE", Days=0))
    # A bucket made without it gets it once versions are kept.
    refused("ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration, Bucket=bucket)
    refused("InvalidBucketState", s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=default())
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=default())
    refused("InvalidBucketState", s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def test_without_lock_nothing_is_locked(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**where, Body=b"x")
    until = ahead(days=1)
    for call, more in [(s3.get_object_retention, {}), (s3.get_object_legal_hold, {}),
                       (s3.put_object_retention, {"Retention": retention("GOVERNANCE", until)}),
                       (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
                       (s3.put_object, {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}),
                       (s3.put_object, {"ObjectLockLegalHoldStatus": "ON"}),
                       (s3.create_multipart_upload, {"ObjectLockLegalHoldStatus": "ON"})]:
        refused("InvalidRequest", call, **where, **more)
    s3.delete_object(**where)


@pytest.mark.parametrize("size", [0, 10, 3 << 20])
def test_what_is_retained_stays(s3, locked, size):
    until = ahead(days=1)
    version = put(s3, locked, body=b"l" * size, Metadata={"m": "1"}, Tagging="t=1",
                  ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="OFF")
    assert held_by(s3, version) == ("COMPLIANCE", until, "OFF")
    assert s3.get_object_retention(**version)["Retention"] == retention("COMPLIANCE", until)
    assert s3.get_object_legal_hold(**version)["LegalHold"] == {"Status": "OFF"}
    for more in ({}, {"BypassGovernanceRetention": True}):
        assert "object lock" in refused("AccessDenied", s3.delete_object, **version, **more)
        gone = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": version["VersionId"]}]}, **more)
        assert [e["Code"] for e in gone["Errors"]] == ["AccessDenied"] and "Deleted" not in gone
    marker = s3.delete_object(Bucket=locked, Key="k")  # a marker hides it; that removes nothing
    assert marker["DeleteMarker"]
    put(s3, locked, body=b"newer")
    got = s3.get_object(**version)
    assert got["Body"].read() == b"l" * size and got["Metadata"] == {"m": "1"}
    assert got["ObjectLockMode"] == "COMPLIANCE" and got["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "1"
    s3.delete_object(Bucket=locked, Key="k", VersionId=marker["VersionId"])
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=locked)


def test_legal_hold(s3, locked):
    version = put(s3, locked)
    refused("NoSuchObjectLockConfiguration", s3.get_object_legal_hold, **version)
    for status in ("ON", "OFF", "ON"):
        s3.put_object_legal_hold(**version, LegalHold={"Status": status})
        assert s3.get_object_legal_hold(**version)["LegalHold"] == {"Status": status}
        assert held_by(s3, version) == (None, None, status)
    refused("AccessDenied", s3.delete_object, **version, BypassGovernanceRetention=True)
    refused("MalformedXML", s3.put_object_legal_hold, **version, LegalHold={"Status": "MAYBE"})
    refused("NoSuchVersion", s3.put_object_legal_hold, **{**version, "VersionId": "0" * 32}, LegalHold={"Status": "ON"})
    refused("NoSuchKey", s3.put_object_legal_hold, Bucket=locked, Key="absent", LegalHold={"Status": "ON"})
    s3.put_object_legal_hold(Bucket=locked, Key="k", LegalHold={"Status": "OFF"})
    s3.delete_object(**version)
    marker = s3.delete_object(Bucket=locked, Key="k")["VersionId"]
    refused("MethodNotAllowed", s3.put_object_legal_hold, Bucket=locked, Key="k", VersionId=marker, LegalHold={"Status": "ON"})
    s3.delete_object(Bucket=locked, Key="k", VersionId=marker)


def test_retention_may_grow(s3, locked):
    early, late = ahead(days=1), ahead(days=2)
    version = put(s3, locked)
    refused("NoSuchObjectLockConfiguration", s3.get_object_retention, **version)

    def change(mode, until, **more):
        s3.put_object_retention(**version, Retention=retention(mode, until) if mode else {}, **more)
        assert held_by(s3, version)[:2] == ((mode, until) if mode else (None, None))

    def no_change(mode, until, **more):
        before = held_by(s3, version)
        refused("AccessDenied", s3.put_object_retention, **version,
                Retention=retention(mode, until) if mode else {}, **more)
        assert held_by(s3, version) == before

    change("GOVERNANCE", early)
    change("GOVERNANCE", late)
    no_change("GOVERNANCE", early)
    no_change("COMPLIANCE", late)
    no_change(None, None)
    refused("AccessDenied", s3.delete_object, **version)
    change("GOVERNANCE", early, BypassGovernanceRetention=True)
    change(None, None, BypassGovernanceRetention=True)
    change("GOVERNANCE", early)
    change("COMPLIANCE", early, BypassGovernanceRetention=True)
    for mode, until in (("GOVERNANCE", late), ("COMPLIANCE", early - DAY / 2), (None, None)):
        no_change(mode, until)
        no_change(mode, until, BypassGovernanceRetention=True)
    change("COMPLIANCE", late)
    refused("InvalidArgument", s3.put_object_retention, **version, Retention=retention("COMPLIANCE", ahead(days=-1)))
    refused("MalformedXML", s3.put_object_retention, **version, Retention=retention("SOMETIMES", late))
    refused("MalformedXML", s3.put_object_retention, **version, Retention={"Mode": "COMPLIANCE"})
    refused("InvalidArgument", s3.put_object, Bucket=locked, Key="n", Body=b"", ObjectLockMode="COMPLIANCE")
    refused("InvalidArgument", s3.put_object, Bucket=locked, Key="n", Body=b"", ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=ahead(days=-1))


def test_it_ends(s3, locked):
    version = put(s3, locked, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=ahead(seconds=3))
    refused("AccessDenied", s3.delete_object, **version)

    def gone():
        try:
            return s3.delete_object(**version)
        except s3.exceptions.ClientError:
            return None

    daemon.until(gone, "the retention is over")
    refused("NoSuchVersion", s3.get_object, **version)


def test_default_retention(s3, locked):
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=default("GOVERNANCE", Days=2))
    source = put(s3, locked, "k")
    upload = s3.create_multipart_upload(Bucket=locked, Key="u")["UploadId"]
    part = s3.upload_part(Bucket=locked, Key="u", UploadId=upload, PartNumber=1, Body=b"p")["ETag"]
    whole = s3.complete_multipart_upload(Bucket=locked, Key="u", UploadId=upload,
                                         MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    copied = s3.copy_object(Bucket=locked, Key="c", CopySource=source)
    for version in (source, {"Bucket": locked, "Key": "u", "VersionId": whole["VersionId"]},
                    {"Bucket": locked, "Key": "c", "VersionId": copied["VersionId"]}):
        mode, until, hold = held_by(s3, version)
        assert mode == "GOVERNANCE" and hold is None
        assert abs(until - ahead(days=2)) < datetime.timedelta(minutes=5)
        refused("AccessDenied", s3.delete_object, **version)
    own = put(s3, locked, "own", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=ahead(hours=1))
    assert held_by(s3, own)[0] == "COMPLIANCE"
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=default("COMPLIANCE", Years=1))
    assert held_by(s3, source)[0] == "GOVERNANCE"  # of what comes, not of what is there
    assert held_by(s3, put(s3, locked, "y"))[1] - ahead() > 364 * DAY
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=default())
    assert held_by(s3, put(s3, locked, "z")) == (None, None, None)


def test_uploads_and_copies_bring_their_own(s3, locked):
    until = ahead(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until, "ObjectLockLegalHoldStatus": "ON"}
    upload = s3.create_multipart_upload(Bucket=locked, Key="u", **lock)["UploadId"]
    part = s3.upload_part(Bucket=locked, Key="u", UploadId=upload, PartNumber=1, Body=b"p")["ETag"]
    whole = s3.complete_multipart_upload(Bucket=locked, Key="u", UploadId=upload,
                                         MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    version = {"Bucket": locked, "Key": "u", "VersionId": whole["VersionId"]}
    assert held_by(s3, version) == ("GOVERNANCE", until, "ON")
    plain = s3.copy_object(Bucket=locked, Key="c", CopySource=version)["VersionId"]
    assert held_by(s3, {"Bucket": locked, "Key": "c", "VersionId": plain}) == (None, None, None)
    held = s3.copy_object(Bucket=locked, Key="c", CopySource=version, **lock)["VersionId"]
    assert held_by(s3, {"Bucket": locked, "Key": "c", "VersionId": held}) == ("GOVERNANCE", until, "ON")


def test_forms_bring_theirs(s3, server, bucket, locked):
    until = ahead(days=1)
    fields = {"key": "f", "x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-legal-hold": "ON",
              "x-amz-object-lock-retain-until-date": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
    with raw.Connection(server) as connection:
        assert test_post.send(connection, server, locked, fields).status == 204
        assert held_by(s3, {"Bucket": locked, "Key": "f"}) == ("GOVERNANCE", until, "ON")
        assert test_post.send(connection, server, bucket, fields).code == "InvalidRequest"
    with raw.Connection(server) as connection:
        answer = test_post.send(connection, server, locked, {"key": "f", "x-amz-object-lock-mode": "GOVERNANCE"})
        assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_rights(s3, bob, locked):
    until = ahead(days=1)
    version = put(s3, locked, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="OFF")
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    refused("AccessDenied", bob.get_object_retention, **version)
    refused("AccessDenied", bob.put_object_retention, **version, Retention=retention("GOVERNANCE", ahead(days=2)))
    policy(s3, locked, statement(locked, ["s3:GetObject*Version", "s3:GetObjectVersion", "s3:PutObject",
                                          "s3:DeleteObjectVersion"], BOB))
    assert held_by(bob, version) == (None, None, None)
    for call, more in [(bob.get_object_retention, {}), (bob.get_object_legal_hold, {}),
                       (bob.put_object_retention, {"Retention": retention("GOVERNANCE", ahead(days=2))}),
                       (bob.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
                       (bob.delete_object, {}), (bob.delete_object, {"BypassGovernanceRetention": True})]:
        refused("AccessDenied", call, **version, **more)
    refused("AccessDenied", bob.put_object, Bucket=locked, Key="b", Body=b"", **lock)
    refused("AccessDenied", bob.put_object, Bucket=locked, Key="b", Body=b"", ObjectLockLegalHoldStatus="ON")
    bob.put_object(Bucket=locked, Key="b", Body=b"")
    policy(s3, locked, statement(locked, ["s3:GetObjectVersion", "s3:PutObject", "s3:*ObjectRetention", "s3:*LegalHold",
                                          "s3:DeleteObjectVersion"], BOB))
    assert held_by(bob, version) == ("GOVERNANCE", until, "OFF")
    bob.put_object_retention(**version, Retention=retention("GOVERNANCE", ahead(days=2)))
    refused("AccessDenied", bob.put_object_retention, **version, BypassGovernanceRetention=True,
            Retention=retention("GOVERNANCE", until))
    bob.put_object(Bucket=locked, Key="b", Body=b"", **lock)
    # At most ten days, whoever asks; and the owner's own bypass is denied by a statement.
    policy(s3, locked, statement(locked, "s3:PutObjectRetention", "*", effect="Deny", Condition={
        "NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}),
           statement(locked, "s3:BypassGovernanceRetention", "*", effect="Deny"))
    refused("AccessDenied", s3.put_object_retention, **version, Retention=retention("GOVERNANCE", ahead(days=20)))
    refused("AccessDenied", s3.put_object, Bucket=locked, Key="b", Body=b"", ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=ahead(days=20))
    s3.put_object_retention(**version, Retention=retention("GOVERNANCE", ahead(days=9)))
    refused("AccessDenied", s3.delete_object, **version, BypassGovernanceRetention=True)
    policy(s3, locked, statement(locked, ["s3:BypassGovernanceRetention", "s3:DeleteObjectVersion"], BOB))
    refused("AccessDenied", bob.delete_object, **version)
    bob.delete_object(**version, BypassGovernanceRetention=True)
    refused("NoSuchVersion", s3.get_object, **version)


def test_survives_a_kill(own):
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    s3.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
    version = put(s3, "kept", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=ahead(days=1))
    other = put(s3, "kept", "o")
    s3.put_object_legal_hold(**other, LegalHold={"Status": "ON"})
    own.kill()
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    for each in (version, other):
        refused("AccessDenied", s3.delete_object, **each, BypassGovernanceRetention=True)
    assert s3.get_object_legal_hold(**other)["LegalHold"] == {"Status": "ON"}


def test_awscli(folder, server, s3, locked):
    aws = tools.Aws(folder / "home", server, daemon.ALICE)
    version = put(s3, locked)
    where = ["--bucket", locked, "--key", "k", "--version-id", version["VersionId"]]
    aws.run("s3api", "put-object-retention", *where, "--retention", json.dumps(
        {"Mode": "GOVERNANCE", "RetainUntilDate": ahead(days=1).strftime("%Y-%m-%dT%H:%M:%SZ")}))
    told = json.loads(aws.run("s3api", "get-object-retention", *where))
    assert told["Retention"]["Mode"] == "GOVERNANCE"
    aws.run("s3api", "put-object-legal-hold", *where, "--legal-hold", "Status=ON")
    assert json.loads(aws.run("s3api", "get-object-legal-hold", *where)) == {"LegalHold": {"Status": "ON"}}
    aws.run("s3api", "put-object-legal-hold", *where, "--legal-hold", "Status=OFF")
    aws.run("s3api", "delete-object", *where, "--bypass-governance-retention")
    refused("NoSuchVersion", s3.get_object, **version)
