"""Copies between people who live in different regions: whole or not at all, refused by clause, and nothing that a
region says about them is believed without the client's own signature."""
import base64
import hashlib
import os
import pathlib
import signal
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit import daemon, peers, raw, tools
from kit.world import KEY, regions, watched

BUCKET = "copies"
ASHA, BEN, UMA = "asha-in-cn", "ben-in-sg", "uma-in-us"
HOME = {ASHA: "cn", BEN: "sg", UMA: "us"}
RULES = """  IN:
    home: cn
    restricted: {store: [CN, SG], read: [CN, SG], transit: [CN, SG]}
    personal: {store: [CN, SG, US], read: any, transit: any}
  US:
    home: us
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""
WORKERS = 12


class World:
    def __init__(self, world):
        self.world, self.gateway, self.tap = world, world.gateway, world.tap
        for name, country in ((ASHA, "IN"), (BEN, "IN"), (UMA, "US")):
            world.register(name, country, at="cn")
        self.move(BEN, "cn", "sg")
        self.s3 = {name: tools.boto(world.gateway[name], KEY) for name in world.names}
        self.put(f"{ASHA}/contacts/card", b"restricted")
        self.put(f"{BEN}/contacts/card", b"restricted")

    def move(self, person, source, target):
        self.world.at(source, "move", "--subject", person, "--tenant", regions.TENANT, "--to", target)

    def put(self, key, body, **more):
        home = HOME.get(key.split("/")[0], "cn")
        return self.s3[home].put_object(Bucket=BUCKET, Key=key, Body=body, **more)["ETag"]

    def ask(self, gateway, method, key, query=(), body=b"", **headers):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        with raw.S3(self.gateway[gateway], KEY) as client:
            return client.request(method, f"/{BUCKET}/{key}", list(query), fields, body)

    def copy(self, gateway, source, key, query=(), **headers):
        return self.ask(gateway, "PUT", key, query, x_amz_copy_source=f"/{BUCKET}/{source}", **headers)

    def read(self, key, gateway=None):
        """The body, None where there is nothing."""
        answer = self.ask(gateway or HOME.get(key.split("/")[0], "cn"), "GET", key)
        assert answer.status in (200, 404), answer
        return answer.body if answer.status == 200 else None

    def seed(self, name):
        return bytes.fromhex(pathlib.Path(self.world.key(name, "region.seed")).read_text().strip())

    def asked_for_sources(self, name):
        """How often regions asked this one for the source of a copy."""
        return sum(message["x-domicile-copy-gateway"] is not None for message in self.tap[name].seen)


@pytest.fixture(scope="module")
def world():
    with watched("copies", RULES, BUCKET, DOMICILE_WORKERS=str(WORKERS)) as made:
        yield World(made)


# ---- it is a copy ---------------------------------------------------------------------------------

@pytest.mark.parametrize("gateway", ["cn", "sg", "us", "in"])
@pytest.mark.parametrize("source,target", [(ASHA, UMA), (UMA, ASHA), (BEN, ASHA)])
def test_whole_with_its_metadata(world, source, target, gateway):
    for size in (0, 10, 3 << 20):
        body = os.urandom(size)
        key, copy = f"{source}/s ü+{gateway}", f"{target}/of {source} ü+{gateway}"
        etag = world.put(key, body, ContentType="a/b", CacheControl="c", Metadata={"m": "1"})
        before = world.asked_for_sources(HOME[source])
        s3 = world.s3[gateway]
        told = s3.copy_object(Bucket=BUCKET, Key=copy, CopySource={"Bucket": BUCKET, "Key": key})
        assert told["CopyObjectResult"]["ETag"] == etag
        assert world.asked_for_sources(HOME[source]) == before + 1  # it did go between the two homes
        got = world.s3[HOME[target]].get_object(Bucket=BUCKET, Key=copy)
        assert (got["Body"].read(), got["ETag"]) == (body, etag)
        assert (got["ContentType"], got["CacheControl"], got["Metadata"]) == ("a/b", "c", {"m": "1"})
    s3.copy_object(Bucket=BUCKET, Key=copy, CopySource={"Bucket": BUCKET, "Key": key}, MetadataDirective="REPLACE",
                   ContentType="new/one", Metadata={"n": "2"})
    got = s3.head_object(Bucket=BUCKET, Key=copy)
    assert (got["ContentType"], got["Metadata"]) == ("new/one", {"n": "2"}) and "CacheControl" not in got


@pytest.mark.parametrize("gateway", ["cn", "us", "in"])
def test_parts_and_ranges(world, gateway):
    body = os.urandom(11 << 20)
    world.put(f"{ASHA}/long", body)
    world.put(f"{BEN}/tail", b"tail")
    s3, key = world.s3[gateway], {"Bucket": BUCKET, "Key": f"{UMA}/parts-{gateway}"}
    upload = {**key, "UploadId": s3.create_multipart_upload(**key)["UploadId"]}
    ranges = ["bytes=0-5242879", f"bytes=5242880-{len(body) - 1}"]
    etags = [s3.upload_part_copy(**upload, PartNumber=i + 1, CopySource={"Bucket": BUCKET, "Key": f"{ASHA}/long"},
                                 CopySourceRange=wanted)["CopyPartResult"]["ETag"] for i, wanted in enumerate(ranges)]
    etags.append(s3.upload_part_copy(**upload, PartNumber=3, CopySource={"Bucket": BUCKET, "Key": f"{BEN}/tail"}
                                     )["CopyPartResult"]["ETag"])
    assert etags[0] == f'"{raw.md5(body[:5242880])}"'
    query = [("partNumber", 4), ("uploadId", upload["UploadId"])]
    answer = world.copy(gateway, f"{ASHA}/long", f"{UMA}/parts-{gateway}", query,
                        x_amz_copy_source_range=f"bytes=0-{len(body)}")
    assert (answer.status, answer.code) == (416, "InvalidRange")
    listed = [{"PartNumber": i + 1, "ETag": each} for i, each in enumerate(etags)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
    assert s3.get_object(**key)["Body"].read() == body + b"tail"


def memory(world, name):
    """Most memory that a region's process ever had, in bytes."""
    pid = world.world.region[name].process.pid
    line = next(l for l in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if l.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def test_large_with_bounded_memory(world):
    size, piece = 160 << 20, os.urandom(1 << 20)
    with raw.S3(world.gateway["cn"], KEY) as client:
        data, _ = client.prepare("PUT", f"/{BUCKET}/{ASHA}/huge", headers={"Content-Length": str(size)},
                                 payload="UNSIGNED-PAYLOAD")
        client.connection = raw.Connection(client.server)
        client.connection.send(data)
        for _ in range(size >> 20):
            client.connection.send(piece)
        etag = client.connection.answer("PUT")["etag"]
    before = {name: memory(world, name) for name in ("cn", "us", "in")}
    answer = world.copy("in", f"{ASHA}/huge", f"{UMA}/huge")
    assert answer.status == 200 and answer.xml().findtext("ETag") == etag
    grown = {name: memory(world, name) - before[name] for name in before}
    assert max(grown.values()) < 64 << 20, grown
    for key in (f"{ASHA}/huge", f"{UMA}/huge"):
        world.ask("cn", "DELETE", key)


def test_condition_is_judged_at_the_source(world):
    etag = world.put(f"{ASHA}/conditional", b"x")
    for headers, status in (({"x_amz_copy_source_if_match": etag}, 200), ({"x_amz_copy_source_if_match": '"no"'}, 412),
                            ({"x_amz_copy_source_if_none_match": etag}, 412),
                            ({"x_amz_copy_source_if_unmodified_since": raw.http_date(-86400)}, 412)):
        answer = world.copy("in", f"{ASHA}/conditional", f"{UMA}/conditional-{status}", **headers)
        assert answer.status == status, (headers, answer)
    assert world.read(f"{UMA}/conditional-412") is None
    # That of the target is judged where the target lives.
    assert world.copy("in", f"{ASHA}/conditional", f"{UMA}/conditional-200", If_None_Match="*").status == 412


def test_errors_of_the_source_reach_the_client(world):
    for source, status, code in ((f"{ASHA}/missing", 404, "NoSuchKey"), ("nobody/x", 404, "NoSuchKey"),
                                 ("no-slash", 400, "KeyOutsideLayout")):
        answer = world.copy("in", source, f"{UMA}/never")
        assert (answer.status, answer.code) == (status, code), (source, answer)
        assert answer.xml().findtext("Resource") == f"/{BUCKET}/{UMA}/never"
        assert answer.xml().findtext("RequestId") == answer["x-amz-request-id"]
    with raw.S3(world.gateway["in"], KEY) as client:
        answer = client.request("PUT", f"/{BUCKET}/{UMA}/never", headers={"x-amz-copy-source": "/no-such-bucket/a/b"})
        assert (answer.status, answer.code) == (404, "NoSuchBucket")
    assert world.read(f"{UMA}/never") is None


def test_after_the_source_moved(world):
    """Gateway and target still believe in the old home."""
    cara = "cara-who-moves"
    world.world.register(cara, "IN", at="cn")
    world.put(f"{cara}/x", b"cara's")
    assert world.copy("us", f"{cara}/x", f"{UMA}/cara-1").status == 200
    world.move(cara, "cn", "sg")
    for gateway in ("us", "in"):
        assert world.copy(gateway, f"{cara}/x", f"{UMA}/cara-{gateway}").status == 200
        assert world.read(f"{UMA}/cara-{gateway}") == b"cara's"


# ---- the charter ------------------------------------------------------------------------------------

def refused(answer, clause, by):
    assert (answer.status, answer.code) == (451, "ResidencyViolation"), answer
    message = answer.xml().findtext("Message")
    assert "charter 1" in message and clause in message, message
    assert answer.xml().findtext("HostId") == by
    return True


def test_refused_by_clause_and_by_whom(world):
    """A class that the key shows is refused where the copy would lie; one that only the source's home knows is
    refused there."""
    assert refused(world.copy("cn", f"{ASHA}/contacts/card", f"{UMA}/card"), "rules.IN.restricted.store", by="us")
    assert world.copy("cn", f"{ASHA}/contacts/card", f"{ASHA}/innocent").status == 200
    assert refused(world.copy("cn", f"{ASHA}/innocent", f"{UMA}/card"), "rules.IN.restricted.store", by="cn")
    upload = world.ask("us", "POST", f"{UMA}/card", [("uploads", None)]).xml().findtext("UploadId")
    query = [("partNumber", 1), ("uploadId", upload)]
    assert refused(world.copy("cn", f"{ASHA}/innocent", f"{UMA}/card", query), "rules.IN.restricted.store", by="cn")
    assert world.read(f"{UMA}/card") is None
    # Where both places may hold it, the gateway may not see it.
    assert refused(world.copy("us", f"{ASHA}/innocent", f"{BEN}/card"), "rules.IN.restricted.transit", by="cn")
    assert world.copy("cn", f"{ASHA}/innocent", f"{BEN}/card").status == 200
    assert world.read(f"{BEN}/card") == b"restricted"
    answer = world.ask("us", "GET", f"{BEN}/card")  # what only the source's home knew is known here now
    assert answer.status == 451 and "rules.IN.restricted.read" in answer.xml().findtext("Message")


@pytest.mark.parametrize("query", ["tagging", "acl", "attributes"])
def test_what_is_told_of_it_follows_its_inherited_class(world, query):
    """Not only its bytes: what is kept of an object is refused through a gateway that may not show the object."""
    key, names = f"{BEN}/told-{query}", {"x_amz_object_attributes": "ETag"} if query == "attributes" else {}
    world.put(key, b"innocent")
    assert world.ask("us", "GET", key, [(query, None)], **names).status == 200
    assert world.copy("cn", f"{ASHA}/contacts/card", key).status == 200
    assert refused(world.ask("us", "GET", key, [(query, None)], **names), "rules.IN.restricted.read", by="sg")
    assert world.ask("sg", "GET", key, [(query, None)], **names).status == 200


@pytest.mark.parametrize("source", [ASHA, BEN])
@pytest.mark.parametrize("by_parts", [False, True])
def test_class_follows(world, source, by_parts):
    """From another home (asha's), and within one (ben's own)."""
    key = f"{BEN}/follows-{source}-{by_parts}"
    if by_parts:
        upload = world.ask("sg", "POST", key, [("uploads", None)]).xml().findtext("UploadId")
        named = ""
        for number, each in ((1, f"{source}/contacts/card"), (2, f"{ASHA}/contacts/card")):
            if number == 1:  # a part before, and the same again after, is replaced
                assert world.ask("sg", "PUT", key, [("partNumber", 1), ("uploadId", upload)], b"old").status == 200
            answer = world.copy("sg", each, key, [("partNumber", number), ("uploadId", upload)])
            assert answer.status == 200, answer
            if number == 1:
                named = f"<Part><PartNumber>1</PartNumber><ETag>{answer.xml().findtext('ETag')}</ETag></Part>"
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        assert world.ask("sg", "POST", key, [("uploadId", upload)], body).status == 200
    else:
        assert world.copy("sg", f"{source}/contacts/card", key).status == 200
    assert world.read(key) == b"restricted" == world.read(key, "cn")
    answer = world.ask("us", "GET", key)
    assert (answer.status, answer.code) == (451, "ResidencyViolation")
    assert "rules.IN.restricted.read" in answer.xml().findtext("Message")


# ---- what goes wrong on the way ------------------------------------------------------------------------

@pytest.fixture
def stream(world):
    """The answers of cn to who asks for sources, bent by a test."""
    tap = world.tap["cn"]
    yield tap
    tap.bend = None


@pytest.mark.parametrize("cut_at", [0, 700, 1 << 20, -1, -64, -65])
def test_cut_short_is_nothing(world, stream, cut_at):
    """Cut within the head, the bytes, the signature: never stored, never acknowledged."""
    size = 2 << 20
    world.put(f"{ASHA}/cut", os.urandom(size))
    whole = len(world_stream(world, f"{ASHA}/cut", f"{UMA}/cut-short"))
    limit = cut_at if cut_at >= 0 else whole + cut_at
    seen = []  # lengths of the stream's pieces

    def bend(data):
        start = 0 if seen else data.find(b"DOMC")
        if start < 0:
            return data
        left = limit - sum(seen)
        seen.append(len(data) - start)
        if sum(seen) > limit:
            raise peers.Cut(data[:start + left])
        return data
    stream.bend = bend
    answer = world.copy("in", f"{ASHA}/cut", f"{UMA}/cut-short")
    assert answer.status == 503, answer
    stream.bend = None
    assert sum(seen) > limit and world.read(f"{UMA}/cut-short") is None
    assert world.copy("in", f"{ASHA}/cut", f"{UMA}/cut-short").status == 200
    world.ask("us", "DELETE", f"{UMA}/cut-short")


@pytest.mark.parametrize("at", [0, 5, 12, 25, 1000, -1, -64, -65])
def test_any_changed_byte_is_nothing(world, stream, at):
    """Of the head, the bytes, the signature."""
    world.put(f"{ASHA}/changed", b"x" * 4000)
    place = at if at >= 0 else len(world_stream(world, f"{ASHA}/changed", f"{UMA}/changed")) + at
    seen = []  # lengths of the stream's pieces

    def bend(data):
        start = 0 if seen else data.find(b"DOMC")
        if start < 0:
            return data
        here = start + place - sum(seen)
        seen.append(len(data) - start)
        return data[:here] + bytes([data[here] ^ 1]) + data[here + 1:] if start <= here < len(data) else data
    stream.bend = bend
    answer = world.copy("in", f"{ASHA}/changed", f"{UMA}/changed")
    assert sum(seen) > place and answer.status == 503, answer
    assert world.read(f"{UMA}/changed") is None


def test_changed_meanwhile_is_the_pinned_version(world, stream):
    old, new = os.urandom(24 << 20), b"new"
    etag = world.put(f"{ASHA}/pinned", old)
    done = []

    def bend(data):
        if not done and b"DOMC" in data:
            done.append(world.put(f"{ASHA}/pinned", new))
        return data
    stream.bend = bend
    answer = world.copy("in", f"{ASHA}/pinned", f"{UMA}/pinned")
    assert done and answer.status == 200 and answer.xml().findtext("ETag") == etag
    assert world.read(f"{UMA}/pinned") == old and world.read(f"{ASHA}/pinned") == new


def test_source_that_moves_away_meanwhile(world, stream):
    """Its key is destroyed while it is read: whole or not at all."""
    dan, body = "dan-who-moves", os.urandom(24 << 20)
    world.world.register(dan, "IN", at="cn")
    world.put(f"{dan}/x", body)
    done = []

    def bend(data):
        if not done and b"DOMC" in data:
            done.append(True)
            world.move(dan, "cn", "sg")
        return data
    stream.bend = bend
    answer = world.copy("in", f"{dan}/x", f"{UMA}/dan")
    assert done and answer.status in (200, 503), answer
    assert world.read(f"{UMA}/dan") == (body if answer.status == 200 else None)
    stream.bend = None
    assert world.copy("in", f"{dan}/x", f"{UMA}/dan").status == 200
    assert world.read(f"{UMA}/dan") == body


def test_dead_home_of_the_source(world):
    world.put(f"{BEN}/far", b"ben's")
    assert world.copy("us", f"{BEN}/far", f"{UMA}/far").status == 200
    region = world.world.region["sg"]
    region.kill()
    try:
        for gateway in ("us", "in", "us", "in"):
            answer = world.copy(gateway, f"{BEN}/far", f"{UMA}/not-far")
            assert (answer.status, answer["retry-after"]) == (503, "1"), answer
        assert world.read(f"{UMA}/not-far") is None
        assert world.copy("us", f"{ASHA}/contacts/card", f"{UMA}/y").status == 451  # others go on
    finally:
        region.start()
    for _ in range(100):  # until the breaker closes and the new process takes what is stamped after its start
        answer = world.copy("us", f"{BEN}/far", f"{UMA}/not-far")
        if answer.status == 200:
            break
        time.sleep(0.1)
    assert world.read(f"{UMA}/not-far") == b"ben's"


def test_two_regions_that_copy_to_each_other_under_load(world):
    """More at once than there are workers on either side: each is done or refused, and nobody waits for ever."""
    for person in (ASHA, BEN):
        world.put(f"{person}/load", os.urandom(2 << 20))
    found, crowd = [], 4 * WORKERS

    def work(number):
        source, target, gateway = ((ASHA, BEN, "sg"), (BEN, ASHA, "cn"), (ASHA, BEN, "cn"), (BEN, ASHA, "sg"))[number % 4]
        for _ in range(3):
            found.append(world.copy(gateway, f"{source}/load", f"{target}/load-{number}").status)
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(crowd)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    assert len(found) == 3 * crowd and set(found) <= {200, 503}, found
    assert found.count(200) >= WORKERS, found
    for person, gateway in ((ASHA, "cn"), (BEN, "sg")):
        assert world.ask(gateway, "GET", f"{person}/contacts/card").status == 200


class Crowd:
    """Copies at the same time; their answers in the order in which they come."""

    def __init__(self, world, count, source, key):
        self.answers, self.changed = [], threading.Condition()
        self.threads = [threading.Thread(target=self._one, args=(world, source, f"{key}-{i}"), daemon=True)
                        for i in range(count)]
        for each in self.threads:
            each.start()

    def _one(self, world, source, key):
        answer = world.copy("us", source, key)
        with self.changed:
            self.answers.append((answer.status, answer.code if answer.status == 503 else None))
            self.changed.notify_all()

    def first(self, count):
        """The first answers, when there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.answers) >= count, 30), self.answers
            return self.answers[:count]

    def rest(self, after):
        for each in self.threads:
            each.join(60)
        return self.answers[after:]


def test_not_all_workers_wait_for_one_region(world):
    """The source's home hangs. Half of the workers may wait for other regions, seven eighths of these for one as a
    copy; who comes on top is told so at once."""
    world.put(f"{ASHA}/hung", b"x")
    crowd, places = 2 * WORKERS, WORKERS // 2 * 7 // 8
    world.world.region["cn"].process.send_signal(signal.SIGSTOP)
    try:
        at_once = Crowd(world, crowd, f"{ASHA}/hung", f"{UMA}/hung")
        assert at_once.first(crowd - places) == [(503, "SlowDown")] * (crowd - places)
        assert world.ask("us", "PUT", f"{UMA}/local", body=b"x").status == 200
    finally:
        world.world.region["cn"].process.send_signal(signal.SIGCONT)
    # cn answers those that were waiting: with the source, or that it has no more places for that.
    assert (200, None) in at_once.rest(crowd - places)


def test_quarter_of_the_workers_hand_out(world, stream):
    """The target's home takes nothing more. A quarter of the source's workers stand still with it."""
    world.put(f"{ASHA}/slow", os.urandom(24 << 20))
    places, crowd, going = WORKERS // 4, WORKERS // 2, threading.Event()

    def bend(data):
        if b"DOMC" in data:
            going.wait(60)
        return data
    stream.bend = bend
    try:
        at_once = Crowd(world, crowd, f"{ASHA}/slow", f"{UMA}/slow")
        assert at_once.first(crowd - places) == [(503, "SlowDown")] * (crowd - places)
        assert world.ask("cn", "PUT", f"{ASHA}/local", body=b"x").status == 200
    finally:
        going.set()
    assert at_once.rest(crowd - places) == [(200, None)] * places


# ---- what regions say to each other ------------------------------------------------------------------------

def asking(world, source, key, sender="us", receiver="cn", gateway="3", signer=KEY, change=None, **more):
    """What region `sender` says to have the source of a copy: (its head as bytes, the nonce)."""
    headers = {"x-amz-copy-source": f"/{BUCKET}/{source}"}
    with raw.S3(world.gateway[sender], signer) as client:
        data, _ = client.prepare("PUT", f"/{BUCKET}/{key}", headers=headers)
    lines = data.decode().split("\r\n")
    target = lines[0].split(" ")[1]
    fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
    fields = [(n, v) for n, v in (change(fields) if change else fields)]
    if gateway is not None:
        fields.append(("x-domicile-copy-gateway", gateway))
    return peers.sealed(world.seed(sender), regions.NUMBERS[sender], regions.NUMBERS[receiver], "PUT", target, fields,
                        b"", 0, **more)


def say(world, receiver, data):
    with raw.Connection(world.gateway[receiver]) as connection:
        connection.send(data)
        return connection.answer("PUT")


def world_stream(world, source, key):
    """The source as its home streams it to the region us."""
    head, _ = asking(world, source, key)
    answer = say(world, "cn", head)
    assert answer.status == 200, answer
    return answer.body


def test_own_question_is_answered(world):
    """Control: what this test signs with a region's key and a client's does hold; and the answer is signed."""
    world.put(f"{ASHA}/asked", b"asked", Metadata={"m": "needle"})
    head, nonce = asking(world, f"{ASHA}/asked", f"{UMA}/asked")
    answer = say(world, "cn", head)
    assert answer.status == 200, answer
    public = Ed25519PrivateKey.from_private_bytes(world.seed("cn")).public_key()
    public = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    meta, classes, body = peers.copy_source(answer.body, public, 1, 3, nonce)
    assert b"needle" in meta and (classes, body) == ("", b"asked")
    assert world.read(f"{UMA}/asked") is None  # nothing is stored where it is only asked


def test_replayed_question(world):
    head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked")
    assert say(world, "cn", head).status == 200
    answer = say(world, "cn", head)
    assert answer.status == 403 and answer["x-domicile-refused"] == "envelope" and b"DOMC" not in answer.body
    seen = [m for m in world.tap["cn"].seen if m["x-domicile-copy-gateway"]]  # and one of the regions' own
    assert say(world, "cn", seen[-1].raw).status == 403


def test_question_of_another_time_or_to_another_region(world):
    now = int(time.time() * 1000)
    for shift in (-31000, 31000):
        head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", now_ms=now + shift)
        assert say(world, "cn", head).status == 403
    head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked")
    assert say(world, "sg", head).status == 403
    # A region that is not home says who is, and nothing else.
    head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", receiver="sg")
    answer = say(world, "sg", head)
    assert answer.status == 421 and answer["x-domicile-home"].split()[0] == "1" and not answer.body


def other(name, value):
    return lambda fields: [(n, value if n.lower() == name else v) for n, v in fields]


def test_question_that_the_client_did_not_sign(world):
    """A region asks for another key than the client's head names, in an envelope that is good in itself."""
    secret = daemon.Key(KEY.access, "wrong-secret-0123456789", "")
    tampered = [other("x-amz-copy-source", f"/{BUCKET}/{ASHA}/contacts/card"), other("host", "127.0.0.1:1"),
                other("x-amz-date", "20260101T000000Z"), lambda fields: [*fields, ("x-amz-copy-source-if-match", "*")],
                lambda fields: [f for f in fields if f[0].lower() != "authorization"]]
    for change in tampered:
        head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", change=change)
        answer = say(world, "cn", head)
        assert answer.status in (400, 403) and b"DOMC" not in answer.body, answer
    head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", signer=secret)
    answer = say(world, "cn", head)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", change=tampered[0])
    assert say(world, "cn", head).code == "SignatureDoesNotMatch"
    stranger = daemon.Key(*regions.STRANGER.split(":"), "")  # a good signature of who may not read there
    head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", signer=stranger)
    answer = say(world, "cn", head)
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_question_is_judged_by_who_asks(world):
    """The permit is for the region whose envelope it is, whatever the head's target."""
    assert world.copy("cn", f"{ASHA}/contacts/card", f"{ASHA}/innocent").status == 200
    for sender, status in (("us", 451), ("in", 451), ("sg", 200)):
        gateway = str(regions.NUMBERS["cn"])
        head, _ = asking(world, f"{ASHA}/innocent", f"{BEN}/innocent", sender=sender, gateway=gateway)
        answer = say(world, "cn", head)
        assert answer.status == status and (status == 200) == (b"DOMC" in answer.body), (sender, answer)
    for gateway in ("0", "x", "65536", ""):
        head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", gateway=gateway)
        assert say(world, "cn", head).status == 403, gateway
    head, _ = asking(world, f"{ASHA}/asked", f"{UMA}/asked", gateway="9")  # no such region: no such gateway
    assert say(world, "cn", head).status == 451


def test_clients_cannot_ask(world):
    """The field of a client is no region's question."""
    with raw.S3(world.gateway["cn"], KEY) as client:
        data, _ = client.prepare("PUT", f"/{BUCKET}/{ASHA}/by-client",
                                 headers={"x-amz-copy-source": f"/{BUCKET}/{ASHA}/asked"})
        data = data[:-2] + b"x-domicile-copy-gateway: 1\r\n\r\n"
        answer = client.send(data, "PUT")
    assert answer.status == 200 and b"DOMC" not in answer.body and b"CopyObjectResult" in answer.body


def test_only_a_copy_has_a_source(world):
    with raw.S3(world.gateway["us"], KEY) as client:
        data, _ = client.prepare("GET", f"/{BUCKET}/{ASHA}/asked")
    lines = data.decode().split("\r\n")
    fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line] + [("x-domicile-copy-gateway", "3")]
    head, _ = peers.sealed(world.seed("us"), 3, 1, "GET", lines[0].split(" ")[1], fields, b"", 0)
    assert say(world, "cn", head).status == 400


# ---- DeleteObjects of several people of one other home ------------------------------------------------------

def delete(world, gateway, keys):
    return world.s3[gateway].delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})


def test_delete_objects_of_two_people_of_one_other_home(world):
    eve, fay = "eve-delete", "fay-delete"
    for person in (eve, fay):
        world.world.register(person, "IN", at="cn")
    keys = [f"{person}/{i}" for person in (eve, fay) for i in range(3)]
    for gateway in ("us", "in"):
        for key in keys:
            world.put(key, b"x")
        answer = delete(world, gateway, keys)
        assert "Errors" not in answer and len(answer["Deleted"]) == len(keys)
        assert all(world.read(key) is None for key in keys)
    # Both moved; us still believes in cn, is told better when the body is sent, and has learnt it for both.
    for person in (eve, fay):
        world.move(person, "cn", "sg")
    for key in keys:
        world.s3["sg"].put_object(Bucket=BUCKET, Key=key, Body=b"x")
    with pytest.raises(world.s3["us"].exceptions.ClientError) as failure:
        delete(world, "us", keys)
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert all(world.read(key, "sg") == b"x" for key in keys)
    answer = delete(world, "us", keys)
    assert "Errors" not in answer and len(answer["Deleted"]) == len(keys), answer
    assert all(world.read(key, "sg") is None for key in keys)
    # Two other homes: each key is answered by itself, nothing is lost.
    world.put(f"{ASHA}/stays", b"x")
    world.s3["sg"].put_object(Bucket=BUCKET, Key=keys[0], Body=b"x")
    answer = delete(world, "us", [f"{ASHA}/stays", keys[0]])
    assert [e["Code"] for e in answer["Errors"]] == ["SubjectElsewhere"] * 2
    assert world.read(f"{ASHA}/stays") == world.read(keys[0], "sg") == b"x"
    # A name that may not pass here keeps the others from going.
    answer = world.ask("us", "GET", f"{ASHA}/contacts/card")
    assert answer.status == 451
    body = f"<Delete><Object><Key>{keys[0]}</Key></Object><Object><Key>{BEN}/contacts/card</Key></Object></Delete>".encode()
    with raw.S3(world.gateway["us"], KEY) as client:
        headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
        answer = client.request("POST", f"/{BUCKET}", [("delete", None)], headers, body)
    assert (answer.status, answer.code) == (451, "ResidencyViolation")
    assert world.read(keys[0], "sg") == b"x" and world.read(f"{BEN}/contacts/card") == b"restricted"
