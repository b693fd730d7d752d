"""Regions that speak TLS with each other and show each other certificates: a person moves and is served through
gateways; and whoever shows the wrong certificate, or none, is refused before anything is said."""
import base64
import hashlib
import pathlib
import re
import ssl
import sys
import urllib.request

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import certs, daemon, env, peers, raw, tools  # noqa: E402
from lib import regions  # noqa: E402

KEY = daemon.Key(*regions.ACCESS.split(":"), regions.TENANT)
NAMES = ("cn", "sg", "in")


class Server:
    """A region's TLS listener, for kit.raw and kit.tools."""

    def __init__(self, port, context):
        self.host, self.port, self.tls = "localhost", port, context
        self.url = f"https://localhost:{port}"


class World(regions.World):
    """Each region has a certificate for its endpoint's host, `localhost`, by one authority."""

    def __init__(self, folder, build, **more):
        self.certificates = folder.file("certificates")
        pathlib.Path(self.certificates).mkdir()
        self.ca = certs.Certificate(self.certificates, "ca")
        self.shown = {name: certs.Certificate(self.certificates, name, ["localhost"], self.ca) for name in NAMES}
        self.plain = {name: regions.free_port() for name in NAMES}
        super().__init__(folder, build, names=NAMES, program=env.BINARY, **more)

    def url(self, name):
        return f"https://localhost:{self.port[name]}"

    def listen(self, name):
        return [f"https://127.0.0.1:{self.port[name]}", f"http://127.0.0.1:{self.plain[name]}"]

    def settings(self, name):
        own = self.shown[name]
        return (f'tls: {{certificates: [{{chain_file: "{own.chain_file}", key_file: "{own.key_file}"}}], '
                f'peer_ca_file: "{self.ca.chain_file}"}}\n')

    def server(self, name, shows=None):
        return Server(self.port[name], self.ca.client(shows))

    def requests(self, name):
        """How many requests the region has had, this question among them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plain[name]}/-/metrics") as answer:
            return int(re.search(r"^domicile_http_requests_total (\d+)", answer.read().decode(), re.M).group(1))

    def change(self, name, certificate):
        """Another certificate in the region's files; an expired one can only be met at the start."""
        certificate.write(self.shown[name].chain_file, self.shown[name].key_file)
        assert self.region[name].stop() == 0
        self.region[name].start()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with regions.Folder("tls") as folder:
        made = World(folder, str(pathlib.Path(env.BINARY).parent))
        made.start()
        made.bucket("phones")
        yield made
        made.stop()


def client(world, name):
    return tools.boto(world.server(name), KEY, verify=world.ca.chain_file)


def test_move_and_forwarding(world):
    token = world.register("asha")
    s3 = {name: client(world, name) for name in NAMES}
    bodies = {f"asha/{i}": bytes([i]) * (1 + i * 100_000) for i in range(12)}
    for key, body in bodies.items():
        s3["cn"].put_object(Bucket="phones", Key=key, Body=body)
    world.at("cn", "move", "--subject", "asha", "--tenant", regions.TENANT, "--to", "sg")
    assert world.homes(token) == {"sg": "home"}
    for name in NAMES:  # forwarded by cn, which knows, and by in, which asks
        for key, body in bodies.items():
            assert s3[name].get_object(Bucket="phones", Key=key)["Body"].read() == body
            told = s3[name].get_object_attributes(Bucket="phones", Key=key, ObjectAttributes=["ObjectSize"])
            assert told["ObjectSize"] == len(body)
        s3[name].put_object(Bucket="phones", Key=f"asha/by {name}", Body=b"x" * 3_000_000)
        assert s3["sg"].head_object(Bucket="phones", Key=f"asha/by {name}")["ContentLength"] == 3_000_000


def by(key, source=False):
    stem = "CopySourceSSECustomer" if source else "SSECustomer"
    return {stem + "Algorithm": "AES256", stem + "Key": key}


def fields_of(key):
    values = {"algorithm": b"AES256", "key": base64.b64encode(key), "key_MD5": base64.b64encode(hashlib.md5(key).digest())}
    return {"x_amz_server_side_encryption_customer_" + name: value.decode() for name, value in values.items()}


def test_keys_of_clients(world):
    """Objects that only their sender's key opens: through gateways, moved in the middle of an upload, copied from home
    to home. No move needs the key."""
    mine, other, whole = b"m" * 32, b"o" * 32, bytes(range(256)) * 20000
    token, second = world.register("nadia"), world.register("omar")
    s3 = {name: client(world, name) for name in NAMES}
    s3["in"].put_object(Bucket="phones", Key="nadia/k", Body=whole, **by(mine))  # forwarded to cn
    with raw.S3(world.server("cn"), KEY) as signed:  # its body's hash is in the signature, and not what is stored
        for name, body in (("nadia/signed", whole), ("nadia/small", b"small")):
            assert signed.put("phones", name, body, **fields_of(mine)).status == 200
    where = {"Bucket": "phones", "Key": "nadia/parts"}
    where["UploadId"] = s3["cn"].create_multipart_upload(**where, **by(mine), ChecksumAlgorithm="SHA256")["UploadId"]
    sent = [s3["sg"].upload_part(**where, PartNumber=3, Body=whole + b"!" * 200_000, **by(mine))]
    world.at("cn", "move", "--subject", "nadia", "--tenant", regions.TENANT, "--to", "sg")
    assert world.homes(token) == {"sg": "home"} and world.homes(second) == {"cn": "home"}
    sent.append(s3["cn"].upload_part(**where, PartNumber=8, Body=b"tail", **by(mine)))
    parts = [{"PartNumber": n, "ETag": p["ETag"]} for n, p in zip((3, 8), sent)]
    assert s3["in"].complete_multipart_upload(**where, MultipartUpload={"Parts": parts})["ChecksumSHA256"].endswith("-2")
    world.at("sg", "move", "--subject", "nadia", "--tenant", regions.TENANT, "--to", "in")
    for name in NAMES:
        got = s3[name].get_object(Bucket="phones", Key="nadia/k", **by(mine))
        assert got["Body"].read() == whole and got["SSECustomerAlgorithm"] == "AES256"
        assert s3[name].get_object(Bucket="phones", Key="nadia/signed", **by(mine))["Body"].read() == whole
        assert s3[name].get_object(Bucket="phones", Key="nadia/small", **by(mine))["Body"].read() == b"small"
        got = s3[name].get_object(Bucket="phones", Key="nadia/parts", **by(mine), ChecksumMode="ENABLED")
        assert got["Body"].read() == whole + b"!" * 200_000 + b"tail" and got["ChecksumSHA256"].endswith("-2")
        assert s3[name].get_object(Bucket="phones", Key="nadia/parts", PartNumber=8, **by(mine))["Body"].read() == b"tail"
        for wrong, status in ((by(other), 403), ({}, 400)):
            with pytest.raises(ClientError) as failure:
                s3[name].get_object(Bucket="phones", Key="nadia/k", **wrong)
            assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        source = {"Bucket": "phones", "Key": "nadia/parts"}  # its home is in, the copy's is cn
        s3[name].copy_object(Bucket="phones", Key=f"omar/{name}", CopySource=source, **by(mine, True), **by(other))
        assert s3["cn"].get_object(Bucket="phones", Key=f"omar/{name}", **by(other))["Body"].read() == (
            whole + b"!" * 200_000 + b"tail")


class Between(World):
    """Clients come over TLS; regions talk to each other in the open."""

    def url(self, name):
        return f"http://127.0.0.1:{self.plain[name]}"

    def settings(self, name):
        return super().settings(name).replace(f'peer_ca_file: "{self.ca.chain_file}"', "").replace("}], }", "}]}")


def test_no_key_goes_to_a_region_in_the_open():
    with regions.Folder("open-between") as folder:
        world = Between(folder, str(pathlib.Path(env.BINARY).parent))
        world.start()
        try:
            world.bucket("phones")
            world.register("nadia")
            home, gateway = client(world, "cn"), client(world, "sg")
            home.put_object(Bucket="phones", Key="nadia/k", Body=b"x", **by(b"m" * 32))
            assert home.get_object(Bucket="phones", Key="nadia/k", **by(b"m" * 32))["Body"].read() == b"x"
            gateway.put_object(Bucket="phones", Key="nadia/plain", Body=b"y")
            sent = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.b64encode(b"m" * 32).decode()}
            for call, more in ((gateway.put_object, {"Body": b"z", **by(b"m" * 32)}),
                               (gateway.get_object, by(b"m" * 32)),
                               (gateway.list_parts, {"UploadId": "0" * 32, **sent})):  # which needs none
                with pytest.raises(ClientError) as failure:
                    call(Bucket="phones", Key="nadia/k", **more)
                assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
                assert "without TLS" in failure.value.response["Error"]["Message"]
        finally:
            world.stop()


# ---- what a region will not talk to ----------------------------------------------------------------

def wrong(world, kind):
    """A certificate that sg must not be believed with, and what the other region says of it."""
    folder, good = world.certificates, ["localhost"]
    if kind == "authority":
        return certs.Certificate(folder, "x", good, certs.Certificate(folder, "xca")), "certificate"
    if kind == "expired":
        return certs.Certificate(folder, "x", good, world.ca, days=(-2, -1)), "expired"
    return certs.Certificate(folder, "x", ["elsewhere.test"], world.ca), "name"


@pytest.mark.parametrize("kind", ["authority", "expired", "name"])
def test_nothing_is_sent_to_a_wrong_certificate(world, kind):
    subject = f"kept-{kind}"
    token = world.register(subject)
    move = ("move", "--subject", subject, "--tenant", regions.TENANT, "--to", "sg")
    client(world, "cn").put_object(Bucket="phones", Key=f"{subject}/k", Body=b"stays")
    bad, why = wrong(world, kind)
    world.change("sg", bad)
    try:
        before = world.requests("sg")
        with pytest.raises(regions.Failure, match=why):
            world.at("cn", *move)
        with raw.S3(world.server("cn"), KEY) as gateway:  # for somebody whose home is sg
            assert gateway.get("phones", "asha/1").status == 503
        assert world.requests("sg") == before + 1  # ours
        assert world.homes(token).keys() == {"cn"}
        assert client(world, "cn").get_object(Bucket="phones", Key=f"{subject}/k")["Body"].read() == b"stays"
    finally:
        world.change("sg", certs.Certificate(world.certificates, "again", ["localhost"], world.ca))
    daemon.until(lambda: world.homes(token) == {"cn": "home"}, "the abort of the first try")
    world.at("cn", *move)
    assert world.homes(token) == {"sg": "home"}
    assert client(world, "cn").get_object(Bucket="phones", Key=f"{subject}/k")["Body"].read() == b"stays"


# ---- whom a region will not listen to -----------------------------------------------------------------

def say(world, shows=None, plain=False):
    """A message that cn's key signed, to sg; the status of the answer, None when there is none."""
    seed = bytes.fromhex(pathlib.Path(world.key("cn", "region.seed")).read_text().strip())
    data = peers.envelope(seed, 1, 2, "no/such-path", b"", f"localhost:{world.port['sg']}")
    server = world.server("sg", shows)
    if plain:
        server = Server(world.plain["sg"], None)
    try:
        with raw.Connection(server) as connection:
            connection.send(data)
            return connection.answer().status
    except (ssl.SSLError, raw.Closed, ConnectionResetError, BrokenPipeError):
        return None


def test_messages_need_the_regions_certificate(world):
    by_stranger = certs.Certificate(world.certificates, "s", ["localhost"], certs.Certificate(world.certificates, "sca"))
    elsewhere = certs.Certificate(world.certificates, "e", ["elsewhere.test"], world.ca)
    late = certs.Certificate(world.certificates, "l", ["localhost"], world.ca, days=(-2, -1))
    assert say(world, world.shown["cn"]) == 200
    assert say(world) == 403
    assert say(world, plain=True) == 403
    assert say(world, elsewhere) == 403
    assert say(world, by_stranger) is None
    assert say(world, late) is None


def test_forwarded_heads_need_it_too(world):
    seed = bytes.fromhex(pathlib.Path(world.key("cn", "region.seed")).read_text().strip())
    fields = [("Host", f"localhost:{world.port['sg']}"), ("x-domicile-gateway", "1")]
    for shows, refused in ((None, True), (world.shown["cn"], False)):
        head, _ = peers.sealed(seed, 1, 2, "GET", "/phones/asha/1", fields, b"", 0)
        with raw.Connection(world.server("sg", shows)) as connection:
            connection.send(head)
            answer = connection.answer()
        assert answer.status == 403
        assert (answer["x-domicile-refused"] is not None) == refused, answer


# ---- operators ------------------------------------------------------------------------------------

def test_operators_over_tls(world, tmp_path):
    endpoint = ("--endpoint", world.url("sg"), "--key", regions.OPERATOR)
    told = world.command("status", *endpoint, "--ca-file", world.ca.chain_file)
    assert "sg" in told
    stranger = certs.Certificate(str(tmp_path), "stranger")
    with pytest.raises(regions.Failure, match="certificate"):
        world.command("status", *endpoint, "--ca-file", stranger.chain_file)
    with pytest.raises(regions.Failure, match="certificate"):
        world.command("status", *endpoint)
