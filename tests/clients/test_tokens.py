"""Scoped tokens: one person's objects and nothing else, made and checked at their home alone, passed on unread
by the other regions, over in time, by a move, by revocation."""
import base64
import json
import pathlib
import sys

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import raw, sigv4, tools  # noqa: E402
from kit.world import KEY, watched  # noqa: E402
from lib import regions  # noqa: E402

BUCKET = "phones"
RULES = """  IN:
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""


@pytest.fixture(scope="module")
def world():
    with watched("tokens", RULES, BUCKET) as made:
        for name in ("asha-needle", "ravi-needle"):
            made.register(name, "IN", at="cn")
            tools.boto(made.gateway["cn"], KEY).put_object(Bucket=BUCKET, Key=f"{name}/a", Body=name.encode())
        yield made


def mint(world, subject, *more, at="cn"):
    return json.loads(world.at(at, "token", "--subject", subject, "--tenant", KEY.account, "--json", *more))


def client(world, token, name, session=None, **more):
    return boto3.session.Session().client(
        "s3", endpoint_url=world.gateway[name].url, region_name="test-1",
        aws_access_key_id=token["access_key"], aws_secret_access_key=more.get("secret", token["secret_key"]),
        aws_session_token=session or token["session_token"],
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}))


def refused(call, **arguments):
    with pytest.raises(ClientError) as failure:
        call(**arguments)
    return failure.value.response["Error"]["Code"]


def home_page(world, token, name, headers=None):
    gateway = world.gateway[name]
    headers = {"Host": f"{gateway.host}:{gateway.port}", **(headers or {})}
    key = KEY
    if token:
        headers["x-amz-security-token"] = token["session_token"]
        key = type(KEY)(token["access_key"], token["secret_key"], "")
    sigv4.sign(key, "GET", "/-/home", [], headers, sigv4.EMPTY, add=("x-domicile-subject",))
    with raw.Connection(gateway) as connection:
        connection.send(raw.head("GET", "/-/home", headers))
        answer = connection.answer()
    return answer.status, json.loads(answer.body)


def test_own_objects_and_nothing_else(world):
    token = mint(world, "asha-needle")
    s3 = client(world, token, "cn")
    assert s3.get_object(Bucket=BUCKET, Key="asha-needle/a")["Body"].read() == b"asha-needle"
    s3.put_object(Bucket=BUCKET, Key="asha-needle/new", Body=b"x")
    s3.copy_object(Bucket=BUCKET, Key="asha-needle/copy", CopySource={"Bucket": BUCKET, "Key": "asha-needle/new"})
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET, Prefix="asha-needle/")["Contents"]] == [
        "asha-needle/a", "asha-needle/copy", "asha-needle/new"]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="asha-needle/m")["UploadId"]
    tag = s3.upload_part(Bucket=BUCKET, Key="asha-needle/m", UploadId=upload, PartNumber=1, Body=b"y")["ETag"]
    s3.complete_multipart_upload(Bucket=BUCKET, Key="asha-needle/m", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    for call, more in ((s3.get_object, {"Key": "ravi-needle/a"}), (s3.put_object, {"Key": "ravi-needle/b"}),
                       (s3.delete_object, {"Key": "ravi-needle/a"}), (s3.list_objects_v2, {}),
                       (s3.list_objects_v2, {"Prefix": "asha"}), (s3.list_objects_v2, {"Prefix": "ravi-needle/"}),
                       (s3.copy_object, {"Key": "asha-needle/c", "CopySource": f"{BUCKET}/ravi-needle/a"}),
                       (s3.get_bucket_policy, {}), (s3.delete_bucket, {}), (s3.get_bucket_acl, {}),
                       (s3.put_object_acl, {"Key": "asha-needle/a", "ACL": "private"})):
        assert refused(call, Bucket=BUCKET, **more) == "AccessDenied"
    assert refused(s3.list_buckets) == refused(s3.create_bucket, Bucket="of-a-phone") == "AccessDenied"
    tags = {"TagSet": [{"Key": "kind", "Value": "photo"}]}
    for name in ("cn", "us"):  # at home, and by a gateway that cannot check it
        phone = client(world, token, name)
        phone.put_object(Bucket=BUCKET, Key="asha-needle/new", Body=b"x", Tagging="a=1")
        phone.put_object_tagging(Bucket=BUCKET, Key="asha-needle/new", Tagging=tags)
        assert phone.get_object_tagging(Bucket=BUCKET, Key="asha-needle/new")["TagSet"] == tags["TagSet"]
        assert refused(phone.get_object_tagging, Bucket=BUCKET, Key="ravi-needle/a") == "AccessDenied"
        assert refused(phone.put_object_tagging, Bucket=BUCKET, Key="ravi-needle/a", Tagging=tags) == "AccessDenied"
        assert refused(phone.put_object_legal_hold, Bucket=BUCKET, Key="asha-needle/new",
                       LegalHold={"Status": "ON"}) in ("AccessDenied", "InvalidRequest")
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [
        {"Key": k} for k in ("asha-needle/new", "ravi-needle/a", "asha-needle/copy", "asha-needle/m")]})
    assert [e["Key"] for e in answer["Errors"]] == ["ravi-needle/a"]
    assert tools.boto(world.gateway["cn"], KEY).get_object(Bucket=BUCKET, Key="ravi-needle/a")


def test_forged(world):
    token = mint(world, "asha-needle")
    assert refused(client(world, token, "cn", secret="x" * 44).get_object, Bucket=BUCKET,
                   Key="asha-needle/a") == "SignatureDoesNotMatch"
    other = mint(world, "ravi-needle")
    assert refused(client(world, token, "cn", session=other["session_token"]).get_object, Bucket=BUCKET,
                   Key="ravi-needle/a") == "InvalidToken"
    bent = bytearray(base64.b64decode(token["session_token"]))
    bent[-40] ^= 1  # lives longer
    assert refused(client(world, token, "cn", session=base64.b64encode(bent).decode()).get_object,
                   Bucket=BUCKET, Key="asha-needle/a") == "InvalidToken"
    assert refused(client(world, token, "cn", session="no token").get_object, Bucket=BUCKET,
                   Key="asha-needle/a") == "InvalidToken"


def test_presigned(world):
    s3 = client(world, mint(world, "asha-needle"), "cn")
    with raw.Connection(world.gateway["cn"]) as connection:
        for key, status in (("asha-needle/a", 200), ("ravi-needle/a", 403)):
            url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
            host, target = url.removeprefix("http://").split("/", 1)
            connection.send(raw.head("GET", "/" + target, {"Host": host}))
            assert connection.answer().status == status


def test_through_a_gateway(world):
    """us cannot check it, and cn, which can, serves or refuses."""
    token = mint(world, "asha-needle")
    s3 = client(world, token, "us")
    assert s3.get_object(Bucket=BUCKET, Key="asha-needle/a")["Body"].read() == b"asha-needle"
    s3.put_object(Bucket=BUCKET, Key="asha-needle/far", Body=b"z" * 100000)
    s3.delete_object(Bucket=BUCKET, Key="asha-needle/far")
    assert refused(s3.get_object, Bucket=BUCKET, Key="ravi-needle/a") == "AccessDenied"
    wrong = client(world, token, "us", secret="x" * 44)
    assert refused(wrong.put_object, Bucket=BUCKET, Key="asha-needle/a", Body=b"!") == "SignatureDoesNotMatch"
    for call, more in ((s3.delete_objects, {"Delete": {"Objects": [{"Key": "asha-needle/a"}]}}),
                       (s3.put_bucket_cors, {"CORSConfiguration": {"CORSRules": [
                           {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}}),
                       (s3.head_bucket, {})):
        assert refused(call, Bucket=BUCKET, **more) in ("AccessDenied", "403")


def test_a_region_that_is_not_home_serves_nobody(world):
    """A token of us, of a person who lives at cn: us may not even have made it, and cn does not believe it."""
    token = mint(world, "asha-needle")
    raw_token = bytearray(base64.b64decode(token["session_token"]))
    raw_token[1:3] = (3).to_bytes(2, "big")  # says: made by another region
    session = base64.b64encode(raw_token).decode()
    assert refused(client(world, token, "cn", session=session).get_object, Bucket=BUCKET,
                   Key="asha-needle/a") == "ExpiredToken"
    assert refused(client(world, token, "sg", session=session).get_object, Bucket=BUCKET,
                   Key="asha-needle/a") == "ExpiredToken"


def test_revoked(world):
    first = mint(world, "asha-needle")
    world.at("cn", "subject", "revoke-tokens", "asha-needle", "--tenant", KEY.account)
    assert refused(client(world, first, "cn").get_object, Bucket=BUCKET, Key="asha-needle/a") == "ExpiredToken"
    assert refused(client(world, first, "us").get_object, Bucket=BUCKET, Key="asha-needle/a") == "ExpiredToken"
    second = mint(world, "asha-needle")
    assert client(world, second, "cn").get_object(Bucket=BUCKET, Key="asha-needle/a")
    assert client(world, mint(world, "ravi-needle"), "cn").get_object(Bucket=BUCKET, Key="ravi-needle/a")


@pytest.mark.parametrize("at", ["cn", "us"])
def test_revoked_while_the_body_comes(world, at):
    """It was judged, the body was asked for, then the revocation was answered: nothing is stored after that."""
    token = mint(world, "ravi-needle")
    for query in ([], "part"):
        key = "ravi-needle/late"
        if query:
            upload = client(world, token, "cn").create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
            query = [("partNumber", "1"), ("uploadId", upload)]
        with raw.S3(world.gateway[at], type(KEY)(token["access_key"], token["secret_key"], "")) as s3:
            data, _ = s3.prepare("PUT", f"/{BUCKET}/{key}", query, {
                "x-amz-security-token": token["session_token"], "Expect": "100-continue", "Content-Length": "4"},
                b"late")
            with raw.Connection(world.gateway[at]) as connection:
                connection.send(data)
                assert connection._head()[0] == 100
                world.at("cn", "subject", "revoke-tokens", "ravi-needle", "--tenant", KEY.account)
                connection.send(b"late")
                answer = connection.answer("PUT")
        assert (answer.status, answer.code) == (400, "ExpiredToken")
        token = mint(world, "ravi-needle")
        s3 = client(world, token, "cn")
        if query:
            assert "Parts" not in s3.list_parts(Bucket=BUCKET, Key=key, UploadId=upload)
        else:
            assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix=key)


def test_a_deny_binds_it(world):
    s3 = tools.boto(world.gateway["cn"], KEY)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*",
         "Condition": {"StringEquals": {"aws:PrincipalType": "FederatedUser"}}}]}))
    try:
        for name in ("cn", "us"):
            phone = client(world, mint(world, "asha-needle"), name)
            assert refused(phone.put_object, Bucket=BUCKET, Key="asha-needle/d", Body=b"") == "AccessDenied"
            assert phone.get_object(Bucket=BUCKET, Key="asha-needle/a")
    finally:
        s3.delete_bucket_policy(Bucket=BUCKET)


def test_home_page(world):
    token = mint(world, "asha-needle")
    assert home_page(world, token, "cn")[1]["home"] == "cn"
    endpoint = f"http://127.0.0.1:{world.taps()['cn'].port}"
    assert home_page(world, token, "cn")[1]["endpoint"] == endpoint
    assert home_page(world, token, "us") == (200, {"ask": "cn", "endpoint": endpoint, "epoch": 0})
    for name in ("cn", "us"):
        told = home_page(world, None, name, {"x-domicile-subject": "asha-needle"})
        assert told[0] == 200 and told[1]["home"] == "cn", told
    assert home_page(world, None, "cn", {"x-domicile-subject": "nobody-at-all"})[0] == 403
    assert home_page(world, None, "cn")[0] == 400
    assert home_page(world, {**token, "secret_key": "x"}, "cn")[0] == 403


def test_a_move_ends_it(world):
    world.register("mira-needle", "IN", at="cn")
    tools.boto(world.gateway["cn"], KEY).put_object(Bucket=BUCKET, Key="mira-needle/a", Body=b"m")
    old = mint(world, "mira-needle")
    world.at("cn", "move", "--subject", "mira-needle", "--tenant", KEY.account, "--to", "sg")
    for name in ("cn", "sg", "us"):
        assert refused(client(world, old, name).get_object, Bucket=BUCKET, Key="mira-needle/a") == "ExpiredToken"
    assert home_page(world, old, "cn")[1]["home"] == "sg"  # the phone learns where to ask for a new one
    new = mint(world, "mira-needle", at="sg")
    for name in ("sg", "cn"):
        assert client(world, new, name).get_object(Bucket=BUCKET, Key="mira-needle/a")["Body"].read() == b"m"
    with pytest.raises(regions.Failure):
        mint(world, "mira-needle", at="cn")


def test_no_id_in_it(world):
    token = mint(world, "asha-needle")
    text = json.dumps(token) + base64.b64decode(token["session_token"]).decode("latin-1")
    assert "asha" not in text
    for gateway in world.gateway.values():
        log = gateway.log(limit=10 ** 8)
        assert "asha-needle" not in log and token["secret_key"] not in log


def test_usage(world):
    for arguments in (["--ttl", "soon"], ["--ttl", "1s"], ["--ttl", "8d"]):
        with pytest.raises(regions.Failure):
            mint(world, "asha-needle", *arguments)
    with pytest.raises(regions.Failure):
        mint(world, "nobody-at-all")


def test_many_forged_ones_are_not_passed_on(world):
    """The gateway stops asking the home for people who are refused there all the time."""
    wrong = client(world, mint(world, "asha-needle"), "us", secret="x" * 44)
    codes = {refused(wrong.get_object, Bucket=BUCKET, Key="asha-needle/a") for _ in range(400)}
    assert codes <= {"SignatureDoesNotMatch", "SlowDown"}
    assert tools.boto(world.gateway["us"], KEY).get_object(Bucket=BUCKET, Key="asha-needle/a")
