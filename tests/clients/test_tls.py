"""TLS of one region: other people's clients, names, reload, client certificates."""
import hashlib
import io
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import certs, daemon, env, raw, tools  # noqa: E402
from lib import regions  # noqa: E402

ALICE = daemon.ALICE


class Secure:
    """A dev region with a certificate for localhost and one for other.test, and a plain listener beside."""

    def __init__(self, folder, *more):
        self.ca = certs.Certificate(folder, "ca")
        self.own = certs.Certificate(folder, "own", ["localhost", "127.0.0.1", "*.s3.example.test"], self.ca)
        self.other = certs.Certificate(folder, "other", ["other.test"], self.ca)
        self.daemon = daemon.Daemon.dev(folder, extra=[
            "--listen", "http://127.0.0.1:0", "--domain", "s3.example.test",
            "--tls-cert", self.own.chain_file, "--tls-key", self.own.key_file,
            "--tls-cert", self.other.chain_file, "--tls-key", self.other.key_file, *more])
        self.daemon.scheme, self.daemon.tls = "https", self.ca.client()
        self.daemon.start()

    def shown(self, name):
        """The certificate that a client which asks for `name` gets."""
        with socket.create_connection(("127.0.0.1", self.daemon.port), 30) as plain:
            with self.ca.client().wrap_socket(plain, server_hostname=name) as connection:
                return connection.getpeercert(True)

    def der(self, certificate):
        return ssl.PEM_cert_to_DER_cert(open(certificate.chain_file).read())


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    made = Secure(tmp_path_factory.mktemp("tls"))
    yield made
    made.daemon.kill()


@pytest.fixture(scope="module")
def s3(secure):
    s3 = tools.boto(secure.daemon, ALICE, verify=secure.ca.chain_file)
    s3.create_bucket(Bucket="tls")
    return s3


def test_boto(secure, s3):
    for size in (0, 1, 16384, 16385, 9 << 20):
        body = os.urandom(size)
        s3.put_object(Bucket="tls", Key=f"size {size}", Body=body)
        assert s3.get_object(Bucket="tls", Key=f"size {size}")["Body"].read() == body
    where = {"Bucket": "tls", "Key": "parts"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    parts = [os.urandom(5 << 20), b"end"]
    etags = [s3.upload_part(**upload, PartNumber=i + 1, Body=p)["ETag"] for i, p in enumerate(parts)]
    s3.complete_multipart_upload(**upload, MultipartUpload={
        "Parts": [{"PartNumber": i + 1, "ETag": e} for i, e in enumerate(etags)]})
    assert s3.get_object(**where)["Body"].read() == b"".join(parts)


def test_boto_refuses_an_unknown_authority(secure, tmp_path):
    stranger = certs.Certificate(tmp_path, "stranger")
    with pytest.raises(Exception, match="certificate verify failed"):
        tools.boto(secure.daemon, ALICE, verify=stranger.chain_file).list_buckets()


def test_aws(secure, s3, tmp_path):
    aws = tools.Aws(tmp_path / "home", secure.daemon, ALICE)
    body = os.urandom(20 << 20)
    (tmp_path / "file").write_bytes(body)
    trust = ("--ca-bundle", secure.ca.chain_file)
    aws.run("s3", "cp", tmp_path / "file", "s3://tls/aws", *trust)
    aws.run("s3", "cp", "s3://tls/aws", tmp_path / "back", *trust)
    assert (tmp_path / "back").read_bytes() == body
    assert "verify failed" in aws.run("s3", "ls", "s3://tls", check=False)


def curl(secure, *arguments):
    command = ["curl", "-q", "-sS", "--noproxy", "*", "--max-time", "60", "--cacert", secure.ca.chain_file,
               "--aws-sigv4", "aws:amz:test-1:s3", "--user", f"{ALICE.access}:{ALICE.secret}", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=env.of("/nonexistent"), check=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(secure, s3, tmp_path, version):
    body = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(body)
    url = f"https://localhost:{secure.daemon.port}/tls/curl-{version}"
    only = [f"--tlsv{version}", "--tls-max", version]
    digest = ["-H", "x-amz-content-sha256: " + hashlib.sha256(body).hexdigest()]
    status, _, complaint = curl(secure, *only, *digest, "-H", "Expect: 100-continue", "-T", str(tmp_path / "file"), url)
    assert status == 0, complaint
    empty = ["-H", "x-amz-content-sha256: " + hashlib.sha256(b"").hexdigest()]
    status, got, complaint = curl(secure, *only, *empty, url, "--next", "-sS", "--cacert", secure.ca.chain_file,
                                  f"https://localhost:{secure.daemon.port}/-/healthz")
    assert status == 0 and got.startswith(body), complaint
    assert curl(secure, "--tls-max", "1.1", url)[0] == 35


def test_virtual_host(secure, s3):
    s3.put_object(Bucket="tls", Key="hosted", Body=b"by name")
    host, port = "tls.s3.example.test", secure.daemon.port
    empty = ["-H", "x-amz-content-sha256: " + hashlib.sha256(b"").hexdigest()]
    status, got, complaint = curl(secure, *empty, "--resolve", f"{host}:{port}:127.0.0.1", f"https://{host}:{port}/hosted")
    assert (status, got) == (0, b"by name"), complaint


def test_unsigned_payload_with_a_trailer(secure, s3):
    """What SDKs send over TLS only: chunks without signatures, and a checksum behind them."""
    sent = []
    s3.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(request.headers))
    for algorithm in ("CRC32", "SHA256"):
        body = os.urandom(300_000)
        s3.put_object(Bucket="tls", Key=algorithm, Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
        assert sent[-1]["X-Amz-Content-SHA256"] == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        got = s3.get_object(Bucket="tls", Key=algorithm, ChecksumMode="ENABLED")
        assert got["Body"].read() == body and got[f"Checksum{algorithm}"]
    with raw.S3(secure.daemon, ALICE) as client:
        framed = b"4\r\nbody\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
        headers = {"x-amz-decoded-content-length": "4", "Content-Encoding": "aws-chunked",
                   "x-amz-trailer": "x-amz-checksum-crc32", "Content-Length": str(len(framed))}
        data, _ = client.prepare("PUT", "/tls/wrong", headers=headers, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        answer = client.send(data + framed, "PUT")
        assert (answer.status, answer.code) == (400, "BadDigest")
        assert client.get("tls", "wrong").status == 404


def test_names(secure):
    assert secure.shown("localhost") == secure.der(secure.own)
    assert secure.shown("other.test") == secure.der(secure.other)


def test_plain_speaks_no_tls_and_tls_no_plain(secure):
    with socket.create_connection(("127.0.0.1", secure.daemon.port), 30) as plain:
        plain.sendall(b"GET /-/healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            assert plain.recv(100) == b""
        except ConnectionResetError:
            pass
    with socket.create_connection(("127.0.0.1", secure.daemon.ports[1]), 30) as plain:
        plain.sendall(b"GET /-/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert plain.recv(12) == b"HTTP/1.1 200"


def reload(dev, wanted):
    """SIGHUP, until the log says what became of it."""
    start = dev.log_size()
    dev.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: "reload" in dev.log(start), "a reload")
    assert wanted in dev.log(start), dev.log(start)


def test_reload(tmp_path):
    made = Secure(tmp_path)
    dev = made.daemon
    try:
        with raw.Connection(dev) as old:
            before = made.shown("localhost")
            renewed = certs.Certificate(tmp_path, "renewed", ["localhost", "127.0.0.1"], made.ca)
            renewed.write(made.own.chain_file, made.own.key_file)
            assert made.shown("localhost") == before  # files alone change nothing
            reload(dev, "reloaded")
            assert made.shown("localhost") == made.der(renewed) != before
            old.send(b"GET /-/healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert old.answer().status == 200
        good = open(made.own.chain_file).read()
        # Each of these keeps the certificate in force, and the log says what to do.
        late = certs.Certificate(tmp_path, "late", ["localhost", "127.0.0.1"], made.ca, days=(-2, -1))
        late.write(made.own.chain_file, made.own.key_file)
        reload(dev, "expired: put the new one in place, then SIGHUP")
        renewed.write(made.own.chain_file, late.key_file)
        reload(dev, "does not belong to its certificate")
        renewed.write(made.own.chain_file, made.own.key_file)
        os.chmod(made.own.key_file, 0o640)
        reload(dev, "chmod 600 it")
        os.truncate(made.own.chain_file, 0)
        os.chmod(made.own.key_file, 0o600)
        reload(dev, "holds no certificate")
        os.remove(made.own.key_file)
        reload(dev, "reload refused")
        assert made.shown("localhost") == ssl.PEM_cert_to_DER_cert(good)
        with raw.Connection(dev) as new:
            new.send(b"GET /-/healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert new.answer().status == 200
    finally:
        dev.kill()


def test_key_below_the_data_folder(tmp_path):
    ca = certs.Certificate(tmp_path, "ca")
    (tmp_path / "data").mkdir()
    own = certs.Certificate(tmp_path / "data", "own", ["localhost"], ca)
    status, _, complaint = daemon.run(["serve", "--dev", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--key",
                                       ALICE.flag(), "--tls-cert", own.chain_file, "--tls-key", own.key_file], tmp_path)
    assert status == 2 and "below the data folder" in complaint


def test_verify_over_tls(secure, tmp_path):
    url = f"https://localhost:{secure.daemon.port}/-/ledger/"
    status, told, complaint = daemon.run(["verify", url], tmp_path, DOMICILE_CA_FILE=secure.ca.chain_file)
    assert status == 1 and "consistent" in told + complaint, told + complaint  # no key from elsewhere was given
    status, told, complaint = daemon.run(["verify", url], tmp_path)
    assert status == 3 and "certificate" in complaint.lower(), told + complaint


def test_client_certificates(tmp_path):
    """Required of everybody; who shows one is in the access log as a hash, never by name."""
    ca = certs.Certificate(tmp_path, "ca")
    own = certs.Certificate(tmp_path, "own", ["localhost"], ca)
    with regions.Folder("tls-clients") as folder:
        class World(regions.World):
            def listen(self, name):
                return [f"https://127.0.0.1:{self.port[name]}"]

            def settings(self, name):
                return (f'access_log: "{tmp_path}/access.log"\ntls: {{certificates: [{{chain_file: "{own.chain_file}", '
                        f'key_file: "{own.key_file}"}}], client_ca_file: "{ca.chain_file}", client_certificates: require}}\n')

        world = World(folder, str(pathlib.Path(env.BINARY).parent), names=("in",), program=env.BINARY,
                      rules=regions.RULES_OPEN.replace("home: cn", "home: in"))
        world.start()
        member = certs.Certificate(tmp_path, "member", by=ca, subject="somebody by name")
        stranger = certs.Certificate(tmp_path, "stranger", by=certs.Certificate(tmp_path, "other"))

        class At:
            host, port = "localhost", world.port["in"]
        for shows, good in ((member, True), (None, False), (stranger, False)):
            At.tls = ca.client(shows)
            try:
                with raw.S3(At, daemon.Key(*regions.ACCESS.split(":"), "")) as client:
                    status = client.request("GET", "/").status
            except (ssl.SSLError, raw.Closed, OSError):
                status = None
            assert status == (200 if good else None)
        log = (tmp_path / "access.log").read_text().splitlines()
        wanted = hashlib.sha256(member.certificate.subject.public_bytes()).hexdigest()
        assert [json.loads(line)["client_certificate"] for line in log] == [wanted]
        assert "somebody" not in "".join(log) and "somebody" not in world.region["in"].tail()
        world.stop()
