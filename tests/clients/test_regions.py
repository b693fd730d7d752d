"""Four regions under one charter: a person moves, clients go on through gateways that do not know it yet,
and nobody but the regions themselves can say anything between regions."""
import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon, peers, raw, tools, tree  # noqa: E402
from kit.world import KEY, watched  # noqa: E402
from lib import regions  # noqa: E402

SUBJECT = "asha-8421-needle"
BUCKET = "phones"
FILES = 80
RULES = """  IN:
    home: cn
    restricted: {store: [CN, SG], read: [CN, SG], transit: [CN, SG]}
    personal: {store: [CN, SG], read: any, transit: any}
  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""


@pytest.fixture(scope="module")
def world():
    with watched("clients", RULES, BUCKET) as made:
        yield made


def keys_below(s3, prefix=f"{SUBJECT}/"):
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        for each in page.get("Contents", []):
            found[each["Key"]] = (each["Size"], each["ETag"], each["LastModified"])
    return found


class Moved:
    """A person with a real tree, first at home in cn, now in sg; us met them while they were in cn."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder
        self.token = world.register(SUBJECT, "IN", at="cn")
        self.root = tree.make(folder / "tree", seed=7, count=FILES)
        self.rclone = tools.Rclone(folder / "home", world.gateway["cn"], KEY)
        self.aws = tools.Aws(folder / "home-aws", world.gateway["cn"], KEY)
        self.rclone.run("sync", self.root, f"dom:{BUCKET}/{SUBJECT}/tree")
        self.s3 = {name: tools.boto(world.gateway[name], KEY) for name in world.names}
        self.s3["cn"].put_object(Bucket=BUCKET, Key=f"{SUBJECT}/contacts/card", Body=b"restricted")
        self.upload = self.s3["us"].create_multipart_upload(Bucket=BUCKET, Key=f"{SUBJECT}/big")["UploadId"]
        self.part = os.urandom(5 << 20)
        self.part_etag = self.s3["us"].upload_part(Bucket=BUCKET, Key=f"{SUBJECT}/big", UploadId=self.upload,
                                                   PartNumber=1, Body=self.part)["ETag"]
        self.before = keys_below(self.s3["cn"], f"{SUBJECT}/tree/")
        assert len(self.before) == FILES
        assert keys_below(self.s3["us"], f"{SUBJECT}/tree/") == self.before  # us has learnt: home is cn
        world.at("cn", "move", "--subject", SUBJECT, "--tenant", regions.TENANT, "--to", "sg")
        assert world.homes(self.token) == {"sg": "home"}


@pytest.fixture(scope="module")
def moved(world, tmp_path_factory):
    return Moved(world, tmp_path_factory.mktemp("moved"))


# ---- sync tools see no difference -------------------------------------------------------------

def test_listing_is_the_same_through_every_gateway(moved):
    for name in moved.world.names:
        assert keys_below(moved.s3[name], f"{SUBJECT}/tree/") == moved.before, name


def test_rclone_sync_through_the_old_region_changes_nothing(moved):
    there = f"dom:{BUCKET}/{SUBJECT}/tree"
    for arguments in (("sync", moved.root, there), ("sync", there, moved.root)):
        told = moved.rclone.run(*arguments, "--dry-run", "-v")
        assert "Skipped" not in told and "Not copying" not in told, told
        told = moved.rclone.run(*arguments, "-v")
        assert "Copied" not in told and "Deleted" not in told and "Updated" not in told, told
        assert "There was nothing to transfer" in told
    assert "0 differences found" in moved.rclone.run("check", "--download", moved.root, there)
    assert keys_below(moved.s3["sg"], f"{SUBJECT}/tree/") == moved.before


def test_aws_sync_through_the_old_region_changes_nothing(moved):
    there = f"s3://{BUCKET}/{SUBJECT}/tree"
    assert moved.aws.run("s3", "sync", moved.root, there, "--delete", "--dryrun") == ""
    assert moved.aws.run("s3", "sync", moved.root, there, "--delete") == ""
    assert keys_below(moved.s3["sg"], f"{SUBJECT}/tree/") == moved.before
    moved.aws.run("s3", "sync", there, moved.folder / "back", "--only-show-errors")
    assert tree.read(moved.folder / "back") == tree.read(moved.root)
    assert moved.aws.run("s3", "sync", there, moved.folder / "back", "--delete") == ""


# ---- every operation through a stale gateway -----------------------------------------------------

@pytest.mark.parametrize("name", ["cn", "us", "in"])
def test_objects_through_a_stale_gateway(moved, name):
    s3, home = moved.s3[name], moved.s3["sg"]
    key = f"{SUBJECT}/through {name} ü+"
    where = {"Bucket": BUCKET, "Key": key}
    for size in (0, 10, 3 << 20):
        body = os.urandom(size)
        put = s3.put_object(**where, Body=body, Metadata={"m": name}, ContentType="a/b")
        for each in (s3, home):
            got = each.get_object(**where)
            assert (got["Body"].read(), got["ETag"], got["Metadata"]) == (body, put["ETag"], {"m": name})
    assert s3.get_object(**where, Range="bytes=5-9")["Body"].read() == body[5:10]
    assert s3.head_object(**where)["ContentLength"] == 3 << 20
    assert key in keys_below(s3, f"{SUBJECT}/through")  # all of theirs may not be listed through us or in
    with pytest.raises(s3.exceptions.ClientError) as failure:
        s3.get_object(**where, IfNoneMatch=put["ETag"])
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
    s3.copy_object(Bucket=BUCKET, Key=key + " copy", CopySource=where)
    assert home.get_object(Bucket=BUCKET, Key=key + " copy")["Body"].read() == body
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key + " copy"}, {"Key": key + " none"}]})
    assert len(answer["Deleted"]) == 2
    url = s3.generate_presigned_url("get_object", where)
    with raw.Connection(moved.world.gateway[name]) as connection:
        parts = urllib.parse.urlsplit(url)
        connection.send(raw.head("GET", f"{parts.path}?{parts.query}", {"Host": parts.netloc}))
        assert connection.answer().body == body
    s3.delete_object(**where)
    for each in (s3, home):
        with pytest.raises(each.exceptions.NoSuchKey):
            each.get_object(**where)


def test_errors_through_a_stale_gateway_are_the_homes(moved):
    with raw.S3(moved.world.gateway["us"], KEY) as client:
        answer = client.get(BUCKET, f"{SUBJECT}/missing")
        assert (answer.status, answer.code) == (404, "NoSuchKey")
        assert answer.xml().findtext("RequestId") == answer["x-amz-request-id"]
        assert client.put(BUCKET, f"{SUBJECT}/k", b"x", If_Match='"no"').status == 404
        wrong = raw.S3(moved.world.gateway["us"], daemon.Key(KEY.access, "wrong", ""))
        refused = wrong.put(BUCKET, f"{SUBJECT}/k", b"x")
        assert (refused.status, refused.code) == (403, "SignatureDoesNotMatch")
        wrong.close()
        data, _ = client.prepare("PUT", f"/{BUCKET}/{SUBJECT}/k", body=b"other",
                                 payload="0" * 64)
        assert client.send(data + b"other", "PUT").code == "XAmzContentSHA256Mismatch"
        assert client.get(BUCKET, f"{SUBJECT}/k").status == 404


def test_upload_begun_before_the_move_ends_after_it(moved):
    where = {"Bucket": BUCKET, "Key": f"{SUBJECT}/big", "UploadId": moved.upload}
    s3 = moved.s3["us"]
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{SUBJECT}/")["Uploads"]] == [moved.upload]
    two = s3.upload_part(**where, PartNumber=2, Body=b"tail")["ETag"]
    assert [p["ETag"] for p in s3.list_parts(**where)["Parts"]] == [moved.part_etag, two]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": moved.part_etag},
                                                                     {"PartNumber": 2, "ETag": two}]})
    for name in moved.world.names:
        assert moved.s3[name].get_object(Bucket=BUCKET, Key=where["Key"])["Body"].read() == moved.part + b"tail"


@pytest.mark.parametrize("name", ["cn", "us"])
def test_multipart_through_a_stale_gateway(moved, name):
    s3 = moved.s3[name]
    key = {"Bucket": BUCKET, "Key": f"{SUBJECT}/multipart-{name}"}
    where = {**key, "UploadId": s3.create_multipart_upload(**key)["UploadId"]}
    parts = [os.urandom(5 << 20), os.urandom(100)]
    etags = [s3.upload_part(**where, PartNumber=i + 1, Body=p)["ETag"] for i, p in enumerate(parts)]
    etags.append(s3.upload_part_copy(**where, PartNumber=3, CopySource={"Bucket": BUCKET, "Key": f"{SUBJECT}/contacts/card"},
                                     )["CopyPartResult"]["ETag"]) if name == "cn" else None
    listed = [{"PartNumber": i + 1, "ETag": e} for i, e in enumerate(etags[:2])]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
    assert s3.get_object(**key)["Body"].read() == b"".join(parts)
    where = {**key, "UploadId": s3.create_multipart_upload(**key)["UploadId"]}
    s3.abort_multipart_upload(**where)
    with pytest.raises(s3.exceptions.ClientError) as failure:
        s3.list_parts(**where)
    assert failure.value.response["Error"]["Code"] == "NoSuchUpload"


def test_old_region_keeps_nothing_readable(moved):
    told = json.loads(moved.world.at("cn", "subject", "show", "--token", moved.token, "--json"))
    assert told["home"] == "sg"


# ---- the charter at the gateway ----------------------------------------------------------------

RESTRICTED = f"{SUBJECT}/contacts/card"


@pytest.mark.parametrize("name", ["us", "in"])
def test_restricted_class_through_a_forbidden_gateway(moved, name):
    gateway = moved.world.gateway[name]
    requests = [("GET", RESTRICTED, b""), ("HEAD", RESTRICTED, b""), ("PUT", RESTRICTED, b"x"), ("DELETE", RESTRICTED, b""),
                ("POST", RESTRICTED, b"")]
    with raw.S3(gateway, KEY) as client:
        for method, key, body in requests:
            query = [("uploads", None)] if method == "POST" else []
            answer = client.request(method, f"/{BUCKET}/{key}", query, body=body)
            assert answer.status == 451, (method, answer)
            if method != "HEAD":
                message = answer.xml().findtext("Message")
                assert answer.code == "ResidencyViolation" and "charter 1" in message, message
                assert "rules.IN.restricted." in message and name.upper() in message, message
        for prefix in (f"{SUBJECT}/contacts/", f"{SUBJECT}/"):
            answer = client.request("GET", f"/{BUCKET}", [("list-type", 2), ("prefix", prefix)])
            assert (answer.status, answer.code) == (451, "ResidencyViolation"), prefix
            assert b"card" not in answer.body.replace(prefix.encode(), b"")
    assert moved.s3["sg"].get_object(Bucket=BUCKET, Key=RESTRICTED)["Body"].read() == b"restricted"
    assert moved.s3["cn"].get_object(Bucket=BUCKET, Key=RESTRICTED)["Body"].read() == b"restricted"


def test_restricted_name_in_a_batch_through_a_forbidden_gateway(moved):
    """Every name of the request passes the gateway, not only the first."""
    innocent = f"{SUBJECT}/innocent-batch"
    moved.s3["sg"].put_object(Bucket=BUCKET, Key=innocent, Body=b"x")
    body = f"<Delete><Object><Key>{innocent}</Key></Object><Object><Key>{RESTRICTED}</Key></Object></Delete>".encode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    with raw.S3(moved.world.gateway["us"], KEY) as client:
        answer = client.request("POST", f"/{BUCKET}", [("delete", None)], headers={"Content-MD5": md5}, body=body)
        assert (answer.status, answer.code) == (451, "ResidencyViolation")
    for key in (innocent, RESTRICTED):
        moved.s3["sg"].head_object(Bucket=BUCKET, Key=key)
    moved.s3["sg"].delete_object(Bucket=BUCKET, Key=innocent)


def test_refused_before_a_byte_of_the_body(moved):
    with raw.Connection(moved.world.gateway["us"]) as connection:
        client = raw.S3(moved.world.gateway["us"], KEY)
        data, _ = client.prepare("PUT", f"/{BUCKET}/{RESTRICTED}", headers={"Expect": "100-continue"}, body=b"x" * 1000)
        connection.send(data)
        answer = connection.answer("PUT")
        assert (answer.status, answer.interim) == (451, [])


def test_class_follows_a_copy(moved):
    """What was copied out of a restricted key is restricted under any name."""
    key = f"{SUBJECT}/innocent"
    moved.s3["sg"].copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": RESTRICTED})
    assert moved.s3["cn"].get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"restricted"
    with raw.S3(moved.world.gateway["us"], KEY) as client:
        answer = client.get(BUCKET, key)
        assert (answer.status, answer.code) == (451, "ResidencyViolation") and b"restricted'" not in answer.body
        assert "rules.IN.restricted.read" in answer.xml().findtext("Message")
        answer = client.request("PUT", f"/{BUCKET}/{SUBJECT}/again", headers={"x-amz-copy-source": f"/{BUCKET}/{RESTRICTED}"})
        assert (answer.status, answer.code) == (451, "ResidencyViolation")
    moved.s3["sg"].delete_object(Bucket=BUCKET, Key=key)


def test_move_to_where_a_class_may_not_lie_is_refused(moved):
    told = moved.world.at("sg", "move", "--subject", SUBJECT, "--tenant", regions.TENANT, "--to", "us", ok=(1,))
    assert moved.world.homes(moved.token) == {"sg": "home"}
    del told


# ---- people, layouts, listings over several --------------------------------------------------------

@pytest.fixture(scope="module")
def neighbour(moved):
    """Another person, at home in cn, who came with the first object through another region."""
    name = "ben-1717-needle"
    with raw.S3(moved.world.gateway["us"], KEY) as client:
        path = f"/{BUCKET}/{name}/first"
        answer = client.request("PUT", path, body=b"ben's")
        assert (answer.status, answer.code) == (403, "SubjectNotRegistered")
        assert client.get(BUCKET, f"{name}/first").status == 404
        assert client.delete(BUCKET, f"{name}/first").status == 204
        for wrong in ("XX", "india", "in", ""):
            answer = client.request("PUT", path, headers={"x-amz-meta-domicile-country": wrong}, body=b"x")
            assert answer.status in (400, 403) and answer.code, wrong
        answer = client.request("PUT", path, headers={"x-amz-meta-domicile-country": "IN"}, body=b"ben's")
        assert answer.status == 200, answer
        answer = client.request("PUT", path, headers={"x-amz-meta-domicile-country": "US"}, body=b"x")
        assert (answer.status, answer.code) == (409, "SubjectCountryMismatch")
    assert moved.s3["cn"].get_object(Bucket=BUCKET, Key=f"{name}/first")["Body"].read() == b"ben's"
    told = json.loads(moved.world.at("us", "subject", "show", name, "--tenant", regions.TENANT, "--json"))
    assert told["home"] == "cn"
    return name


def test_keys_outside_the_layout(moved):
    for name in ("cn", "us"):
        with raw.S3(moved.world.gateway[name], KEY) as client:
            for key in ("no-slash", "/leading", "./x", "../x"):
                answer = client.put(BUCKET, key, b"x")
                assert (answer.status, answer.code) == (400, "KeyOutsideLayout"), key


def test_listing_over_several_shows_who_lives_here(moved, neighbour):
    def listed(name, **more):
        with raw.S3(moved.world.gateway[name], KEY) as client:
            answer = client.request("GET", f"/{BUCKET}", [("list-type", 2), *more.items()])
            assert answer.status == 200 and answer["x-domicile-partial"] == "true", answer
            root = answer.xml()
            return {e.text.split("/")[0] for e in [*root.iter("Key"), *root.findall("CommonPrefixes/Prefix")]}
    assert listed("cn") == {neighbour} and listed("sg") == {SUBJECT}
    assert listed("cn", delimiter="/") == {neighbour} and listed("sg", delimiter="/") == {SUBJECT}
    assert listed("us") == listed("in") == set()
    with raw.S3(moved.world.gateway["us"], KEY) as client:
        answer = client.request("GET", f"/{BUCKET}", [("prefix", f"{neighbour}/")])
        assert answer["x-domicile-partial"] is None and [k.text for k in answer.xml().iter("Key")] == [f"{neighbour}/first"]


def test_delete_objects_of_several_homes(moved, neighbour):
    """The receiving region does its own keys; the others are named, not lost and not deleted."""
    cn = moved.s3["cn"]
    keep, go = f"{SUBJECT}/keep", f"{neighbour}/go"
    cn.put_object(Bucket=BUCKET, Key=keep, Body=b"x")
    cn.put_object(Bucket=BUCKET, Key=go, Body=b"x")
    answer = cn.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": keep}, {"Key": go}, {"Key": "nobody/x"}]})
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [(keep, "SubjectElsewhere")]
    assert sorted(d["Key"] for d in answer["Deleted"]) == sorted([go, "nobody/x"])
    assert cn.get_object(Bucket=BUCKET, Key=keep)["Body"].read() == b"x"
    assert go not in keys_below(cn, f"{neighbour}/")
    answer = cn.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": keep}]})  # one home: goes there whole
    assert "Errors" not in answer
    with pytest.raises(cn.exceptions.NoSuchKey):
        cn.get_object(Bucket=BUCKET, Key=keep)


def test_copy_between_homes(moved, neighbour):
    """Said between regions below, too: replayed, unsigned, flipped. More in test_region_copies.py."""
    moved.s3["cn"].put_object(Bucket=BUCKET, Key=f"{SUBJECT}/source", Body=b"asha's")
    for name in moved.world.names:
        with raw.S3(moved.world.gateway[name], KEY) as client:
            answer = client.request("PUT", f"/{BUCKET}/{neighbour}/copy-{name}",
                                    headers={"x-amz-copy-source": f"/{BUCKET}/{SUBJECT}/source"})
            assert answer.status == 200, answer
            assert client.get(BUCKET, f"{neighbour}/copy-{name}").body == b"asha's"


# ---- what regions say to each other ---------------------------------------------------------------

def state(moved):
    """Everything a message could change: where the person is, and what lies there."""
    rows = {name: moved.world.rows(name).get(moved.token) for name in moved.world.names}
    return rows, keys_below(moved.s3["sg"])


def say(gateway, data, method="POST"):
    with raw.Connection(gateway) as connection:
        connection.send(data)
        try:
            return connection.answer(method)
        except raw.Closed:
            return raw.Answer(0, {}, b"")


@pytest.fixture
def spoken(moved):
    """One message of each path that was said so far, with the region it went to."""
    found = {}
    for name, tap in moved.world.tap.items():
        for message in list(tap.seen):
            kind = (message.target if message.target.startswith("/-/peer/") else f"forwarded {message.method}", name)
            found[kind] = message
    kinds = {kind for kind, _ in found}
    assert {"forwarded PUT", "forwarded GET", "/-/peer/bulk/move/items"} <= kinds, kinds
    return found


def test_replayed(moved, spoken):
    """Each message that a region said, once more, at once: 403."""
    before = state(moved)
    for (kind, name), message in spoken.items():
        answer = say(moved.world.gateway[name], message.raw, message.method)
        assert answer.status == 403, (kind, name, answer)
    assert state(moved) == before


def test_said_to_another_region(moved, spoken):
    before = state(moved)
    for (kind, name), message in spoken.items():
        for other in moved.world.names:
            if other != name:
                answer = say(moved.world.gateway[other], message.raw, message.method)
                assert answer.status == 403, (kind, name, other, answer)
    assert state(moved) == before


def test_unsigned(moved, spoken):
    before = state(moved)
    for (kind, name), message in spoken.items():
        lines = [l for l in message.head.split(b"\r\n") if not l.lower().startswith(b"x-domicile")]
        answer = say(moved.world.gateway[name], b"\r\n".join(lines) + message.body, message.method)
        if message.target.startswith("/-/peer/"):
            assert answer.status == 403, (kind, answer)
        else:  # then it is a client's request, good or not by itself
            assert answer["x-domicile-home"] is None
        lines = [l for l in message.head.split(b"\r\n") if not l.lower().startswith(b"x-domicile-signature")]
        assert say(moved.world.gateway[name], b"\r\n".join(lines) + message.body, message.method).status == 403, kind
    rows, _ = state(moved)
    assert rows == before[0]


def seed(moved, name):
    return bytes.fromhex(pathlib.Path(moved.world.key(name, "region.seed")).read_text().strip())


def signed_by(moved, sender, receiver, path, body, **more):
    """An envelope that is good in itself."""
    gateway = moved.world.gateway[receiver]
    data = peers.envelope(seed(moved, sender), regions.NUMBERS[sender], regions.NUMBERS[receiver], path, body,
                          f"127.0.0.1:{gateway.port}", **more)
    return say(gateway, data)


def test_own_envelopes_are_understood(moved):
    """Control: what this test signs with a region's key does hold."""
    answer = signed_by(moved, "us", "sg", "no/such-path", b"")
    assert answer.status == 200 and answer["x-domicile-code"] not in (None, "ok"), answer


def test_envelopes_out_of_time_are_refused(moved):
    now = int(time.time() * 1000)
    for shift in (-31000, 31000, -10 * 86400000):
        assert signed_by(moved, "us", "sg", "no/such-path", b"", now_ms=now + shift).status == 403, shift


def test_unknown_region_and_wrong_key(moved):
    gateway = moved.world.gateway["sg"]
    for number, key in ((9, os.urandom(32)), (3, os.urandom(32)), (2, seed(moved, "sg")), (0, os.urandom(32))):
        data = peers.envelope(key, number, 2, "no/such-path", b"", f"127.0.0.1:{gateway.port}")
        answer = say(gateway, data)
        assert answer.status == 403 or (number == 2 and answer["x-domicile-code"] not in (None, "ok")), (number, answer)


def test_refused_envelope_is_no_refusal_of_the_client(moved):
    """The home marks it, so that the gateway says 503 and the client comes again."""
    gateway = moved.world.gateway["sg"]
    fields = ["from: 1", "to: 2", "time: 1", "nonce: " + 32 * "0", "body-sha256: streamed", "signature: " + 86 * "A" + "=="]
    data = "GET /phones HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % gateway.port
    data += "".join("x-domicile-%s\r\n" % field for field in fields) + "\r\n"
    answer = say(gateway, data.encode())
    assert answer.status == 403 and answer["x-domicile-refused"] == "envelope", answer


def test_handoff_of_a_wrong_region_or_an_old_epoch(moved, spoken):
    """The bodies of the past handoff in fresh, sound envelopes: of a region that has no say, and of the one
    that had."""
    before = state(moved)
    for (kind, name), message in spoken.items():
        if not kind.startswith(("/-/peer/move/", "/-/peer/bulk/")) or name != "sg":
            continue
        path = kind.removeprefix("/-/peer/")
        author = int(re.search(rb"(?i)\r\nx-domicile-from: *(\d+)", message.head)[1])
        for sender in ("us", "in", "cn"):
            answer = signed_by(moved, sender, "sg", path, message.body)
            if regions.NUMBERS[sender] == author:  # its own words, said again, are answered again and change nothing
                assert answer.status in (200, 403), (kind, answer)
            else:
                assert answer.status == 403 and answer["x-domicile-code"] != "ok", (kind, sender, answer)
    assert state(moved) == before


def flips(message):
    """Single-bit changes of a message, but for those that change only the case of a letter: field names and
    hex digits mean the same in either."""
    data = message.raw
    for at in range(len(data)):
        for bit in range(8):
            if bit == 5 and chr(data[at]).isalpha():
                continue
            yield at, bit, data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1:]


def unsigned_part(message, at):
    """Whether a byte belongs to what no envelope covers: version, hop-by-hop fields, blanks and line ends."""
    head = message.head.decode("latin-1")
    if at >= len(head):
        return False
    if at < head.index("\r\n"):
        return at >= head.index(" HTTP/1.1")
    line = head[head.rfind("\n", 0, at) + 1:head.find("\r\n", at)]
    return line.split(":")[0].lower() in peers.HOP or head[at] in "\r\n "


def said_to_its_end(gateway, data):
    """The status of the answer; 0 when there is none. A changed head may announce more than is sent: so the
    end of what we send is said, too."""
    with raw.Connection(gateway) as connection:
        connection.send(data)
        connection.socket.shutdown(1)
        try:
            return connection.answer("POST").status
        except raw.Closed:
            return 0


def held_message(moved, subject):
    """cn tells the registrar of a new person; the message is kept on its way. (message, what ends it)"""
    tap = moved.world.tap["in"]
    tap.keep_next(lambda m: m.target == "/-/peer/registrar/renew")  # others tell it their marks meanwhile
    result = {}

    def register():
        try:
            result["token"] = moved.world.register(subject, "IN", at="cn")
        except regions.Failure as failure:
            result["failure"] = str(failure)
    thread = threading.Thread(target=register)
    thread.start()
    assert tap.held.wait(30)

    def end():
        tap.release()
        thread.join()
        return result
    return tap.kept, end


def test_any_flipped_bit_of_a_head(moved):
    """A message is held on its way; copies with one bit of the head flipped come first. None is taken; then
    the message itself is, which shows that it was good."""
    before = state(moved)
    gateway = moved.world.gateway["in"]
    message, end = held_message(moved, "flipped-head")
    try:
        head = peers.Message(message.head, b"")
        taken = [(at, bit, data) for at, bit, data in flips(head) if not unsigned_part(message, at)
                 and 0 < said_to_its_end(gateway, data + message.body) < 400]
    finally:
        result = end()
    assert len(message.head) > 400 and not taken
    assert len(result.get("token", "")) == 64, result
    assert state(moved) == before


def test_any_flipped_bit_of_a_body(moved):
    """A sound head counts once: whoever changes the body has thereby only lost the message."""
    gateway = moved.world.gateway["in"]
    for at in (0, 5, 11, -1):
        message, end = held_message(moved, "flipped-body")
        try:
            body = bytearray(message.body)
            body[at] ^= 1 << (at % 8)
            status = said_to_its_end(gateway, message.head + bytes(body))
        finally:
            result = end()
        assert status == 403 and "token" not in result, (status, result)
    told = moved.world.at("in", "subject", "show", "flipped-body", "--tenant", regions.TENANT, ok=(1,))
    assert "flipped-body" not in moved.world.rows("in") and told is not None
    assert len(moved.world.register("flipped-body", "IN", at="cn")) == 64


def test_any_flipped_bit_of_a_forwarded_head(moved):
    """What a gateway adds to a client's request is held and changed like a message."""
    world = moved.world
    key, tap = f"{SUBJECT}/forwarded", world.tap["sg"]
    moved.s3["sg"].put_object(Bucket=BUCKET, Key=key, Body=b"forwarded")
    tap.keep_next(lambda m: m.method == "GET" and m["x-domicile-from"] == "3")
    result = {}

    def read():
        with raw.S3(world.gateway["us"], KEY) as client:
            result["answer"] = client.get(BUCKET, key)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert tap.held.wait(30)
        taken = [(at, bit, data) for at, bit, data in flips(tap.kept) if not unsigned_part(tap.kept, at)
                 and 0 < said_to_its_end(world.gateway["sg"], data) < 400]
    finally:
        tap.release()
        thread.join()
    assert not taken
    assert (result["answer"].status, result["answer"].body) == (200, b"forwarded")


def test_a_connection_that_breaks_unanswered(moved):
    """Right after a start the gateway has no connection to take again: who reads is asked for once more on
    another, a write is not sent a second time."""
    world, key = moved.world, f"{SUBJECT}/broken"
    moved.s3["sg"].put_object(Bucket=BUCKET, Key=key, Body=b"before")
    region, tap, broken = world.region["us"], world.tap["sg"], []

    def breaks(message):
        if message["x-domicile-from"] == "3" and message.target.endswith("/broken") and not broken:
            broken.append(message)
            raise OSError("the connection broke")
        return False

    def ask(method, body=b""):
        region.kill()
        region.start()
        broken.clear()
        with raw.S3(world.gateway["us"], KEY) as client:
            return client.request(method, f"/{BUCKET}/{key}", body=body)
    tap.hold = breaks
    try:
        read, sent = ask("GET"), len(broken)
        assert (read.status, read.body, sent) == (200, b"before", 1)
        written = ask("PUT", b"after")
        assert (written.status, len(broken)) == (503, 1)
    finally:
        tap.hold = None
    assert moved.s3["sg"].get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"before"


# ---- leaks --------------------------------------------------------------------------------------------

NEEDLES = [SUBJECT, "ben-1717-needle", "needle-object-name", "needle-metadata", "needle-body-bytes", "needle-country",
           KEY.secret, regions.OPERATOR.split(":")[1], "needle-wrong-secret"]


def drive_errors(moved):
    """Every error path that a client or an operator can reach, with needles all over."""
    world = moved.world
    key = f"{SUBJECT}/needle-object-name"
    unknown = "stranger-needle-object-name"
    wrong_secret = daemon.Key(KEY.access, "needle-wrong-secret", "")
    for name in world.names:
        for signer in (KEY, wrong_secret, daemon.Key("needle-object-name", "x", "")):
            with raw.S3(world.gateway[name], signer) as client:
                meta = {"x-amz-meta-needle-metadata": "needle-metadata"}
                asks = [
                    ("PUT", key, [], {**meta, "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, b"needle-body-bytes"),
                    ("PUT", key, [], {"x-amz-checksum-crc32": "AAAAAA=="}, b"needle-body-bytes"),
                    ("PUT", f"{unknown}/needle-object-name", [], meta, b"needle-body-bytes"),
                    ("PUT", f"{unknown}/x", [], {"x-amz-meta-domicile-country": "needle-country"}, b""),
                    ("PUT", f"{SUBJECT}/x", [], {"x-amz-meta-domicile-country": "SG"}, b""),
                    ("PUT", f"{SUBJECT}/contacts/needle-object-name", [], meta, b"needle-body-bytes"),
                    ("GET", f"{SUBJECT}/contacts/needle-object-name", [], {}, b""), ("GET", key, [], {}, b""),
                    ("GET", "needle-object-name", [], {}, b""), ("PUT", "needle-object-name", [], {}, b"x"),
                    ("PUT", key + "x" * 1024, [], {}, b""), ("GET", key, [("tagging", None)], {}, b""),
                    ("GET", key, [("uploadId", "needle-object-name")], {}, b""),
                    ("PUT", key, [("partNumber", 1), ("uploadId", "0" * 32)], {}, b"needle-body-bytes"),
                    ("POST", key, [("uploadId", "0" * 32)], {}, b"<needle-body-bytes"),
                    ("PUT", key, [], {"x-amz-copy-source": f"/{BUCKET}/{unknown}/needle-object-name"}, b""),
                    ("PUT", key, [], {"x-amz-copy-source": "/needle-object-name"}, b""),
                    ("PUT", key, [], {"If-Match": '"needle-metadata"'}, b"needle-body-bytes"),
                    ("PUT", key, [], {"x-amz-meta-needle-metadata": "needle-metadata" * 200}, b""),
                    ("DELETE", f"{unknown}/needle-object-name", [], {}, b""),
                ]
                for method, path, query, headers, body in asks:
                    client.request(method, f"/{BUCKET}/{path}", query, headers, body)
                client.request("GET", f"/{BUCKET}", [("prefix", f"{SUBJECT}/contacts/needle-object-name")])
                client.request("GET", f"/{BUCKET}", [("max-keys", "needle-object-name")])
                client.request("POST", f"/{BUCKET}", [("delete", None)], {}, b"<needle-body-bytes")
                client.request("POST", f"/{BUCKET}", [("delete", None)], {},
                               f"<Delete><Object><Key>{key}</Key></Object><Object><Key>{unknown}/x</Key></Object></Delete>".encode())
                client.request("PUT", "/needle-object-name.", [], {}, b"")
        say(world.gateway[name], f"GET /{BUCKET}/{key} HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n".encode())
        say(world.gateway[name], raw.head("GET", f"/-/needle-object-name/{SUBJECT}", {"Host": "x"}), "GET")
        say(world.gateway[name], raw.head("GET", f"/-/admin/subjects/{SUBJECT}", {"Host": "x"}), "GET")
        with raw.S3(world.gateway[name], daemon.Key("WORLDOPER", "needle-wrong-secret", "")) as client:
            client.request("GET", f"/-/admin/subjects/{SUBJECT}")
        # Half a body, then nothing.
        with raw.S3(world.gateway[name], KEY) as client:
            data, _ = client.prepare("PUT", f"/{BUCKET}/{key}", headers={"Content-Length": "100000"}, payload="0" * 64)
            with raw.Connection(world.gateway[name]) as connection:
                connection.send(data + b"needle-body-bytes" * 10)
    for arguments in (("subject", "register", SUBJECT, "--country", "SG", "--tenant", regions.TENANT),
                      ("subject", "show", unknown, "--tenant", regions.TENANT),
                      ("move", "--subject", SUBJECT, "--tenant", regions.TENANT, "--to", "us"),
                      ("move", "--subject", unknown, "--tenant", regions.TENANT, "--to", "sg")):
        world.at("sg", *arguments, ok=(0, 1, 2, 3))
    # A dead region between: forwards and messages fail.
    world.region["sg"].kill()
    with raw.S3(world.gateway["us"], KEY) as client:
        for method in ("GET", "PUT", "DELETE"):
            answer = client.request(method, f"/{BUCKET}/{key}", body=b"needle-body-bytes" if method == "PUT" else b"")
            assert answer.status == 503, answer
    world.region["sg"].start()


def page_of(gateway, path):
    with raw.Connection(gateway) as connection:
        connection.send(raw.head("GET", path, {"Host": "x"}))
        answer = connection.answer()
        assert answer.status == 200
        return answer.body


def found_in(data, needles):
    """Needles in any of the shapes that a log could write them."""
    shapes = {n: {n.encode(), urllib.parse.quote(n, safe="").encode(), n.encode().hex().encode()} for n in needles}
    return [n for n, forms in shapes.items() if any(form.lower() in data.lower() for form in forms)]


def peer_answers(moved):
    """Heads and short bodies of what regions answered to messages of regions; forwarded answers go to the
    client that asked and may name what it named."""
    texts = []
    for tap in moved.world.tap.values():
        for record in tap.answers:
            for piece in bytes(record).split(b"HTTP/1.1 ")[1:]:
                if b"x-domicile-reply-signature" in piece.lower() or b"x-domicile-home" in piece.lower():
                    head, _, body = piece.partition(b"\r\n\r\n")
                    texts.append(head + (body if len(body) < 4096 else b""))
    return texts


def test_no_leaks(moved):
    drive_errors(moved)
    for name in moved.world.names:
        gateway = moved.world.gateway[name]
        log = gateway.log_path.read_bytes()
        assert b"region is open" in log  # control: this is the log
        assert not found_in(log, NEEDLES), name
        assert found_in(log + SUBJECT.encode(), NEEDLES) == [SUBJECT]  # control: it would be found
        metrics = page_of(gateway, "/-/metrics")
        assert b"domicile_s3_requests_total" in metrics and not found_in(metrics, NEEDLES)
        health = page_of(gateway, "/-/healthz")
        assert b"writable" in health and not found_in(health, NEEDLES)
    texts = peer_answers(moved)
    assert len(texts) > 20
    assert not found_in(b"\n".join(texts), NEEDLES)
    checked = subprocess.run(["grep", "-c", "level", str(moved.world.gateway["sg"].log_path)], capture_output=True, check=True)
    assert int(checked.stdout) >= 2
