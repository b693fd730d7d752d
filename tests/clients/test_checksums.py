"""Checksums of uploads in parts: composite and of the full object, checked, kept and told."""
import base64
import hashlib
import os
import re
import xml.sax.saxutils
import zlib

import pytest

from kit import daemon, tools
from test_auth import checksum
from test_multipart import MIB, PART

TAIL = b"the end of it"
ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
POLY = {"crc32": 0xEDB88320, "crc32c": 0x82F63B78, "crc64nvme": 0x9A6C9329AC4BC9B5}


def b64(data):
    return base64.b64encode(data).decode()


def crc_of_both(kind, first, tail):
    """The CRC of what has the CRC `first`, and `tail` behind it."""
    size = 8 if kind == "crc64nvme" else 4
    mask = (1 << 8 * size) - 1
    crc = int.from_bytes(base64.b64decode(first), "big") ^ mask
    for byte in tail:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLY[kind] if crc & 1 else 0)
    return b64((crc ^ mask).to_bytes(size, "big"))


class Raw:
    """An upload by hand: newer headers than the Python client here knows."""

    def __init__(self, http, bucket, key="k", **headers):
        self.http, self.path = http, f"/{bucket}/{key}"
        self.began = self.ask("POST", [("uploads", "")], headers)
        self.id = self.began.xml().findtext("UploadId") if self.began.status == 200 else None
        self.parts = {}

    def ask(self, method, query=(), headers=None, body=b""):
        return self.http.request(method, self.path, query,
                                 headers={n.replace("_", "-"): v for n, v in (headers or {}).items()}, body=body)

    def part(self, number, body, **headers):
        answer = self.ask("PUT", [("partNumber", number), ("uploadId", self.id)], headers, body)
        sums = {n[15:]: v for n, v in answer.headers.items() if re.fullmatch("x-amz-checksum-(crc|sha)[0-9a-z]+", n)}
        if answer.status == 200:
            self.parts[number] = (answer["etag"], sums)
        return answer

    def complete(self, sums=True, **headers):
        rows = []
        for number, (etag, kept) in sorted(self.parts.items()):
            each = "".join(f"<Checksum{n.upper()}>{v}</Checksum{n.upper()}>" for n, v in kept.items()) if sums else ""
            rows.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{xml.sax.saxutils.escape(etag)}</ETag>{each}</Part>")
        body = f"<CompleteMultipartUpload>{''.join(rows)}</CompleteMultipartUpload>".encode()
        return self.ask("POST", [("uploadId", self.id)], headers, body)

    def head(self, *query):
        return self.ask("HEAD", query, {"x-amz-checksum-mode": "ENABLED"})


def test_python_crc_agrees():
    assert crc_of_both("crc32", checksum("crc32", b"1234"), b"56789") == checksum("crc32", b"123456789")
    assert crc_of_both("crc64nvme", checksum("crc64nvme", b"12"), b"3456789") == checksum("crc64nvme", b"123456789")


@pytest.mark.parametrize("kind", ["crc32", "crc32c", "sha1", "sha256"])
def test_composite(http, bucket, kind):
    up = Raw(http, bucket, x_amz_checksum_algorithm=kind.upper())
    assert (up.began["x-amz-checksum-algorithm"], up.began["x-amz-checksum-type"]) == (kind.upper(), "COMPOSITE")
    up.part(1, PART)  # without one: it is computed
    assert up.part(2, TAIL, **{f"x-amz-checksum-{kind}": checksum(kind, TAIL)}).status == 200
    first, second = up.parts[1][1][kind], up.parts[2][1][kind]
    assert second == checksum(kind, TAIL)
    if kind in ("crc32", "sha1", "sha256"):
        want = zlib.crc32(PART).to_bytes(4, "big") if kind == "crc32" else hashlib.new(kind, PART).digest()
        assert first == b64(want)
    listed = up.ask("GET", [("uploadId", up.id)]).xml()
    tag = "Checksum" + kind.upper()
    assert listed.findtext("ChecksumAlgorithm") == kind.upper() and listed.findtext("ChecksumType") == "COMPOSITE"
    assert [p.findtext(tag) for p in listed.findall("Part")] == [first, second]
    whole = checksum(kind, base64.b64decode(first) + base64.b64decode(second)) + "-2"
    wrong = up.complete(**{f"x-amz-checksum-{kind}": checksum(kind, b"other") + "-2"})
    assert (wrong.status, wrong.code) == (400, "BadDigest")
    assert up.complete(**{f"x-amz-checksum-{kind}": whole[:-1] + "3"}).code == "BadDigest"
    done = up.complete(**{f"x-amz-checksum-{kind}": whole})
    assert done.status == 200, done
    assert done.xml().findtext(tag) == whole and done.xml().findtext("ChecksumType") == "COMPOSITE"
    assert up.complete().xml().findtext(tag) == whole  # sent again
    head = up.head()
    assert head[f"x-amz-checksum-{kind}"] == whole and head["x-amz-checksum-type"] == "COMPOSITE"
    got = up.ask("GET", (), {"x-amz-checksum-mode": "ENABLED"})
    assert got.body == PART + TAIL and got[f"x-amz-checksum-{kind}"] == whole
    assert up.ask("HEAD")[f"x-amz-checksum-{kind}"] is None
    assert up.head(("partNumber", 2))[f"x-amz-checksum-{kind}"] == second
    ranged = up.ask("GET", (), {"x-amz-checksum-mode": "ENABLED", "Range": "bytes=0-1"})
    assert ranged.status == 206 and ranged[f"x-amz-checksum-{kind}"] is None


@pytest.mark.parametrize("kind", ["crc32", "crc32c", "crc64nvme"])
def test_full_object(http, bucket, kind):
    more = {} if kind == "crc64nvme" else {"x_amz_checksum_type": "FULL_OBJECT"}
    up = Raw(http, bucket, x_amz_checksum_algorithm=kind.upper(), **more)
    assert up.began["x-amz-checksum-type"] == "FULL_OBJECT"
    up.part(3, PART)
    up.part(5, TAIL)
    up.part(9, b"!")
    whole = crc_of_both(kind, up.parts[3][1][kind], TAIL + b"!")
    if kind == "crc32":
        assert whole == b64(zlib.crc32(PART + TAIL + b"!").to_bytes(4, "big"))
    small = up.complete(**{f"x-amz-checksum-{kind}": whole})
    assert small.code == "EntityTooSmall"  # of a part in the middle: nothing is done
    del up.parts[5]
    whole = crc_of_both(kind, up.parts[3][1][kind], b"!")
    assert up.complete(**{f"x-amz-checksum-{kind}": checksum(kind, b"other")}).code == "BadDigest"
    assert up.complete(x_amz_checksum_type="COMPOSITE").code == "InvalidRequest"
    assert up.complete(x_amz_mp_object_size=str(5 * MIB)).code == "InvalidRequest"
    done = up.complete(x_amz_mp_object_size=str(5 * MIB + 1), x_amz_checksum_type="FULL_OBJECT",
                       **{f"x-amz-checksum-{kind}": whole})
    assert done.status == 200, done
    assert done.xml().findtext("Checksum" + kind.upper()) == whole
    head = up.head()
    assert head[f"x-amz-checksum-{kind}"] == whole and head["x-amz-checksum-type"] == "FULL_OBJECT"
    told = up.ask("GET", [("attributes", "")], {"x-amz-object-attributes": "Checksum,ObjectParts"}).xml()
    assert told.findtext(f"Checksum/Checksum{kind.upper()}") == whole
    assert told.findtext("Checksum/ChecksumType") == "FULL_OBJECT"
    assert [(p.findtext("PartNumber"), p.findtext("Size")) for p in told.findall("ObjectParts/Part")] == [
        ("3", str(5 * MIB)), ("9", "1")]
    assert up.ask("GET", [("partNumber", 9)]).body == b"!"
    assert up.ask("GET", [("partNumber", 5)]).code == "InvalidPartNumber"


def test_which_type_an_algorithm_has(http, bucket):
    for kind in ALGORITHMS:
        for wanted in ("COMPOSITE", "FULL_OBJECT"):
            up = Raw(http, bucket, x_amz_checksum_algorithm=kind.upper(), x_amz_checksum_type=wanted)
            there = kind != "crc64nvme" if wanted == "COMPOSITE" else kind.startswith("crc")
            assert up.began.status == (200 if there else 400), (kind, wanted)
            assert there or up.began.code == "InvalidRequest"
    assert Raw(http, bucket, x_amz_checksum_type="COMPOSITE").began.code == "InvalidRequest"


def test_parts_of_another_kind_are_refused(http, bucket):
    up = Raw(http, bucket, x_amz_checksum_algorithm="SHA256")
    answer = up.part(1, TAIL, x_amz_checksum_crc32=checksum("crc32", TAIL))
    assert (answer.status, answer.code) == (400, "InvalidRequest") and "SHA256" in answer.xml().findtext("Message")
    assert up.part(1, TAIL, x_amz_checksum_sha256=checksum("sha256", b"other")).code == "BadDigest"
    assert up.part(1, TAIL).status == 200
    etag, _ = up.parts[1]
    up.parts[1] = (etag, {"sha256": checksum("sha256", b"other")})
    assert up.complete().code == "InvalidPart"
    up.parts[1] = (etag, {"crc32": checksum("crc32", TAIL)})
    assert up.complete().code == "InvalidPart"
    assert up.complete(sums=False, x_amz_checksum_crc32=checksum("crc32", TAIL)).code == "InvalidRequest"
    assert up.complete(sums=False).status == 200


def test_upload_without_a_plan(http, bucket):
    up = Raw(http, bucket)
    up.part(1, TAIL, x_amz_checksum_crc32=checksum("crc32", TAIL))
    assert up.complete(x_amz_checksum_crc32c=checksum("crc32c", TAIL)).code == "InvalidRequest"
    assert up.complete(x_amz_checksum_crc32=checksum("crc32", TAIL)).status == 200
    assert up.head()["x-amz-checksum-crc32"] == checksum("crc32", TAIL)
    plain = Raw(http, bucket, "plain")
    plain.part(1, TAIL)
    assert plain.complete().status == 200
    assert plain.head()["x-amz-checksum-type"] is None


def test_copies(http, s3, bucket):
    up = Raw(http, bucket, x_amz_checksum_algorithm="CRC32")
    up.part(1, PART)
    up.part(2, TAIL)
    up.complete()
    source = f"{bucket}/k"
    whole = b64(zlib.crc32(PART + TAIL).to_bytes(4, "big"))
    copied = http.request("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": source})
    assert copied.xml().findtext("ChecksumCRC32") == whole and copied.xml().findtext("ChecksumType") == "FULL_OBJECT"
    head = http.request("HEAD", f"/{bucket}/copy", headers={"x-amz-checksum-mode": "ENABLED"})
    assert (head["x-amz-checksum-crc32"], head["x-amz-checksum-type"]) == (whole, "FULL_OBJECT")
    assert s3.get_object(Bucket=bucket, Key="copy", PartNumber=1)["ContentLength"] == 5 * MIB + len(TAIL)
    again = http.request("PUT", f"/{bucket}/again", headers={"x-amz-copy-source": f"{bucket}/copy",
                                                              "x-amz-checksum-algorithm": "SHA256"})
    assert again.xml().findtext("ChecksumSHA256") == b64(hashlib.sha256(PART + TAIL).digest())
    new = Raw(http, bucket, "new", x_amz_checksum_algorithm="SHA1")
    answer = new.ask("PUT", [("partNumber", 1), ("uploadId", new.id)], {"x-amz-copy-source": source})
    assert answer.xml().findtext("ChecksumSHA1") == b64(hashlib.sha1(PART + TAIL).digest())


def test_boto3(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    began = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
    assert began["ChecksumAlgorithm"] == "SHA256"
    where["UploadId"] = began["UploadId"]
    parts = []
    for number, body in enumerate((PART, TAIL), 1):
        put = s3.upload_part(**where, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": put["ETag"], "ChecksumSHA256": put["ChecksumSHA256"]})
    listed = s3.list_parts(**where)
    assert [p["ChecksumSHA256"] for p in listed["Parts"]] == [p["ChecksumSHA256"] for p in parts]
    done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert done["ChecksumSHA256"].endswith("-2")
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts"], MaxParts=1)
    assert told["Checksum"]["ChecksumSHA256"] == done["ChecksumSHA256"]
    page = told["ObjectParts"]
    assert page["TotalPartsCount"] == 2 and page["IsTruncated"] and page["NextPartNumberMarker"] == 1
    assert page["Parts"] == [{"PartNumber": 1, "Size": 5 * MIB, "ChecksumSHA256": parts[0]["ChecksumSHA256"]}]
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"], PartNumberMarker=1)
    assert [p["PartNumber"] for p in told["ObjectParts"]["Parts"]] == [2] and not told["ObjectParts"]["IsTruncated"]
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == PART + TAIL and got["ChecksumSHA256"] == done["ChecksumSHA256"]
    one = s3.get_object(Bucket=bucket, Key="k", PartNumber=2, ChecksumMode="ENABLED")
    assert one["Body"].read() == TAIL and one["ChecksumSHA256"] == parts[1]["ChecksumSHA256"]


def test_awscli(server, bucket, folder):
    body = folder / "body"
    body.write_bytes(os.urandom(17 * MIB))
    aws = tools.Aws(folder / "home", server, daemon.ALICE)
    aws.run("s3", "cp", body, f"s3://{bucket}/k")
    aws.run("s3", "cp", f"s3://{bucket}/k", folder / "back")
    assert (folder / "back").read_bytes() == body.read_bytes()
    told = aws.run("s3api", "get-object-attributes", "--bucket", bucket, "--key", "k",
                   "--object-attributes", "ObjectSize", "ObjectParts", "--query", "[ObjectSize,ObjectParts.TotalPartsCount]",
                   "--output", "text")
    assert told.split() == [str(17 * MIB), "3"]
