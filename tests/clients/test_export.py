"""`domicile subject export`: all that an S3 client reads of a person, byte for byte and field for field, and nothing of others."""
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon, tools  # noqa: E402
from kit.world import KEY, watched  # noqa: E402
from lib import regions  # noqa: E402
from test_customer_keys import by  # noqa: E402
from test_tls import Secure  # noqa: E402

BUCKET, WHO, OTHER = "phones", "asha-8421", "ben-1111"
OPEN = regions.RULES_OPEN
ABROAD = OPEN.replace("restricted: {store: any, read: any", "restricted: {store: any, read: [SG]")
ODD = ["../../../etc/passwd", "..", ".", "/", "//x", "a\nb", "CON", "aux.txt", "A", "a", "ü/ß", "\u202etxt.exe", " ", "-rf",
       "x" * (1024 - len(WHO) - 1), "files/0000/00000001", "manifest.jsonl", "a\\b", "~", "%2e%2e%2f"]
UNTIL = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)).replace(microsecond=0)


def read(folder):
    """Head, items by kind, end of a manifest; every file is checked against its line."""
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().decode().splitlines()]
    assert lines[0]["kind"] == "export" and lines[-1]["kind"] == "end"
    items, files = lines[1:-1], set()
    for item in items:
        assert "stamp" not in item
        if "file" in item:
            body = (folder / item["file"]).read_bytes()
            assert len(body) == item["size"] and hashlib.sha256(body).hexdigest() == item["sha256"]
            files.add(item["file"])
    assert len(files) == sum("file" in item for item in items)
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there == files | {"manifest.jsonl", "progress"}
    return lines[0], items, lines[-1]


def of(items, kind):
    return [item for item in items if item["kind"] == kind]


def milliseconds(when):
    return int(when.timestamp() * 1000)


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    made = Secure(tmp_path_factory.mktemp("tls-export"))
    yield made
    made.daemon.kill()


def command(secure, *arguments):
    home = secure.daemon.folder
    return daemon.run([*arguments, "--data", home / "data"], home)


def fill(s3, who):
    """Something of every kind."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    for name in ODD if who == WHO else ["a"]:
        s3.put_object(Bucket=BUCKET, Key=f"{who}/{name}", Body=name.encode())
    where = {"Bucket": BUCKET, "Key": f"{who}/many"}
    for i in range(130):  # more than a page
        s3.put_object(**where, Body=b"%d of " % i + who.encode())
    s3.delete_object(**where)
    where = {"Bucket": BUCKET, "Key": f"{who}/described"}
    s3.put_object(**where, Body=b"x" * (3 << 20), Metadata={"name": "Asha"}, ContentType="text/x", CacheControl="no-store",
                  ContentLanguage="hi", Tagging="a=1&b=", ChecksumAlgorithm="CRC32C", ObjectLockMode="GOVERNANCE",
                  ObjectLockRetainUntilDate=UNTIL, ObjectLockLegalHoldStatus="ON")
    s3.put_object(**where, Body=b"")
    where = {"Bucket": BUCKET, "Key": f"{who}/in parts"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, Metadata={"m": "1"})["UploadId"]}
    parts = [{"PartNumber": n, "ETag": s3.upload_part(**upload, PartNumber=n, Body=os.urandom(5 << 20))["ETag"]} for n in (2, 7)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    where = {"Bucket": BUCKET, "Key": f"{who}/under way"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, ContentType="film/slow", Tagging="t=u")["UploadId"]}
    for n in (1, 3):
        s3.upload_part(**upload, PartNumber=n, Body=b"part %d" % n)
    s3.put_object(Bucket="second", Key=f"{who}/there", Body=b"null version")
    return upload["UploadId"]


def test_everything_and_nothing_of_others(secure, tmp_path):
    s3 = tools.boto(secure.daemon, daemon.ALICE, verify=secure.ca.chain_file)
    for name in (BUCKET, "second"):
        done = command(secure, "bucket", "create", name, "--layout", "{subject}/", "--owner", "alice")
        assert done[0] == 0, done
    for who in (WHO, OTHER):
        done = command(secure, "subject", "register", who, "--country", "IN", "--tenant", "alice")
        assert done[0] == 0, done
    upload = fill(s3, WHO)
    fill(s3, OTHER)
    sealed = s3.put_object(Bucket=BUCKET, Key=f"{WHO}/sealed", Body=b"secret to all", **by())
    listed = s3.list_object_versions(Bucket=BUCKET, Prefix=f"{WHO}/")
    folder = tmp_path / "out"
    done = command(secure, "subject", "export", WHO, "--tenant", "alice", "--to", folder)
    assert done[0] == 0 and "1 things are sealed" in done[2], done
    head, items, end = read(folder)
    assert (head["subject"], head["tenant"], head["country"], head["home"]) == (WHO, "alice", "IN", "in")
    assert end["objects"] == len(listed["Versions"]) + 1 and end["delete_markers"] == 1 == end["sealed_by_client"]
    told = {(i["key"], i["version_id"]): i for i in of(items, "object") if i["bucket"] == BUCKET}
    assert told.keys() == {(v["Key"], v["VersionId"]) for v in listed["Versions"]}
    for v in listed["Versions"]:
        item, which = told[v["Key"], v["VersionId"]], {"Bucket": BUCKET, "Key": v["Key"], "VersionId": v["VersionId"]}
        assert (item["size"], item["etag"], item["is_latest"]) == (v["Size"], v["ETag"].strip('"'), v["IsLatest"])
        assert item["modified_ms"] == milliseconds(v["LastModified"])
        if v["Key"] == f"{WHO}/sealed":
            assert item["sealed_by_client"] and "file" not in item and v["VersionId"] == sealed["VersionId"]
            continue
        got = s3.get_object(**which, ChecksumMode="ENABLED")
        assert got["Body"].read() == (folder / item["file"]).read_bytes()
        there = {n.lower(): value for n, value in item["headers"].items()}
        said = got["ResponseMetadata"]["HTTPHeaders"]
        assert there == {n: said[n] for n in there} and there["content-type"] == got["ContentType"]
        missing = {n for n in said if n.startswith(("x-amz-meta", "x-amz-object-lock", "x-amz-checksum", "cache", "content-l"))}
        assert missing - {"content-length"} <= there.keys()
        tags = {t["Key"]: t["Value"] for t in s3.get_object_tagging(**which)["TagSet"]}
        assert item.get("tags", {}) == tags
    described = told[f"{WHO}/described", next(v["VersionId"] for v in listed["Versions"]
                                             if v["Key"] == f"{WHO}/described" and v["Size"])]
    assert described["headers"]["x-amz-meta-name"] == "Asha" and described["tags"] == {"a": "1", "b": ""}
    assert described["headers"]["x-amz-object-lock-mode"] == "GOVERNANCE"
    assert described["headers"]["x-amz-object-lock-legal-hold"] == "ON"
    marker = of(items, "delete-marker")[0]
    assert [(marker["key"], marker["version_id"], marker["is_latest"])] == [
        (m["Key"], m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]]
    begun = of(items, "upload")
    assert [(u["key"], u["upload_id"], u["tags"]) for u in begun] == [(f"{WHO}/under way", upload, {"t": "u"})]
    assert begun[0]["headers"]["Content-Type"] == "film/slow"
    parts = s3.list_parts(Bucket=BUCKET, Key=f"{WHO}/under way", UploadId=upload)["Parts"]
    assert [(p["part"], p["size"], p["etag"]) for p in of(items, "part")] == [
        (p["PartNumber"], p["Size"], p["ETag"].strip('"')) for p in parts]
    assert [(folder / p["file"]).read_bytes() for p in of(items, "part")] == [b"part 1", b"part 3"]
    assert [(i["key"], i["version_id"]) for i in of(items, "object") if i["bucket"] == "second"] == [(f"{WHO}/there", "null")]
    everything = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert OTHER.encode() not in everything and b"secret to all" not in everything
    assert not (tmp_path / "etc").exists() and os.listdir(tmp_path) == ["out"]
    check_again(secure, s3, folder)


def check_again(secure, s3, folder):
    """What is right stays untouched, what is not is fetched, what is gone goes."""
    before = {p: p.stat().st_mtime_ns for p in (folder / "files").rglob("*") if p.is_file()}
    _, items, _ = read(folder)
    by_key = {i["key"]: i for i in of(items, "object") if i["bucket"] == BUCKET}
    damaged, gone = folder / by_key[f"{WHO}/A"]["file"], by_key[f"{WHO}/CON"]
    damaged.write_bytes(b"?")
    s3.delete_object(Bucket=BUCKET, Key=gone["key"], VersionId=gone["version_id"])
    s3.put_object(Bucket="second", Key=f"{WHO}/there", Body=b"another null version")
    (folder / "files" / "0000" / "99990000").write_bytes(b"")  # nobody's: left alone
    done = command(secure, "subject", "export", WHO, "--tenant", "alice", "--to", folder, "--json")
    assert done[0] == 0 and json.loads(done[1])["kind"] == "end", done
    (folder / "files" / "0000" / "99990000").unlink()
    _, items, _ = read(folder)
    assert damaged.read_bytes() == b"A" and gone["key"] not in {i["key"] for i in items}
    after = {p: p.stat().st_mtime_ns for p in (folder / "files").rglob("*") if p.is_file()}
    changed = {p for p in before if before[p] != after.get(p)}
    assert len(changed) == 3 and damaged in changed  # and the one that is gone, and the one that was replaced
    for who, to, code, word in ((OTHER, folder, 2, "another person's"), (WHO, folder / "files", 2, "not empty"),
                                ("nobody", folder.parent / "n", 1, "not registered")):
        done = command(secure, "subject", "export", who, "--tenant", "alice", "--to", to)
        assert done[0] == code and word in done[2], done
    assert not (folder / "files" / "progress").exists() and not (folder.parent / "n").exists()


# ---- between regions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    with watched("export", OPEN, BUCKET) as made:
        made.bucket("plain")
        yield made


def export(world, region, who, to, ok=(0,)):
    """What it printed, complaints included."""
    done = subprocess.run([world.program, "subject", "export", who, "--tenant", regions.TENANT, "--to", to, "--data",
                           world.data(region)], env=world.env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode in ok, done
    return done.stderr.decode()


class Cut:
    """A way to a region that goes silent after so many bytes of its answers."""

    def __init__(self, port, limit):
        self.left, self.silent = limit, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.to, self.open = ("127.0.0.1", port), []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            there = socket.create_connection(self.to)
            self.open += [client, there]
            threading.Thread(target=self.pump, args=(client, there, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(there, client, True), daemon=True).start()

    def pump(self, source, target, counted):
        try:
            while data := source.recv(65536):
                if counted and self.left < len(data):
                    self.silent.set()
                    return
                self.left -= len(data) if counted else 0
                target.sendall(data)
        except OSError:
            pass

    def close(self):
        for each in [self.listener, *self.open]:
            each.close()


def test_interrupted_and_gone_on_with(world, tmp_path):
    s3, who, folder = tools.boto(world.gateway["cn"], KEY), "interrupted-1", tmp_path / "out"
    world.register(who, "IN", at="cn")
    for i in range(40):
        s3.put_object(Bucket=BUCKET, Key=f"{who}/{i:02}", Body=os.urandom(100000))
    cut = Cut(world.port["cn"], 2000000)
    started = subprocess.Popen([world.program, "subject", "export", who, "--tenant", regions.TENANT, "--to", folder,
                                "--endpoint", cut.url, "--key", regions.OPERATOR], env=world.env, stderr=subprocess.PIPE)
    assert cut.silent.wait(60)
    started.send_signal(signal.SIGINT)
    assert b"run the same again" in started.communicate()[1] and started.returncode == 130
    cut.close()
    assert not (folder / "manifest.jsonl").exists() and (folder / "manifest.jsonl.partial").exists()
    there = {p: p.stat().st_mtime_ns for p in (folder / "files").rglob("*") if p.is_file()}
    whole = (os.path.getsize(folder / "progress") - 40) // 80
    assert 5 < whole < 40 and len(there) <= whole + 1
    export(world, "cn", who, folder)
    _, items, end = read(folder)
    assert end["objects"] == 40 and end["bytes"] == 4000000
    same = sum(p.stat().st_mtime_ns == then for p, then in there.items())
    assert same == whole
    for item in items:
        assert s3.get_object(Bucket=BUCKET, Key=item["key"])["Body"].read() == (folder / item["file"]).read_bytes()
    shown = world.at("cn", "ledger", "show", "--json")
    assert shown.count("export of a subject by WORLDOPER") == 1
    assert shown.count("export of a subject by the data folder's owner") == 1 and who not in shown


def test_each_page_leaves_a_trace(world, tmp_path):
    """A later page can be asked for without the first."""
    s3, who = tools.boto(world.gateway["cn"], KEY), "many-pages-3"
    world.register(who, "IN", at="cn")
    for i in range(101):
        s3.put_object(Bucket=BUCKET, Key=f"{who}/{i}", Body=b"")
    before = world.at("cn", "ledger", "show", "--json").count("export of a subject")
    export(world, "cn", who, tmp_path / "out")
    assert world.at("cn", "ledger", "show", "--json").count("export of a subject") == before + 2


def test_at_home_only_and_on_after_a_move(world, tmp_path):
    s3, who, folder = tools.boto(world.gateway["us"], KEY), "traveller-2", tmp_path / "out"
    world.register(who, "IN", at="cn")
    for i in range(5):
        s3.put_object(Bucket=BUCKET, Key=f"{who}/{i}", Body=b"%d" % i * 70000, Metadata={"i": str(i)})
    said = export(world, "sg", who, folder, ok=(1,))
    assert "home is region cn" in said and not folder.exists()
    export(world, "cn", who, folder)
    first, before, _ = read(folder)
    there = {p: p.stat().st_mtime_ns for p in (folder / "files").rglob("*") if p.is_file()}
    world.at("cn", "move", "--subject", who, "--tenant", regions.TENANT, "--to", "sg")
    assert "home is region sg" in export(world, "cn", who, folder, ok=(1,))
    export(world, "sg", who, folder)
    head, after, _ = read(folder)
    assert after == before and (first["home"], head["home"]) == ("cn", "sg") and head["epoch"] > first["epoch"]
    assert there == {p: p.stat().st_mtime_ns for p in (folder / "files").rglob("*") if p.is_file()}


# ---- the operators' interface itself --------------------------------------------------------------


class Socket(http.client.HTTPConnection):
    """The region's own socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def post(world, region, who, tail="", **body):
    """(status, answer): JSON of a page or a refusal, {stamp: bytes} of bodies."""
    link = Socket(f"{world.data(region)}/admin.sock")
    link.request("POST", f"/-/admin/subjects/{who}/export{tail}?tenant={regions.TENANT}", json.dumps(body))
    answer = link.getresponse()
    data = answer.read()
    link.close()
    if answer.getheader("Content-Type") == "application/json":
        return answer.status, json.loads(data)
    bodies = {}
    while (stamp := data[:32]) != bytes(32):
        size = int.from_bytes(data[32:40], "big")
        bodies[stamp.hex()], data = data[40:40 + size], data[40 + size:]
    assert data == bytes(40)
    return answer.status, bodies


def test_bodies_only_of_what_was_told_of_this_person(world):
    s3 = tools.boto(world.gateway["cn"], KEY)
    for who in ("told-4", "other-4"):
        world.register(who, "SG", at="cn")
        for i in range(105):
            s3.put_object(Bucket="plain", Key=f"{who}/{i:03}", Body=f"{who} {i}".encode())
    pages = {who: post(world, "cn", who)[1] for who in ("told-4", "other-4")}
    mine, theirs = pages["told-4"], pages["other-4"]
    epoch, stamps = mine["epoch"], [i["stamp"] for i in mine["items"]]
    assert len(stamps) == 100 and mine["objects"] == 105
    ask = {"epoch": epoch, "stamps": [i["stamp"] for i in theirs["items"][:50]] + stamps[:2]}
    assert post(world, "cn", "told-4", "/bodies", **ask) == (200, {stamps[0]: b"told-4 0", stamps[1]: b"told-4 1"})
    rest = post(world, "cn", "told-4", after=mine["next"], epoch=epoch)[1]
    assert [i["key"] for i in rest["items"]] == [f"told-4/{i}" for i in range(100, 105)] and rest["next"] is None
    assert post(world, "cn", "told-4", "/bodies", epoch=epoch, stamps=stamps[:1], after=mine["next"]) == (200, {})
    s3.put_object(Bucket="plain", Key="told-4/000", Body=b"replaced")  # since its page
    s3.delete_object(Bucket="plain", Key="told-4/001")
    got = post(world, "cn", "told-4", "/bodies", epoch=epoch, stamps=stamps)
    assert got == (200, {s: f"told-4 {i}".encode() for i, s in enumerate(stamps) if i > 1})
    for tail, body, status in (("", {"after": "zz", "epoch": 1}, 400), ("", {"after": mine["next"]}, 400),
                               ("", {"after": "00", "epoch": epoch}, 400), ("", {"surplus": 1}, 400),
                               ("/bodies", {"epoch": epoch, "stamps": ["12"]}, 400), ("/bodies", {"epoch": epoch}, 400),
                               ("/bodies", {"epoch": epoch, "stamps": stamps + stamps[:1]}, 400),
                               ("/bodies", {"epoch": epoch + 1, "stamps": stamps}, 409)):
        assert post(world, "cn", "told-4", tail, **body)[0] == status, (tail, body)
    status, said = post(world, "sg", "told-4", "/bodies", epoch=epoch, stamps=stamps)
    assert status == 409 and "home is region cn" in said["error"]["message"]


def test_refused_whole_by_clause(world, tmp_path):
    s3, who, folder = tools.boto(world.gateway["cn"], KEY), "refused-3", tmp_path / "out"
    world.register(who, "IN", at="cn")
    s3.put_object(Bucket=BUCKET, Key=f"{who}/harmless", Body=b"1")
    path = world.charter(2, ABROAD)
    for name in world.names:
        world.at(name, "charter", "put", path)
    said = export(world, "cn", who, folder, ok=(1,))
    assert "charter version 2" in said and "restricted.read" in said and not folder.exists()
