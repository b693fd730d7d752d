"""Browser uploads: forms with a policy, as boto3 signs them, sent by curl, by Python's multipart encoder and by hand."""
import base64
import contextlib
import datetime
import hashlib
import hmac
import io
import json
import pathlib
import re
import subprocess
import urllib.parse
import xml.etree.ElementTree as ET
import zlib

import pytest
import urllib3
from urllib3.filepost import encode_multipart_formdata

from kit import daemon, raw, tools

BOUNDARY = "----WebKitFormBoundaryTEST"


@pytest.fixture
def connection(server):
    with raw.Connection(server) as made:
        yield made


def sign(fields, conditions, bucket, key=daemon.ALICE, expires_s=600, date=None, policy=None, token=None):
    """The fields with a policy over all of them, written from S3's documents and independent of any SDK."""
    now = date or datetime.datetime.now(datetime.timezone.utc)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/test-1/s3/aws4_request"
    own = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f"{key.access}/{scope}", "x-amz-date": stamp}
    if token:
        own["x-amz-security-token"] = token
    if policy is None:
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=expires_s)
        policy = {"expiration": until.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                  "conditions": [{"bucket": bucket}, *conditions, *({name: value} for name, value in own.items())]}
    text = base64.b64encode(policy if isinstance(policy, bytes) else json.dumps(policy).encode()).decode()
    secret = ("AWS4" + key.secret).encode()
    for part in scope.split("/"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    return {**fields, **own, "policy": text, "x-amz-signature": signature}


def part(name, value, file=None, *more):
    line = f'Content-Disposition: form-data; name="{name}"'.encode()
    if file is not None:
        line += b'; filename="' + (file if isinstance(file, bytes) else file.encode()) + b'"'
    data = value if isinstance(value, bytes) else value.encode()
    return b"\r\n".join([b"--" + BOUNDARY.encode(), line, *more, b"", data]) + b"\r\n"


def body_of(fields, data=b"the file", file="name.txt", more=b""):
    parts = b"".join(part(name, value) for name, value in fields.items())
    return parts + part("file", data, file, b"Content-Type: text/odd") + more + f"--{BOUNDARY}--\r\n".encode()


def post(connection, server, bucket, body, pieces=None, **headers):
    given = {"Host": f"{server.host}:{server.port}", "Content-Length": str(len(body)),
             "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
             **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.send(raw.head("POST", f"/{bucket}", {k: v for k, v in given.items() if v is not None}))
    with contextlib.suppress(ConnectionError):  # a refusal may come before the last byte has left
        for at in range(0, len(body), pieces or len(body) or 1):
            connection.send(body[at:at + (pieces or len(body))])
    return connection.answer()


def send(connection, server, bucket, fields, conditions=None, data=b"the file", key=daemon.ALICE, file="name.txt", **more):
    """A form whose policy names each field as it is, unless `conditions` say otherwise."""
    whole = [{name: value.replace("${filename}", file)} for name, value in fields.items()]
    given = whole if conditions is None else conditions
    return post(connection, server, bucket, body_of(sign(fields, given, bucket, key, **more), data, file))


def stored(s3, bucket, key):
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None


# ---- other people's clients ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_boto3_signs_urllib3_sends(server, s3, bucket, size):
    data = (b"\r\n--" + b"x" * 61) * (size // 65 + 1)
    made = s3.generate_presigned_post(bucket, "up/${filename}", Fields={"acl": "private", "Content-Type": "image/png"},
                                      Conditions=[{"acl": "private"}, ["starts-with", "$Content-Type", "image/"],
                                                  ["content-length-range", 0, 4_000_000]])
    form, kind = encode_multipart_formdata([*made["fields"].items(), ("file", ("a b.png", data[:size], "image/x"))])
    answer = urllib3.PoolManager().request("POST", made["url"], body=form, headers={"Content-Type": kind})
    assert answer.status == 204 and answer.data == b"", answer.data
    there = s3.get_object(Bucket=bucket, Key="up/a b.png")
    assert there["Body"].read() == data[:size] and there["ContentType"] == "image/png"
    assert answer.headers["ETag"] == there["ETag"] == f'"{hashlib.md5(data[:size]).hexdigest()}"'
    assert answer.headers["Location"] == f"{server.url}/{bucket}/up/a%20b.png"


def test_curl_sends(server, s3, bucket, folder):
    data = bytes(range(256)) * 5000
    (folder / "photo.bin").write_bytes(data)
    made = s3.generate_presigned_post(bucket, "curl/${filename}", Fields={"success_action_status": "201"},
                                      Conditions=[{"success_action_status": "201"}])
    fields = [word for name, value in made["fields"].items() for word in ("-F", f"{name}={value}")]
    done = subprocess.run(["curl", "-q", "-sS", "--noproxy", "*", *fields, "-F", f"file=@{folder}/photo.bin", made["url"]],
                          capture_output=True, timeout=60, check=True)
    answer = ET.fromstring(done.stdout)
    assert [e.tag for e in answer] == ["Location", "Bucket", "Key", "ETag"] and answer.findtext("Key") == "curl/photo.bin"
    assert stored(s3, bucket, "curl/photo.bin") == data


def test_file_is_not_kept_in_memory(own, folder):
    def peak_kib():
        text = pathlib.Path(f"/proc/{own.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1])
    s3 = tools.boto(own.start(), daemon.ALICE)
    s3.create_bucket(Bucket="bucket")
    with open(folder / "large", "wb") as file:
        file.truncate(150 << 20)
    made, before = s3.generate_presigned_post("bucket", "large"), peak_kib()
    fields = [word for name, value in made["fields"].items() for word in ("-F", f"{name}={value}")]
    subprocess.run(["curl", "-q", "-sS", "--fail", "--noproxy", "*", *fields, "-F", f"file=@{folder}/large", made["url"]],
                   capture_output=True, timeout=120, check=True)
    assert s3.head_object(Bucket="bucket", Key="large")["ContentLength"] == 150 << 20
    assert peak_kib() - before < 50 << 10  # a third of it


# ---- what a form can say ------------------------------------------------------------------------------


def test_metadata_and_checksum(server, s3, bucket, connection):
    crc = base64.b64encode(zlib.crc32(b"the file").to_bytes(4, "big")).decode()
    fields = {"key": "m", "Cache-Control": "no-cache", "Content-Disposition": "inline", "Content-Encoding": "br",
              "Expires": "Thu, 01 Dec 2030 16:00:00 GMT", "Content-Type": "text/plain", "x-amz-meta-One": "1",
              "x-amz-meta-two": "${filename}", "x-amz-checksum-crc32": crc, "x-ignore-button": "send"}
    answer = send(connection, server, bucket, fields)
    assert answer.status == 204 and answer["x-amz-checksum-crc32"] == crc, answer
    head = s3.head_object(Bucket=bucket, Key="m", ChecksumMode="ENABLED")
    assert head["Metadata"] == {"one": "1", "two": "name.txt"} and head["ChecksumCRC32"] == crc
    assert [head[k] for k in ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentType")] == [
        "no-cache", "inline", "br", "text/plain"]
    assert send(connection, server, bucket, {**fields, "key": "n", "x-amz-checksum-crc32": "AAAAAA=="}).code == "BadDigest"
    assert stored(s3, bucket, "n") is None


def test_tags(server, s3, bucket, connection):
    xml = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1+2=3</Value></Tag><Tag><Key>e</Key><Value></Value></Tag></TagSet></Tagging>"
    assert send(connection, server, bucket, {"key": "t", "tagging": xml}).status == 204
    tags = s3.get_object_tagging(Bucket=bucket, Key="t")["TagSet"]
    assert tags == [{"Key": "a b", "Value": "1+2=3"}, {"Key": "e", "Value": ""}]
    assert send(connection, server, bucket, {"key": "u", "tagging": "<Tagging>"}).code == "MalformedXML"
    assert send(connection, server, bucket, {"key": "u", "x-amz-tagging": "a=b"}).code == "NotImplemented"
    assert stored(s3, bucket, "u") is None


def test_answers(server, s3, bucket, connection):
    for status, seen in (("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)):
        answer = send(connection, server, bucket, {"key": "a/ü", "success_action_status": status})
        assert answer.status == seen and answer["Location"].endswith(f"/{bucket}/a/%C3%BC")
        assert (answer.body != b"") == (seen == 201)
    for url, glue in (("https://example.test/done", "?"), ("http://example.test/?a=b", "&")):
        for name in ("success_action_redirect", "redirect"):
            answer = send(connection, server, bucket, {"key": "k&", name: url, "success_action_status": "201"})
            tag = hashlib.md5(b"the file").hexdigest()
            assert answer.status == 303
            assert answer["Location"] == f"{url}{glue}bucket={bucket}&key=k%26&etag=%22{tag}%22"
    for url in ("javascript:alert(1)", "//example.test", "https://a\r\nSet-Cookie: b", "https://ü"):
        answer = send(connection, server, bucket, {"key": "k", "success_action_redirect": url})
        assert answer.status == 204 and answer["set-cookie"] is None


def test_virtual_host(server, s3, bucket, connection):
    form = body_of(sign({"key": "at/host"}, [{"key": "at/host"}], bucket))
    answer = post(connection, server, "", form, Host=f"{bucket}.s3.example.test")
    assert answer.status == 204 and answer["Location"] == f"http://{bucket}.s3.example.test/at/host"
    assert stored(s3, bucket, "at/host") == b"the file"


@pytest.mark.parametrize("file, name", [("plain.txt", "plain.txt"), ("C:\\dir\\old.txt", "old.txt"), ("a/b/c.txt", "c.txt"),
                                        ("ü %41.txt", "ü %41.txt"), ("", ""), ('say \\"x\\".txt', '".txt')])
def test_file_names(server, s3, bucket, connection, file, name):
    assert send(connection, server, bucket, {"key": "f-${filename}"}, [["starts-with", "$key", "f-"]], file=file).status == 204
    assert stored(s3, bucket, f"f-{name}") == b"the file"


def test_any_pieces(server, s3, bucket, connection):
    data = b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n\r\n--\r\n" + b"x" * 5000 + b"\r"
    form = body_of(sign({"key": "pieces"}, [{"key": "pieces"}], bucket), data, more=part("after", "it is ignored"))
    for pieces in (1, 7, 73, 4096):
        assert post(connection, server, bucket, form, pieces).status == 204
        assert stored(s3, bucket, "pieces") == data
        s3.delete_object(Bucket=bucket, Key="pieces")


# ---- policies --------------------------------------------------------------------------------------------


def test_conditions(server, s3, bucket, connection):
    fields = {"key": "user/eric/1", "acl": "private", "Content-Type": "image/png"}
    good = [["starts-with", "$key", "user/eric/"], {"acl": "private"}, ["eq", "$Content-Type", "image/png"]]
    assert send(connection, server, bucket, fields, good).status == 204
    odd = [["STARTS-WITH", "$KEY", "user/"], {"ACL": "private"}, ["Eq", "$cOnTent-type", "image/png"]]
    assert send(connection, server, bucket, fields, odd).status == 204
    s3.delete_object(Bucket=bucket, Key="user/eric/1")
    bad = {0: ["starts-with", "$key", "user/ann/"], 1: {"acl": "public-read"}, 2: ["eq", "$Content-Type", "image/"]}
    for at, condition in bad.items():
        answer = send(connection, server, bucket, fields, [*good[:at], condition, *good[at + 1:]])
        assert answer.status == 403 and answer.code == "AccessDenied", answer
        assert "Invalid according to Policy: Policy Condition failed: [" in answer.xml().findtext("Message")
    for at, name in enumerate(fields):
        answer = send(connection, server, bucket, fields, good[:at] + good[at + 1:])
        assert answer.status == 403 and answer.xml().findtext("Message") == f"Invalid according to Policy: Extra input fields: {name}"
    answer = send(connection, server, bucket, {**fields, "x-amz-meta-late": "x"}, good)
    assert answer.xml().findtext("Message").endswith("Extra input fields: x-amz-meta-late")
    missing = send(connection, server, bucket, fields, [*good, {"x-amz-meta-wanted": "x"}])
    assert missing.code == "AccessDenied" and "x-amz-meta-wanted" in missing.xml().findtext("Message")
    types = {**fields, "Content-Type": "image/png, text/html"}
    assert send(connection, server, bucket, types, [*good[:2], ["starts-with", "$Content-Type", "image/"]]).code == "AccessDenied"
    assert stored(s3, bucket, "user/eric/1") is None


def test_another_bucket_and_none(server, s3, bucket, connection):
    assert send(connection, server, bucket, {"key": "k", "bucket": bucket}).status == 204  # as npm's SDK does
    assert send(connection, server, bucket, {"key": "k", "bucket": "other"}, [{"key": "k"}]).code == "InvalidArgument"
    other = f"{bucket}-other"
    s3.create_bucket(Bucket=other)
    form = body_of(sign({"key": "k"}, [{"key": "k"}], other))
    assert post(connection, server, bucket, form).code == "AccessDenied"
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
    free = {"expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": [
        ["starts-with", f"${name}", ""] for name in ("key", "x-amz-algorithm", "x-amz-credential", "x-amz-date")]}
    answer = post(connection, server, bucket, body_of(sign({"key": "k"}, [], bucket, policy=free)))
    assert answer.xml().findtext("Message") == "Invalid according to Policy: Extra input fields: bucket"
    free["conditions"].append(["starts-with", "$bucket", "bucket-"])
    assert post(connection, server, bucket, body_of(sign({"key": "k"}, [], bucket, policy=free))).status == 204


@pytest.mark.parametrize("low, high, size, code", [(0, 8, 8, None), (8, 8, 8, None), (0, 7, 8, "EntityTooLarge"),
                                                   (9, 99, 8, "EntityTooSmall"), (1, 10, 0, "EntityTooSmall"),
                                                   (0, 300_000, 300_001, "EntityTooLarge"), ("0", "300000", 300_000, None)])
def test_length_range(server, s3, bucket, connection, low, high, size, code):
    conditions = [{"key": "r"}, ["content-length-range", low, high], ["content-length-range", 0, 400_000]]
    answer = send(connection, server, bucket, {"key": "r"}, conditions, data=b"x" * size)
    assert (answer.status, answer.code) == ((400, code) if code else (204, None)), answer
    assert (stored(s3, bucket, "r") is None) == (code is not None)


def test_expired(server, bucket, connection):
    answer = send(connection, server, bucket, {"key": "k"}, expires_s=-1)
    assert answer.status == 403 and answer.xml().findtext("Message") == "Invalid according to Policy: Policy expired."
    now = datetime.datetime.now(datetime.timezone.utc)
    assert send(connection, server, bucket, {"key": "k"}, date=now - datetime.timedelta(days=8)).code == "AccessDenied"
    assert send(connection, server, bucket, {"key": "k"}, date=now + datetime.timedelta(hours=1)).code == "AccessDenied"
    assert send(connection, server, bucket, {"key": "k"}, date=now - datetime.timedelta(days=6)).status == 204


@pytest.mark.parametrize("policy", [
    b"", b"{", b"[]", b"nonsense", b"{}", b'{"conditions": []}', b'{"expiration": "2030-01-01T00:00:00Z"}',
    b'{"expiration": "soon", "conditions": []}', b'{"expiration": "2030-13-01T00:00:00Z", "conditions": []}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": {}}', b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [1]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [{"a": "b", "c": "d"}]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [{}]}', b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [{"acl": 1}]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [["ne", "$key", "a"]]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [["eq", "key", "a"]]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [["eq", "$key"]]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [["content-length-range", 2, 1]]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [["content-length-range", -1, 1]]}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [], "more": 1}',
    b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [], "conditions": []}', b"[" * 5000])
def test_no_policy(server, bucket, connection, policy):
    answer = post(connection, server, bucket, body_of(sign({"key": "k"}, [], bucket, policy=policy)))
    assert answer.status == 400 and answer.code in ("InvalidPolicyDocument", "InvalidArgument"), answer


def test_signatures(server, s3, bucket, connection):
    good = sign({"key": "s"}, [{"key": "s"}], bucket)
    wrong = {"x-amz-signature": ("0" * 64, "SignatureDoesNotMatch"), "policy": (good["policy"][:-8] + "AAAAAAAA", "SignatureDoesNotMatch"),
             "x-amz-algorithm": ("AWS4-HMAC-SHA1", "InvalidArgument"), "x-amz-date": ("20200101T000000Z", "InvalidArgument"),
             "x-amz-credential": ("nobody/" + good["x-amz-credential"].split("/", 1)[1], "InvalidAccessKeyId"),
             "x-amz-security-token": ("none", "InvalidToken")}
    for name, (value, code) in wrong.items():
        answer = post(connection, server, bucket, body_of({**good, name: value}))
        assert answer.code == code, (name, answer)
    for name in ("policy", "x-amz-signature", "x-amz-date", "x-amz-credential", "x-amz-algorithm"):
        answer = post(connection, server, bucket, body_of({k: v for k, v in good.items() if k != name}))
        assert answer.code == "InvalidArgument" and name in answer.xml().findtext("Message")
    v2 = {"key": "s", "AWSAccessKeyId": daemon.ALICE.access, "policy": good["policy"], "signature": "x"}
    assert post(connection, server, bucket, body_of(v2)).code == "InvalidRequest"
    both = post(connection, server, bucket, body_of(good), Authorization="Basic QTpC")
    assert both.code == "InvalidArgument"
    assert stored(s3, bucket, "s") is None
    assert post(connection, server, bucket, body_of(good)).status == 204


# ---- who may ----------------------------------------------------------------------------------------------


def test_access_as_a_put(server, s3, bob, bucket, connection):
    anonymous = body_of({"key": "open/a"})
    assert post(connection, server, bucket, anonymous).code == "AccessDenied"
    assert send(connection, server, bucket, {"key": "open/a"}, key=daemon.BOB).code == "AccessDenied"
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/open/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    assert post(connection, server, bucket, anonymous).status == 204
    assert post(connection, server, bucket, body_of({"key": "shut/a"})).code == "AccessDenied"
    assert send(connection, server, bucket, {"key": "open/b"}, key=daemon.BOB).status == 204
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {"StringEquals": {"s3:authType": "POST"}}}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]}))
    assert send(connection, server, bucket, {"key": "open/c"}).code == "AccessDenied"
    assert post(connection, server, bucket, anonymous).status == 204  # it has no authType
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={
        "BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": True})
    assert post(connection, server, bucket, anonymous).code == "AccessDenied"


def test_fields_are_the_head_and_the_head_is_not(server, s3, bucket, connection):
    """Nobody signed the head of the request: what a PUT's head says, only fields may say here."""
    form = body_of(sign({"key": "h"}, [{"key": "h"}], bucket))
    answer = post(connection, server, bucket, form, x_amz_meta_evil="1", x_amz_acl="public-read", Cache_Control="evil",
                  If_None_Match="*", x_amz_server_side_encryption="aws:kms", Content_Encoding="evil")
    assert answer.status == 204
    head = s3.head_object(Bucket=bucket, Key="h")
    assert head["Metadata"] == {} and "CacheControl" not in head and "ContentEncoding" not in head
    assert send(connection, server, bucket, {"key": "p", "acl": "public-read"}).status in (400, 403, 501)
    for name, value, code in (("x-amz-server-side-encryption", "aws:kms", "NotImplemented"), ("x-amz-copy-source", "a/b", "NotImplemented"),
                              ("x-amz-meta-a", "b\r\nSet-Cookie: c", "InvalidArgument"), ("x-amz-meta-ü", "x", "InvalidArgument"),
                              ("x-amz-storage-class", "ODD", "InvalidStorageClass"), ("x-amz-meta-big", "x" * 2100, "MetadataTooLarge")):
        assert send(connection, server, bucket, {"key": "p", name: value}).code == code, name
    assert stored(s3, bucket, "p") is None
    assert send(connection, server, bucket, {"key": "e", "x-amz-server-side-encryption": "AES256"})["x-amz-server-side-encryption"] == "AES256"


def test_cors(server, s3, bucket, connection):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [
        {"AllowedOrigins": ["https://page.test"], "AllowedMethods": ["POST"], "ExposeHeaders": ["ETag"]}]})
    form = body_of(sign({"key": "c"}, [{"key": "c"}], bucket))
    answer = post(connection, server, bucket, form, Origin="https://page.test")
    assert answer.status == 204 and answer["access-control-allow-origin"] == "https://page.test"
    assert post(connection, server, bucket, form, Origin="https://other.test")["access-control-allow-origin"] is None


def test_versions(server, s3, bucket, connection):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [send(connection, server, bucket, {"key": "v"}, data=data)["x-amz-version-id"] for data in (b"one", b"two")]
    assert [s3.get_object(Bucket=bucket, Key="v", VersionId=each)["Body"].read() for each in ids] == [b"one", b"two"]


# ---- forms that are none -----------------------------------------------------------------------------------


def test_malformed(server, s3, bucket, connection):
    good = sign({"key": "x"}, [{"key": "x"}], bucket)
    form, mark = body_of(good), f"--{BOUNDARY}".encode()
    rows = {
        "no end": (form[:-len(mark) - 4], "MalformedPOSTRequest"), "half an end": (form[:-4], "MalformedPOSTRequest"),
        "empty": (b"", "MalformedPOSTRequest"), "preamble": (b"hello\r\n" + form, "MalformedPOSTRequest"),
        "no file": (b"".join(part(*each) for each in good.items()) + mark + b"--\r\n", "IncorrectNumberOfFilesInPostRequest"),
        "two files": (body_of(good, more=part("file", b"again", "b")), "IncorrectNumberOfFilesInPostRequest"),
        "file first": (part("file", b"early", "a") + form, "InvalidArgument"),
        "twice": (part("key", "y") + form, "InvalidArgument"), "twice, otherwise spelled": (part("KEY", "x") + form, "InvalidArgument"),
        "no name": (form.replace(b'name="key"', b'nome="key"'), "MalformedPOSTRequest"),
        "two dispositions": (form.replace(b'name="key"', b'name="key"\r\nContent-Disposition: form-data; name="z"'), "MalformedPOSTRequest"),
        "another kind": (form.replace(b"form-data;", b"attachment;", 1), "MalformedPOSTRequest"),
        "glued boundary": (form.replace(mark + b"\r\n", mark + b"X\r\n", 1), "MalformedPOSTRequest"),
        "bare lines": (form.replace(b"\r\n", b"\n"), "MalformedPOSTRequest"),
        "no key": (body_of({k: v for k, v in good.items() if k != "key"}), "AccessDenied"),
        "too much before the file": (part("x-ignore-it", "x" * 20480) + form, "MaxPostPreDataLengthExceededError"),
        "too many": (b"".join(part(f"x-ignore-{i}", "") for i in range(130)) + form, "MaxPostPreDataLengthExceededError"),
        "too much after the file": (body_of(good, more=part("after", "x" * 21000)), "MalformedPOSTRequest"),
    }
    for what, (body, code) in rows.items():
        with raw.Connection(server) as each:
            answer = post(each, server, bucket, body)
        assert answer.code == code, (what, answer)
    assert stored(s3, bucket, "x") is None
    near = part("x-ignore-it", "x" * (20480 - form.index(b"the file") - len(part("x-ignore-it", "")))) + form
    assert post(connection, server, bucket, near).status == 204  # S3's limit to the byte


def test_types(server, bucket, connection):
    form = body_of(sign({"key": "t"}, [{"key": "t"}], bucket))
    for kind in ("application/x-www-form-urlencoded", "multipart/mixed; boundary=x", None):
        answer = post(connection, server, bucket, form, Content_Type=kind)
        assert (answer.status, answer.code) == (412, "PreconditionFailed")
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 71}",
                 'multipart/form-data; boundary="un', "multipart/form-data; boundary=a; boundary=b", "multipart/form-data; boundary=a*b"):
        answer = post(connection, server, bucket, form, Content_Type=kind)
        assert answer.status == 400, (kind, answer)
    quoted = post(connection, server, bucket, form, Content_Type=f'Multipart/Form-Data; charset=utf-8; Boundary="{BOUNDARY}"')
    assert quoted.status == 204


def test_no_length_and_torn(server, s3, bucket):
    form = body_of(sign({"key": "t"}, [{"key": "t"}], bucket), data=b"x" * 200_000)
    with raw.Connection(server) as each:
        answer = post(each, server, bucket, b"", Transfer_Encoding="chunked", Content_Length=None)
        assert (answer.status, answer.code) == (411, "MissingContentLength")
    with raw.Connection(server) as each:
        each.send(raw.head("POST", f"/{bucket}", {"Host": server.host, "Content-Length": str(len(form)),
                                                 "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}) + form[:150_000])
    assert stored(s3, bucket, "t") is None
