"""SSE-C: objects that only their sender's key opens."""
import base64
import hashlib
import os
import subprocess

import pytest
from botocore.exceptions import ClientError

import test_post
from kit import daemon, env, node, raw, tools
from test_multipart import MIB, PART, refused
from test_node import installed  # noqa: F401
from test_tls import Secure

KEY, OTHER = b"k" * 32, b"o" * 32
TAIL = b"the end of it"
STEM = "server-side-encryption-customer-"


def fields(key=KEY, source=False):
    stem = "x-amz-copy-source-" if source else "x-amz-"
    return {stem + STEM + "algorithm": "AES256", stem + STEM + "key": base64.b64encode(key).decode(),
            stem + STEM + "key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode()}


def by(key=KEY):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def of_source(key=KEY):
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    made = Secure(tmp_path_factory.mktemp("tls-keys"))
    yield made
    made.daemon.kill()


@pytest.fixture(scope="module")
def s3(secure):
    return tools.boto(secure.daemon, daemon.ALICE, verify=secure.ca.chain_file)


@pytest.fixture
def bucket(s3, request):
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()[:60]
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def http(secure):
    with raw.S3(secure.daemon, daemon.ALICE) as client:
        yield client


def failed(call, **arguments):
    """(status, code) of a request that must fail; a HEAD's answer has no code."""
    with pytest.raises(ClientError) as failure:
        call(**arguments)
    answer = failure.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65536, MIB - 1, MIB + 1, 9 * MIB + 5])
def test_whole_objects(s3, bucket, size):
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, Metadata={"a": "b"}, **by())
    assert put["SSECustomerAlgorithm"] == "AES256" and "ServerSideEncryption" not in put
    assert put["SSECustomerKeyMD5"] == base64.b64encode(hashlib.md5(KEY).digest()).decode()
    assert put["ETag"] != f'"{raw.md5(body)}"'
    got = s3.get_object(Bucket=bucket, Key="k", **by())
    assert got["Body"].read() == body and got["ETag"] == put["ETag"] and got["Metadata"] == {"a": "b"}
    assert got["SSECustomerAlgorithm"] == "AES256" and got["ContentLength"] == size
    head = s3.head_object(Bucket=bucket, Key="k", **by())
    assert head["ContentLength"] == size and head["SSECustomerAlgorithm"] == "AES256"
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == size
    for first, last in ((0, 0), (15, 16), (size // 2, size // 2 + 100), (size - 1, size - 1)):
        if 0 <= first < size:
            part = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **by())
            assert part["Body"].read() == body[first:last + 1]


def test_without_the_key_and_with_another(s3, http, bucket):
    s3.put_object(Bucket=bucket, Key="sealed", Body=b"secret", **by())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"open")
    for call in (s3.get_object, s3.head_object):
        code = {s3.get_object: "InvalidRequest", s3.head_object: "400"}[call]
        assert failed(call, Bucket=bucket, Key="sealed") == (400, code)
        assert failed(call, Bucket=bucket, Key="plain", **by()) == (400, code)
        denied = "AccessDenied" if call == s3.get_object else "403"
        assert failed(call, Bucket=bucket, Key="sealed", **by(OTHER)) == (403, denied)
    answer = http.request("GET", f"/{bucket}/sealed")
    assert "was stored using a form of Server Side Encryption" in answer.xml().findtext("Message")
    assert failed(s3.get_object_attributes, Bucket=bucket, Key="sealed", ObjectAttributes=["ObjectSize"])[0] == 400
    for key, status in ((KEY, 200), (OTHER, 403)):
        told = http.request("GET", f"/{bucket}/sealed", [("attributes", "")],
                            {"x-amz-object-attributes": "ObjectSize", **fields(key)})
        assert told.status == status and (status != 200 or told.xml().findtext("ObjectSize") == "6")
    s3.delete_object(Bucket=bucket, Key="sealed")  # no key is needed for that
    assert refused(s3.get_object, Bucket=bucket, Key="sealed", **by()) == "NoSuchKey"


def test_half_a_key_is_refused(http, bucket):
    whole = fields()
    rows = [({"algorithm": "AES128"}, "valid encryption algorithm"), ({"key": None}, "appropriate secret key"),
            ({"key-MD5": None}, "client calculated MD5"), ({"key": "c2hvcnQ="}, "secret key was invalid"),
            ({"key-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "did not match")]
    for change, message in rows:
        headers = {**whole, **{"x-amz-" + STEM + n: v for n, v in change.items()}}
        answer = http.request("PUT", f"/{bucket}/k", headers={n: v for n, v in headers.items() if v}, body=b"x")
        assert (answer.status, answer.code) == (400, "InvalidArgument") and message in answer.xml().findtext("Message")
    both = http.request("PUT", f"/{bucket}/k", headers={**whole, "x-amz-server-side-encryption": "AES256"}, body=b"x")
    assert (both.status, both.code) == (400, "InvalidArgument")
    assert http.get(bucket, "k").status == 404


def test_no_key_over_plain_http(server, secure, bucket, s3):
    """Of a region that has a secure listener, and of one that has none."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **by())
    open_door = type("Plain", (), {"host": "127.0.0.1", "port": secure.daemon.ports[1], "tls": None})
    with raw.S3(open_door, daemon.ALICE) as plain, raw.S3(server, daemon.ALICE) as other:
        other.request("PUT", "/keys-in-the-open")
        for http, name in ((plain, bucket), (other, "keys-in-the-open")):
            for method in ("PUT", "GET", "HEAD"):
                answer = http.request(method, f"/{name}/k", headers=fields(), body=b"x" if method == "PUT" else b"")
                assert answer.status == 400, (method, answer)
                assert method == "HEAD" or (answer.code == "InvalidRequest" and "secure connection" in
                                            answer.xml().findtext("Message"))
            copy = http.request("PUT", f"/{name}/c", headers={"x-amz-copy-source": f"{name}/k", **fields(source=True)})
            assert (copy.status, copy.code) == (400, "InvalidRequest")
            for method, target, headers in (("GET", f"/{name}/k?uploadId=0", fields()), ("DELETE", f"/{name}/k", fields()),
                                            ("GET", f"/{name}/k", fields(source=True))):  # where none is taken, too
                stray = http.request(method, target.partition("?")[0], [("uploadId", "0")] if "?" in target else [],
                                     headers=headers)
                assert (stray.status, stray.code) == (400, "InvalidRequest"), (method, target)


def upload(s3, bucket, key="k", **more):
    where = {"Bucket": bucket, "Key": key}
    where["UploadId"] = s3.create_multipart_upload(**where, **more, **by())["UploadId"]
    parts = []
    for number, body in ((2, PART), (4, PART[::-1]), (7, TAIL)):
        put = s3.upload_part(**where, PartNumber=number, Body=body, **by())
        assert put["SSECustomerAlgorithm"] == "AES256" and put["ETag"] != f'"{raw.md5(body)}"'
        parts.append({"PartNumber": number, "ETag": put["ETag"]})
    return where, parts


def test_uploads_in_parts(s3, http, bucket):
    where, parts = upload(s3, bucket, ChecksumAlgorithm="SHA256")
    whole = PART + PART[::-1] + TAIL
    again = s3.upload_part(**where, PartNumber=7, Body=TAIL, **by())["ETag"]
    assert again != parts[2]["ETag"]  # each attempt is sealed anew
    parts[2]["ETag"] = again
    assert failed(s3.upload_part, **where, PartNumber=9, Body=b"x") == (400, "InvalidRequest")
    assert failed(s3.upload_part, **where, PartNumber=9, Body=b"x", **by(OTHER)) == (400, "InvalidRequest")
    rows = "".join(f"<Part><PartNumber>{p['PartNumber']}</PartNumber><ETag>{p['ETag']}</ETag></Part>" for p in parts)
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    wrong = http.request("POST", f"/{bucket}/k", [("uploadId", where["UploadId"])], fields(OTHER), body)
    assert (wrong.status, wrong.code) == (403, "AccessDenied")
    done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    got = s3.get_object(Bucket=bucket, Key="k", **by())
    assert got["Body"].read() == whole and got["ETag"] == done["ETag"]
    for first, end in ((0, 5), (5 * MIB - 3, 5 * MIB + 3), (10 * MIB - 1, len(whole)), (5 * MIB, 10 * MIB)):
        part = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{end - 1}", **by())
        assert part["Body"].read() == whole[first:end]
    for number, body in ((2, PART), (4, PART[::-1]), (7, TAIL)):
        assert s3.get_object(Bucket=bucket, Key="k", PartNumber=number, **by())["Body"].read() == body
    assert failed(s3.get_object, Bucket=bucket, Key="k") == (400, "InvalidRequest")
    plain = s3.create_multipart_upload(Bucket=bucket, Key="plain")["UploadId"]
    assert failed(s3.upload_part, Bucket=bucket, Key="plain", UploadId=plain, PartNumber=1, Body=b"x",
                  **by()) == (400, "InvalidRequest")


def test_copies(s3, bucket):
    where, parts = upload(s3, bucket)
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    whole, source = PART + PART[::-1] + TAIL, {"Bucket": bucket, "Key": "k"}
    assert failed(s3.copy_object, Bucket=bucket, Key="c", CopySource=source) == (400, "InvalidRequest")
    assert failed(s3.copy_object, Bucket=bucket, Key="c", CopySource=source, **of_source(OTHER)) == (403, "AccessDenied")
    s3.copy_object(Bucket=bucket, Key="opened", CopySource=source, **of_source())
    assert s3.get_object(Bucket=bucket, Key="opened")["Body"].read() == whole
    copied = s3.copy_object(Bucket=bucket, Key="resealed", CopySource=source, **of_source(), **by(OTHER))
    assert copied["SSECustomerAlgorithm"] == "AES256"
    assert s3.get_object(Bucket=bucket, Key="resealed", **by(OTHER))["Body"].read() == whole
    assert failed(s3.get_object, Bucket=bucket, Key="resealed", **by())[0] == 403
    s3.copy_object(Bucket=bucket, Key="sealed", CopySource={"Bucket": bucket, "Key": "opened"}, **by())
    assert s3.get_object(Bucket=bucket, Key="sealed", **by())["Body"].read() == whole
    assert failed(s3.copy_object, Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "opened"},
                  **of_source()) == (400, "InvalidRequest")
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source, **of_source(), **by(OTHER))  # another key in its place
    assert s3.get_object(Bucket=bucket, Key="k", **by(OTHER))["Body"].read() == whole
    new = s3.create_multipart_upload(Bucket=bucket, Key="new", **by())["UploadId"]
    part = s3.upload_part_copy(Bucket=bucket, Key="new", UploadId=new, PartNumber=1, CopySource=source,
                               CopySourceRange="bytes=3-9000000", **of_source(OTHER), **by())["CopyPartResult"]
    s3.complete_multipart_upload(Bucket=bucket, Key="new", UploadId=new,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert s3.get_object(Bucket=bucket, Key="new", **by())["Body"].read() == whole[3:9000001]


def test_versions_and_tags(s3, bucket):
    """What is changed of a version leaves it sealed, and each version has a key of its own."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"first", **by())["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"second", **by(OTHER))
    s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=first, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    got = s3.get_object(Bucket=bucket, Key="k", VersionId=first, **by())
    assert got["Body"].read() == b"first" and got["TagCount"] == 1
    assert s3.get_object(Bucket=bucket, Key="k", **by(OTHER))["Body"].read() == b"second"


def test_checksums_are_of_what_was_sent(s3, http, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256", **by())
    assert base64.b64decode(put["ChecksumSHA256"]) == hashlib.sha256(b"hello").digest()
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", **by())
    assert got["Body"].read() == b"hello" and got["ChecksumSHA256"] == put["ChecksumSHA256"]
    wrong = http.request("PUT", f"/{bucket}/k", body=b"hello",
                         headers={**fields(), "Content-MD5": base64.b64encode(hashlib.md5(b"x").digest()).decode()})
    assert wrong.code == "BadDigest"


def test_forms(server, secure, s3, bucket):
    form = {"key": "form", **fields()}
    with raw.Connection(server) as connection:
        answer = test_post.send(connection, server, "none-yet", form)
        assert (answer.status, answer.code) == (400, "InvalidRequest") and "secure" in answer.xml().findtext("Message")
    with raw.Connection(secure.daemon) as connection:
        answer = test_post.send(connection, secure.daemon, bucket, form)
        assert answer.status == 204 and answer["x-amz-" + STEM + "algorithm"] == "AES256"
    assert s3.get_object(Bucket=bucket, Key="form", **by())["Body"].read() == b"the file"
    assert failed(s3.get_object, Bucket=bucket, Key="form") == (400, "InvalidRequest")


def test_nothing_of_the_key_is_written(tmp_path):
    """Data, keys and logs hold neither key nor bytes; a rebuilt index finds all of it again."""
    key = os.urandom(32)
    made = Secure(tmp_path)
    try:
        s3 = tools.boto(made.daemon, daemon.ALICE, verify=made.ca.chain_file)
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="k", Body=b"needle in a haystack" * 100, **by(key))
        assert failed(s3.get_object, Bucket="kept", Key="k", **by(OTHER))[0] == 403
        made.daemon.stop()
        needles = (key, base64.b64encode(key), key.hex().encode(), hashlib.md5(key).digest(),
                   base64.b64encode(hashlib.md5(key).digest()), b"needle in a haystack")
        files = [each for each in tmp_path.rglob("*") if each.is_file()]
        assert len(files) > 10
        for each in files:
            content = each.read_bytes()
            assert not [n for n in needles if n in content], each
        rebuilt = subprocess.run([env.BINARY, "fsck", "--dev", "--region", "in", "--data", tmp_path / "data", "--rebuild-index"],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert rebuilt.returncode == 0, rebuilt.stdout
        made.daemon.start()
        s3 = tools.boto(made.daemon, daemon.ALICE, verify=made.ca.chain_file)
        assert s3.get_object(Bucket="kept", Key="k", **by(key))["Body"].read() == b"needle in a haystack" * 100
    finally:
        made.daemon.kill()


def test_awscli(secure, s3, bucket, folder):
    body = os.urandom(17 * MIB)
    (folder / "body").write_bytes(body)
    (folder / "key").write_bytes(KEY)
    aws = tools.Aws(folder / "home", secure.daemon, daemon.ALICE)
    trust = ("--ca-bundle", secure.ca.chain_file)
    key = ("--sse-c", "AES256", "--sse-c-key", f"fileb://{folder / 'key'}")
    aws.run("s3", "cp", folder / "body", f"s3://{bucket}/k", *key, *trust)
    aws.run("s3", "cp", f"s3://{bucket}/k", folder / "back", *key, *trust)
    assert (folder / "back").read_bytes() == body
    assert "400" in aws.run("s3", "cp", f"s3://{bucket}/k", folder / "no", *trust, check=False)
    assert s3.get_object(Bucket=bucket, Key="k", **by())["Body"].read() == body


def test_node(installed, secure, bucket, folder):  # noqa: F811
    node.run(installed, "sdk_customer.mjs", folder / "home", f"https://{secure.daemon.host}:{secure.daemon.port}",
             daemon.ALICE, bucket, NODE_EXTRA_CA_CERTS=str(secure.ca.chain_file))
