"""Configurations of buckets: each subresource with boto3 and awscli, CORS as a browser uses it, and every region
obeys before the answer is 200."""
import datetime
import json
import pathlib
import sys
import threading
import time

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon, raw, tools  # noqa: E402
from kit.world import KEY, watched  # noqa: E402
from lib import regions  # noqa: E402


def refused(call, *arguments, **named):
    with pytest.raises(ClientError) as failure:
        call(*arguments, **named)
    error = failure.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def until(call, seconds=60):
    end = time.monotonic() + seconds
    while not call():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


CORS = {"CORSRules": [
    {"ID": "app", "AllowedOrigins": ["https://*.example.com"], "AllowedMethods": ["PUT", "GET"],
     "AllowedHeaders": ["x-amz-*", "Content-Type"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 600},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]}]}
TAGS = {"TagSet": [{"Key": "team", "Value": "a & b"}, {"Key": "größe", "Value": ""}]}
SSE = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}
OWNER = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
PARTS = [  # what is put, under which name; its calls; its key in the answer; the error without one
    ("cors", "CORSConfiguration", CORS, "put_bucket_cors", "get_bucket_cors", "delete_bucket_cors",
     "NoSuchCORSConfiguration"),
    ("tagging", "Tagging", TAGS, "put_bucket_tagging", "get_bucket_tagging", "delete_bucket_tagging", "NoSuchTagSet"),
    ("encryption", "ServerSideEncryptionConfiguration", SSE, "put_bucket_encryption", "get_bucket_encryption",
     "delete_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("publicAccessBlock", "PublicAccessBlockConfiguration", BLOCK, "put_public_access_block",
     "get_public_access_block", "delete_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
    ("ownershipControls", "OwnershipControls", OWNER, "put_bucket_ownership_controls",
     "get_bucket_ownership_controls", "delete_bucket_ownership_controls", "OwnershipControlsNotFoundError"),
]


@pytest.mark.parametrize("name,field,value,put,get,delete,missing", PARTS, ids=[p[0] for p in PARTS])
def test_comes_back_as_it_was_put(s3, bob, bucket, name, field, value, put, get, delete, missing):
    assert refused(getattr(s3, get), Bucket=bucket) == (missing, 404)
    for _ in range(2):  # the same again is no other
        getattr(s3, put)(Bucket=bucket, **{field: value})
    answer = getattr(s3, get)(Bucket=bucket)
    answer.pop("ResponseMetadata")
    assert answer.get(field, answer) == value
    for call in (put, get, delete):
        more = {field: value} if call == put else {}
        assert refused(getattr(bob, call), Bucket=bucket, **more) == ("AccessDenied", 403)
        assert refused(getattr(s3, call), Bucket="no-such-bucket", **more) == ("NoSuchBucket", 404)
    for _ in range(2):
        getattr(s3, delete)(Bucket=bucket)
    assert refused(getattr(s3, get), Bucket=bucket) == (missing, 404)


@pytest.mark.parametrize("name", [p[0] for p in PARTS])
@pytest.mark.parametrize("body", [b"", b"<", b"<Other/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
                                  b"<a>" * 5000, b"\xff\xfe<a/>"], ids=range(6))
def test_nonsense_changes_nothing(http, bucket, name, body):
    answer = http.request("PUT", f"/{bucket}", [(name, None)], body=body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert http.request("GET", f"/{bucket}", [(name, None)]).status == 404


def test_too_large(http, bucket):
    answer = http.request("PUT", f"/{bucket}", [("cors", None)], body=b"<CORSConfiguration>" + b" " * (64 << 10))
    assert answer.status == 400 and answer.code in ("MaxMessageLengthExceeded", "EntityTooLarge")


def test_a_wrong_checksum_changes_nothing(http, bucket):
    body = (b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>"
            b"</PublicAccessBlockConfiguration>")
    answer = http.request("PUT", f"/{bucket}", [("publicAccessBlock", None)], body=body,
                          headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert http.request("GET", f"/{bucket}", [("publicAccessBlock", None)]).status == 404


NOT_YET = ["website", "replication", "logging", "notification",
           "accelerate", "requestPayment"]


@pytest.mark.parametrize("name", NOT_YET)
def test_what_nothing_enforces_is_not_kept(http, bucket, name):
    answer = http.request("PUT", f"/{bucket}", [(name, None)], body=b"<Anything/>")
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert name.lower() in answer.xml().findtext("Message").lower()


def test_what_there_is_not_is_told_as_s3_tells_it(s3, bucket):
    assert refused(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert refused(s3.get_bucket_policy_status, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert refused(s3.get_bucket_website, Bucket=bucket) == ("NoSuchWebsiteConfiguration", 404)
    assert refused(s3.get_bucket_replication, Bucket=bucket) == ("ReplicationConfigurationNotFoundError", 404)
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)
    assert refused(s3.get_object_lock_configuration, Bucket=bucket) == ("ObjectLockConfigurationNotFoundError", 404)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert refused(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}) == ("NotImplemented", 501)


def test_awscli(folder, server, s3, bucket):
    aws = tools.Aws(folder / "home", server, daemon.ALICE)
    aws.run("s3api", "put-bucket-cors", "--bucket", bucket, "--cors-configuration", json.dumps(CORS))
    assert json.loads(aws.run("s3api", "get-bucket-cors", "--bucket", bucket)) == CORS
    aws.run("s3api", "put-bucket-tagging", "--bucket", bucket, "--tagging", json.dumps(TAGS))
    assert json.loads(aws.run("s3api", "get-bucket-tagging", "--bucket", bucket)) == TAGS
    aws.run("s3api", "put-public-access-block", "--bucket", bucket, "--public-access-block-configuration",
            json.dumps(BLOCK))
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == BLOCK


def test_s3cmd(folder, server, s3, bucket):
    s3.put_bucket_tagging(Bucket=bucket, Tagging=TAGS)
    told = tools.S3cmd(folder / "home", server, daemon.ALICE).run("info", f"s3://{bucket}")
    assert "Payer" in told and "BucketOwner" in told


def test_encryption_by_default_is_told(s3, bucket):
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    asked = s3.put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="AES256")
    assert asked["ServerSideEncryption"] == "AES256"
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=SSE)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="u")
    part = s3.upload_part(Bucket=bucket, Key="u", UploadId=upload["UploadId"], PartNumber=1, Body=b"p")
    answers = [s3.put_object(Bucket=bucket, Key="a", Body=b"x"), s3.get_object(Bucket=bucket, Key="a"),
               s3.head_object(Bucket=bucket, Key="a"), upload, part,
               s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"}),
               s3.complete_multipart_upload(Bucket=bucket, Key="u", UploadId=upload["UploadId"], MultipartUpload={
                   "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})]
    assert [each.get("ServerSideEncryption") for each in answers] == ["AES256"] * len(answers)


# ---- lifecycle --------------------------------------------------------------------------------------

def rule(name, **more):
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": ""}, **more}


RULES = {"Rules": [rule("logs", Filter={"Prefix": "logs/"}, Expiration={"Days": 1}),
                   rule("big", Filter={"And": {"Prefix": "b/", "ObjectSizeGreaterThan": 10}}, Expiration={"Days": 1}),
                   rule("parts", Filter={"Prefix": "u/"}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}),
                   rule("old", Filter={"Prefix": "n/"}, NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}),
                   rule("bare", Filter={"Prefix": "m/"}, Expiration={"ExpiredObjectDeleteMarker": True}),
                   rule("mine", Filter={"And": {"Prefix": "t/", "Tags": [{"Key": "k", "Value": "v"}]}}, Expiration={"Days": 1}),
                   rule("later", Expiration={"Date": datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)})]}


def test_lifecycle_comes_back(s3, bucket):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=RULES)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == RULES["Rules"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)


@pytest.mark.parametrize("bad,error", [
    (rule("a", Expiration={"Days": 0}), ("InvalidArgument", 400)),
    (rule("a", Transitions=[{"Days": 1, "StorageClass": "GLACIER"}]), ("NotImplemented", 501)),
    (rule("a", NoncurrentVersionExpiration={"NoncurrentDays": 0}), ("InvalidArgument", 400)),
    (rule("a", NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}), ("InvalidArgument", 400)),
    (rule("a", Filter={"Tag": {"Key": "k", "Value": "v"}}, Expiration={"ExpiredObjectDeleteMarker": True}), ("InvalidRequest", 400)),
    (rule("a"), ("InvalidRequest", 400))], ids=range(6))
def test_rules_that_cannot_be_kept(s3, bucket, bad, error):
    assert refused(s3.put_bucket_lifecycle_configuration, Bucket=bucket,
                   LifecycleConfiguration={"Rules": [bad]}) == error


def test_lifecycle_of_versions(folder):
    """Current ones end under a marker, older ones by days and count; a marker alone goes; what is locked stays."""
    dev = daemon.Daemon.dev(folder, extra=["--lifecycle-day-ms", "1000"]).start()
    try:
        s3 = tools.boto(dev, daemon.ALICE)
        s3.create_bucket(Bucket="bucket", ObjectLockEnabledForBucket=True)
        locked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)}
        first = s3.put_object(Bucket="bucket", Key="n/a", Body=b"0", **locked)["VersionId"]
        ids = [s3.put_object(Bucket="bucket", Key="n/a", Body=b"x")["VersionId"] for _ in range(4)]
        ids.append(s3.put_object(Bucket="bucket", Key="logs/a", Body=b"x")["VersionId"])
        s3.delete_object(Bucket="bucket", Key="m/gone")
        s3.delete_object(Bucket="bucket", Key="other")
        s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration=RULES)

        def left():
            page = s3.list_object_versions(Bucket="bucket")
            return ({each["VersionId"] for each in page.get("Versions", [])}, [each["Key"] for each in page.get("DeleteMarkers", [])])
        until(lambda: left() == ({first, ids[2], ids[3], ids[4]}, ["logs/a", "other"]))
        assert dev.stop() == 0
    finally:
        dev.kill()


def test_expiration_is_told(s3, bucket):
    def told(answer):
        return answer.get("Expiration")
    assert told(s3.put_object(Bucket=bucket, Key="logs/a", Body=b"x")) is None
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [
        rule("a b", Filter={"Prefix": "logs/"}, Expiration={"Days": 3}),
        rule("by tag", Filter={"Tag": {"Key": "k", "Value": "v"}}, Expiration={"Date": datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)})]})
    now = datetime.datetime.now(datetime.timezone.utc)
    days = {(now + datetime.timedelta(days=n)).strftime("%a, %d %b %Y 00:00:00 GMT") for n in (3, 4)}
    wanted = {f'expiry-date="{day}", rule-id="a%20b"' for day in days}
    assert told(s3.put_object(Bucket=bucket, Key="logs/a", Body=b"x")) in wanted
    assert told(s3.get_object(Bucket=bucket, Key="logs/a")) in wanted
    assert told(s3.head_object(Bucket=bucket, Key="logs/a")) in wanted
    assert told(s3.copy_object(Bucket=bucket, Key="logs/b", CopySource=f"{bucket}/logs/a")) in wanted
    upload = s3.create_multipart_upload(Bucket=bucket, Key="logs/m")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="logs/m", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    for _ in range(2):  # a completion repeated says the same
        assert told(s3.complete_multipart_upload(Bucket=bucket, Key="logs/m", UploadId=upload, MultipartUpload=parts)) in wanted
    assert told(s3.put_object(Bucket=bucket, Key="other", Body=b"x")) is None
    tagged = s3.put_object(Bucket=bucket, Key="other", Body=b"x", Tagging="k=v")
    assert told(tagged) == told(s3.head_object(Bucket=bucket, Key="other")) == 'expiry-date="Thu, 01 Jan 2099 00:00:00 GMT", rule-id="by%20tag"'


def test_lifecycle_is_carried_out(folder):
    dev = daemon.Daemon.dev(folder, extra=["--lifecycle-day-ms", "1000"]).start()
    try:
        s3 = tools.boto(dev, daemon.ALICE)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="t/yes", Body=b"x", Tagging="k=v&a=b")
        s3.put_object(Bucket="bucket", Key="t/no", Body=b"x", Tagging="k=w")
        for key, body in (("logs/a", b"x"), ("b/small", b"x"), ("b/large", b"x" * 11), ("other", b"x")):
            s3.put_object(Bucket="bucket", Key=key, Body=body)
        for key in ("u/open", "v/open"):
            s3.create_multipart_upload(Bucket="bucket", Key=key)
        s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration=RULES)
        until(lambda: [each["Key"] for each in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["b/small", "other", "t/no"])
        until(lambda: [each["Key"] for each in s3.list_multipart_uploads(Bucket="bucket")["Uploads"]] == ["v/open"])
        assert dev.stop() == 0
    finally:
        dev.kill()


# ---- CORS, as a browser uses it ---------------------------------------------------------------------

def unsigned(server, method, path, **headers):
    with raw.Connection(server) as connection:
        fields = {"Host": f"127.0.0.1:{server.port}", **{n.replace("_", "-"): v for n, v in headers.items()}}
        connection.send(raw.head(method, path, fields))
        return connection.answer(method)


def preflight(server, path, origin="https://www.example.com", method="PUT", headers=None):
    more = {"Access_Control_Request_Headers": headers} if headers else {}
    return unsigned(server, "OPTIONS", path, Origin=origin, Access_Control_Request_Method=method, **more)


def test_preflight(server, s3, bucket):
    answer = preflight(server, f"/{bucket}/k")
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=CORS)
    answer = preflight(server, f"/{bucket}/k?uploads&X-Amz-Signature=0", headers="content-type, x-amz-date")
    assert answer.status == 200 and answer.body == b""
    assert answer["access-control-allow-origin"] == "https://www.example.com"
    assert answer["access-control-allow-methods"] == "PUT, GET"
    assert answer["access-control-allow-headers"] == "content-type, x-amz-date"
    assert answer["access-control-expose-headers"] == "ETag" and answer["access-control-max-age"] == "600"
    assert answer["access-control-allow-credentials"] == "true" and "Origin" in answer["vary"]
    assert preflight(server, f"/{bucket}", origin="null", method="HEAD")["access-control-allow-origin"] == "*"
    for wrong in ({"origin": "https://evil.org"}, {"method": "DELETE"}, {"headers": "authorization"}):
        answer = preflight(server, f"/{bucket}/k", **wrong)
        assert (answer.status, answer.code) == (403, "AccessForbidden")
        assert answer["access-control-allow-origin"] is None
    assert preflight(server, "/no-such-bucket/k").status == 403
    for fields in ({}, {"Origin": "https://www.example.com"}, {"Access_Control_Request_Method": "PUT"}):
        assert unsigned(server, "OPTIONS", f"/{bucket}/k", **fields).status == 400


def test_answers_to_pages_of_other_origins(http, s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=CORS)
    ours = {"Origin": "https://www.example.com"}
    for answer in (http.request("PUT", f"/{bucket}/k", headers=ours, body=b"x"),
                   http.request("GET", f"/{bucket}/k", headers=ours),
                   http.request("GET", f"/{bucket}/missing", headers=ours),
                   http.request("GET", f"/{bucket}", headers=ours)):
        assert answer["access-control-allow-origin"] == "https://www.example.com", answer.status
        assert answer["access-control-expose-headers"] == "ETag"
    assert http.request("DELETE", f"/{bucket}/k", headers=ours)["access-control-allow-origin"] is None
    assert http.get(bucket, "missing", Origin="https://evil.org")["access-control-allow-origin"] is None
    assert http.get(bucket, "missing")["access-control-allow-origin"] is None


# ---- several regions --------------------------------------------------------------------------------------

BUCKET = "phones"
CHARTER = """  IN:
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
    keep_at_least_days: 365
""" + regions.RULES_OPEN


@pytest.fixture(scope="module")
def world():
    with watched("config", CHARTER, BUCKET) as made:
        made.register("asha", "US", at="cn")
        made.register("ravi", "IN", at="cn")
        made.s3 = {name: tools.boto(made.gateway[name], KEY) for name in made.names}
        yield made


def block(s3, on):
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={**BLOCK, "IgnorePublicAcls": on})


def blocked(s3):
    return s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]["IgnorePublicAcls"]


def changes(call):
    """Whether it answered 200; else it was 503 SlowDown."""
    try:
        call()
        return True
    except ClientError as failure:
        assert failure.response["Error"]["Code"] == "SlowDown", failure
        assert failure.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        return False


def test_every_region_obeys_when_it_answers(world):
    for round_number, name in enumerate(world.names):
        block(world.s3[name], round_number % 2 == 0)
        assert {blocked(world.s3[each]) for each in world.names} == {round_number % 2 == 0}
    world.s3["us"].put_bucket_cors(Bucket=BUCKET, CORSConfiguration=CORS)
    for name in world.names:
        assert preflight(world.gateway[name], f"/{BUCKET}/asha/k").status == 200
    # forwarded: said once, by the gateway
    with raw.S3(world.gateway["us"], KEY) as http:
        data, _ = http.prepare("GET", f"/{BUCKET}/asha/k", headers={"Origin": "https://www.example.com"})
    with raw.Connection(world.gateway["us"]) as connection:
        connection.send(data)
        lines = []
        while line := connection.file.readline().strip().lower():
            lines.append(line)
    assert b"x-domicile-met: forwarded" in lines
    assert lines.count(b"access-control-allow-origin: https://www.example.com") == 1


def test_changes_that_race(world):
    """Each region changes two parts at once; whatever order that gives, all regions end with one and the same."""
    failures = []

    def change(name, number):
        s3 = world.s3[name]
        calls = [lambda: s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": name, "Value": str(number)}]}),
                 lambda: s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=OWNER),
                 lambda: s3.delete_bucket_ownership_controls(Bucket=BUCKET)]
        for call in calls * 4:
            try:
                call()
            except ClientError as failure:
                if failure.response["Error"]["Code"] not in ("SlowDown", "OperationAborted"):
                    failures.append(failure)

    threads = [threading.Thread(target=change, args=(name, n)) for name in world.names for n in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    until(lambda: changes(lambda: world.s3["us"].delete_bucket_ownership_controls(Bucket=BUCKET)))
    tags = [world.s3[name].get_bucket_tagging(Bucket=BUCKET)["TagSet"] for name in world.names]
    assert tags[0] and tags == [tags[0]] * len(tags)
    for name in world.names:
        assert refused(world.s3[name].get_bucket_ownership_controls, Bucket=BUCKET)[1] == 404


class Writer:
    """A client of a local subject that goes on; its slowest answer."""

    def __init__(self, s3):
        self.s3, self.count, self.slowest_s, self.over = s3, 0, 0, threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self.over.is_set():
                begun = time.monotonic()
                self.s3.put_object(Bucket=BUCKET, Key="asha/local", Body=b"x")
                self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
                self.count += 1
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        assert self.failure is None and self.count > 0


def test_a_region_200_ms_away(world):
    block(world.s3["in"], False)
    world.taps()["us"].delay_s = 0.2
    try:
        with Writer(world.s3["cn"]) as writer:
            begun = time.monotonic()
            block(world.s3["in"], True)
            assert time.monotonic() - begun >= 0.2  # it did wait for us
        assert {blocked(world.s3[each]) for each in world.names} == {True}
        assert writer.count > 0
    finally:
        world.taps()["us"].delay_s = 0


def test_a_region_that_is_silent(world):
    """Never 200 while it is cut off; local subjects do not notice; afterwards it is finished by itself."""
    block(world.s3["in"], False)
    world.taps()["us"].silent = True
    try:
        with Writer(world.s3["cn"]) as writer:
            for name in ("in", "cn", "in"):
                assert not changes(lambda s3=world.s3[name]: block(s3, True))
            before = writer.count
            until(lambda: writer.count > before)
        assert [blocked(world.s3[each]) for each in ("cn", "sg", "in")] == [True] * 3
        assert not blocked(world.s3["us"])  # the line to it is cut, not the one to its clients
    finally:
        world.taps()["us"].silent = False
    until(lambda: blocked(world.s3["us"]))
    until(lambda: changes(lambda: block(world.s3["cn"], True)))


def test_a_region_that_was_down(world):
    block(world.s3["in"], False)
    assert world.region["us"].stop() == 0
    assert not changes(lambda: block(world.s3["cn"], True))
    world.region["us"].start()
    until(lambda: blocked(world.s3["us"]))
    assert changes(lambda: block(world.s3["cn"], True))


def test_the_registrar_killed(world):
    block(world.s3["cn"], False)
    for _ in range(3):
        thread = threading.Thread(target=lambda: pytest.raises(Exception, block, world.s3["cn"], True))
        world.taps()["in"].keep_next(lambda message: "registry/config" in message.target)
        thread.start()
        assert world.taps()["in"].held.wait(30)
        world.region["in"].kill()
        world.taps()["in"].release()
        thread.join()
        assert world.s3["cn"].put_object(Bucket=BUCKET, Key="asha/local", Body=b"x")
        world.region["in"].start()
    until(lambda: changes(lambda: block(world.s3["cn"], True)))
    assert {blocked(world.s3[each]) for each in world.names} == {True}


def test_the_charter_is_asked_before_anything_expires(world):
    s3 = world.s3["us"]
    for who in ("asha", "ravi"):
        s3.put_object(Bucket=BUCKET, Key=f"{who}/logs", Body=b"x")
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [
        rule("all", Expiration={"Days": 1})]})
    assert world.region["cn"].stop() == 0
    world.region["cn"].start("--lifecycle-day-ms", "500")
    try:
        for _ in range(2):  # a pass that removed asha's later object looked at ravi's, too
            until(lambda: "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="asha/"))
            assert s3.get_object(Bucket=BUCKET, Key="ravi/logs")["Body"].read() == b"x"
            s3.put_object(Bucket=BUCKET, Key="asha/logs", Body=b"y")
    finally:
        s3.delete_bucket_lifecycle(Bucket=BUCKET)
        world.region["cn"].stop()
        world.region["cn"].start()
