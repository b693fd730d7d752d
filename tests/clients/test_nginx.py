"""A region behind nginx with the settings of deploy/nginx: signatures hold, bodies stream, nothing is buffered, and
other regions' messages pass unchanged."""
import os
import pathlib
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import certs, daemon, env, peers, raw, tools  # noqa: E402
from lib import regions  # noqa: E402

ALICE = daemon.ALICE
MAIN = """daemon off;
worker_processes 1;
pid {0}/pid;
error_log {0}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {0}/body;
  proxy_temp_path {0}/proxy;
  fastcgi_temp_path {0}/fastcgi;
  uwsgi_temp_path {0}/uwsgi;
  scgi_temp_path {0}/scgi;
  include {0}/domicile.conf;
}}
"""


class Nginx:
    """Our settings with the capitals filled in; temporary files in folders of which none may ever be filled."""

    def __init__(self, folder, upstream):
        folder.mkdir()
        self.folder, self.host, self.port = folder, "localhost", regions.free_port()
        self.ca = certs.Certificate(folder, "ca")
        own = certs.Certificate(folder, "own", ["localhost", "*.s3.example.test"], self.ca)
        self.tls, self.url = self.ca.client(), f"https://localhost:{self.port}"
        text = (env.ROOT / "deploy" / "nginx" / "domicile.conf").read_text()
        head, text = text.split("\nupstream", 1)
        for word, value in {"UPSTREAM": f"127.0.0.1:{upstream}", "LISTEN": f"127.0.0.1:{self.port}",
                            "NAMES": "localhost *.s3.example.test", "CHAIN": own.chain_file,
                            "KEY": own.key_file}.items():
            assert word in head and word in text
            text = text.replace(word, value)
        (folder / "domicile.conf").write_text("upstream" + text)
        (folder / "nginx.conf").write_text(MAIN.format(folder))
        with open(folder / "out.log", "wb") as log:
            self.process = subprocess.Popen(["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env.of(folder))
        daemon.until(self._listens, "nginx")

    def _listens(self):
        assert self.process.poll() is None, (self.folder / "out.log").read_text() + (self.folder / "error.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def spilled(self):
        """Whatever nginx wrote of bodies."""
        return [f for kind in ("body", "proxy") for f in (self.folder / kind).rglob("*") if f.is_file()]


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    dev = daemon.Daemon.dev(folder, extra=["--domain", "s3.example.test"]).start()
    nginx = Nginx(folder / "nginx", dev.port)
    yield nginx
    nginx.stop()
    dev.kill()


@pytest.fixture(scope="module")
def s3(behind):
    s3 = tools.boto(behind, ALICE, verify=behind.ca.chain_file)
    s3.create_bucket(Bucket="behind")
    return s3


@pytest.mark.parametrize("key", ["plain", "a//b/./c/../d", "ü + &=?#%41 ~", "under_score", "x" * 1000])
def test_names_and_signatures(behind, s3, key):
    body = os.urandom(100_000)
    s3.put_object(Bucket="behind", Key=key, Body=body, Metadata={"under_score": "v", "b": "two  blanks"})
    got = s3.get_object(Bucket="behind", Key=key)
    assert got["Body"].read() == body and got["Metadata"]["under_score"] == "v"
    assert key in [o["Key"] for o in s3.list_objects_v2(Bucket="behind")["Contents"]]
    url = s3.generate_presigned_url("get_object", {"Bucket": "behind", "Key": key})
    done = subprocess.run(["curl", "-q", "-sS", "--noproxy", "*", "--path-as-is", "--cacert", behind.ca.chain_file, url],
                          stdout=subprocess.PIPE, env=env.of("/nonexistent"), check=True)
    assert done.stdout == body


def test_multipart_and_large_bodies_stream(behind, s3):
    where = {"Bucket": "behind", "Key": "parts"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    parts = [os.urandom(40 << 20), b"end"]
    etags = [s3.upload_part(**upload, PartNumber=i + 1, Body=p)["ETag"] for i, p in enumerate(parts)]
    s3.complete_multipart_upload(**upload, MultipartUpload={
        "Parts": [{"PartNumber": i + 1, "ETag": e} for i, e in enumerate(etags)]})
    got = s3.get_object(**where)
    assert got["Body"].read() == b"".join(parts) and got["ResponseMetadata"]["HTTPHeaders"]["server"] == "Domicile"
    assert s3.get_object(**where, Range="bytes=5-9")["Body"].read() == parts[0][5:10]
    s3.copy_object(Bucket="behind", Key="copy", CopySource=where)
    s3.delete_objects(Bucket="behind", Delete={"Objects": [{"Key": "copy"}]})
    assert behind.spilled() == []


def test_aws(behind, s3, tmp_path):
    aws = tools.Aws(tmp_path / "home", behind, ALICE)
    (tmp_path / "file").write_bytes(os.urandom(20 << 20))
    aws.run("s3", "cp", tmp_path / "file", "s3://behind/aws", "--ca-bundle", behind.ca.chain_file)
    aws.run("s3", "cp", "s3://behind/aws", tmp_path / "back", "--ca-bundle", behind.ca.chain_file)
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    assert behind.spilled() == []


def test_expect_and_refusals(behind, s3):
    with raw.S3(behind, ALICE) as client:
        assert client.put("behind", "expected", b"body", Expect="100-continue").status == 200
        assert client.get("behind", "missing").code == "NoSuchKey"
        assert client.request("GET", "/behind/expected", headers={"Host": f"localhost:{behind.port}"}).body == b"body"
        wrong = raw.S3(behind, daemon.Key(ALICE.access, "wrong", ""))
        assert wrong.get("behind", "expected").code == "SignatureDoesNotMatch"
        wrong.close()


def test_a_body_cut_at_nginx_is_no_object(behind, s3):
    client = raw.S3(behind, ALICE)
    data, _ = client.prepare("PUT", "/behind/cut", headers={"Content-Length": "100000"}, payload="UNSIGNED-PAYLOAD")
    with raw.Connection(behind) as connection:
        connection.send(data + b"x" * 5000)
    assert client.get("behind", "cut").status == 404
    client.close()


def test_a_regions_message_passes_unchanged(tmp_path):
    """Its signature covers every field: nginx must add none."""
    with regions.Folder("behind") as folder:
        world = regions.World(folder, str(pathlib.Path(env.BINARY).parent), names=("cn", "in"), program=env.BINARY)
        world.start()
        nginx = Nginx(tmp_path / "nginx", world.port["cn"])
        try:
            seed = bytes.fromhex(pathlib.Path(world.key("in", "region.seed")).read_text().strip())
            message = peers.envelope(seed, 4, 1, "no/such-path", b"body", f"localhost:{nginx.port}")
            with raw.Connection(nginx) as connection:
                connection.send(message)
                answer = connection.answer()
            assert answer.status == 200 and answer["x-domicile-reply-signature"], answer
        finally:
            nginx.stop()
        world.stop()
