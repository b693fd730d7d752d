"""KEKs wrapped by a key of a PKCS#11 token (SoftHSM): serve, restart, rotate, wrap anew, a token that is gone."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon, hsm, tools  # noqa: E402
from lib import regions  # noqa: E402

BODY = b"kept under a key of a token"


@pytest.fixture
def token(folder):
    return hsm.Token(folder / "hsm")


@pytest.fixture
def own(folder, token):
    dev = daemon.Daemon.dev(folder, extra=token.flags())
    yield dev
    dev.kill()


def keks(folder):
    return sorted((folder / "data.keys" / "kek").glob("kek-*"))


def put(dev):
    s3 = tools.boto(dev, daemon.ALICE)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a", Body=BODY)


def read(dev):
    return tools.boto(dev, daemon.ALICE).get_object(Bucket="kept", Key="a")["Body"].read()


def command(dev, token, *arguments):
    return daemon.run(arguments, dev.folder, **token.env)


def refused(dev, token):
    """A start that must not be; what it said."""
    status, _, told = command(dev, token, "serve", *dev.arguments)
    assert status in (2, 3), told
    return told


def test_serve_restart_rotate(own, token, folder):
    own.start(token.wrapper())
    put(own)
    first = keks(folder)
    assert len(first) == 1 and first[0].read_bytes().startswith(b"DOMKEKW1") and first[0].stat().st_size == 72
    assert own.stop() == 0
    own.start(token.wrapper())
    assert read(own) == BODY
    status, out, told = command(own, token, "key", "rotate", "--data", folder / "data")
    assert status == 0, told
    second = keks(folder)
    assert len(second) == 1 and second != first
    own.kill()  # as by power
    own.start(token.wrapper())
    assert read(own) == BODY
    assert own.stop() == 0
    arguments = ("fsck", "--dev", "--data", folder / "data", "--region", "in", *token.flags())
    assert command(own, token, *arguments)[0] == 0
    status, _, told = command(own, token, *arguments[:6])
    assert status != 0 and "wrapped by a key of a PKCS#11 token" in told


def test_wrong_pin_is_tried_once(own, token):
    token.pin("0000-wrong")
    told = refused(own, token)
    assert "refuses the PIN" in told and "not tried again" in told
    assert "0000-wrong" not in told and token.tries_left_low()
    token.pin(hsm.PIN)
    own.start(token.wrapper())
    put(own)
    assert read(own) == BODY and not token.tries_left_low()


def test_token_gone(own, token, folder):
    own.start(token.wrapper())
    put(own)
    before = keks(folder)
    token.take_away()
    assert read(own) == BODY  # what is unwrapped serves on
    status, _, told = command(own, token, "key", "rotate", "--data", folder / "data")
    assert status != 0 and told
    assert read(own) == BODY
    assert own.stop() == 0 and keks(folder) == before
    assert "no token is as the URI says" in refused(own, token)
    token.put_back()
    own.start(token.wrapper())
    assert read(own) == BODY
    assert command(own, token, "key", "rotate", "--data", folder / "data")[0] == 0
    assert keks(folder) != before and read(own) == BODY


def test_refusals(own, token, folder):
    def start(*flags):
        at = own.arguments.index("--kek")
        own.arguments[at:] = [str(flag) for flag in flags] + own.arguments[at + 4:]
        return refused(own, token)

    assert "no secret key as the URI says" in start(*token.flags("none"))
    assert "is there for all to read" in start("--kek", token.uri() + "&pin-value=" + hsm.PIN, "--kek-pin-file",
                                               token.pin_file)
    token.pin_file.chmod(0o644)
    assert "chmod 0600" in start(*token.flags())
    token.pin_file.chmod(0o600)
    assert "asks for a PIN" in start("--kek", token.uri(), "--kek-module", hsm.MODULE)
    assert not (folder / "data" / "superblock.1").exists()  # nothing was made


def test_rewrap(folder, token):
    """Plain, to a key of the token, to another one, to plain."""
    plain = daemon.Daemon.dev(folder)
    plain.start()
    put(plain)
    region = ("--dev", "--data", folder / "data", "--region", "in")
    status, _, told = command(plain, token, "key", "rewrap", *region, "--to", token.uri())
    assert status == 3 and "running" in told
    assert plain.stop() == 0
    token.make("kek-next")
    pin = ("--to-pin-file", token.pin_file)
    steps = [([], ["--to", token.uri(), *pin], token.flags()),
             (token.flags(), ["--to", token.uri("kek-next"), *pin], token.flags("kek-next")),
             (token.flags("kek-next"), ["--to-plain"], [])]
    for old, to, new in steps:
        status, out, told = command(plain, token, "key", "rewrap", *region, *old, *to)
        assert status == 0 and "1 KEKs" in out, told
        dev = daemon.Daemon.dev(folder, extra=new).start(token.wrapper())
        assert read(dev) == BODY
        assert dev.stop() == 0
        assert refused(daemon.Daemon.dev(folder, extra=old), token)


class Mixed(regions.World):
    """cn's KEKs are wrapped by a token's key; the other regions' lie plain."""

    def __init__(self, token, *arguments):
        self.token = token
        super().__init__(*arguments)
        self.env.update(token.env)

    def settings(self, name):
        return self.token.settings() if name == "cn" else ""


def test_moves_between_token_and_file(folder, token):
    binary = pathlib.Path(daemon.env.BINARY)
    with regions.Folder("hsm") as made:
        world = Mixed(token, made, str(binary.parent), regions.RULES_OPEN, ("cn", "sg", "in"), binary.name)
        world.start()
        world.bucket("phones")
        subject = world.register("asha")
        url = world.url("in") + "/phones/asha/notes.txt"
        regions.curl(regions.ACCESS, "-T", str(token.conf), url, ok=("200",))
        for target, source in (("sg", "cn"), ("cn", "sg")):
            world.at(source, "move", "--token", subject, "--to", target)
            assert world.homes(subject) == {target: "home"}
            for each in world.names:
                world.at(each, "key", "rotate")
            assert regions.curl(regions.ACCESS, url) == token.conf.read_text()
        world.stop()
