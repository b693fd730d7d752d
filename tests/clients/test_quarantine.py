"""A region whose disk is lost and that comes back from a copy of its folder, taken while it was stopped."""
import json
import pathlib
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request

import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import tools  # noqa: E402
from kit.world import KEY, watched  # noqa: E402

BUCKET = "phones"
RULES = """  IN:
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""
WAIT_S = 60  # a catch-up of a few people, on a loaded machine


@pytest.fixture(scope="module")
def world():
    with watched("quarantine", RULES, BUCKET) as made:
        yield made


def shown(world, name):
    return json.loads(world.at(name, "quarantine", "show", "--json", ok=(0, 1)))


def wait_for(condition, what):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def put(world, at, subject, name, value):
    tools.boto(world.gateway[at], KEY).put_object(Bucket=BUCKET, Key=f"{subject}/{name}", Body=value)


def get(world, at, subject, name):
    return tools.boto(world.gateway[at], KEY).get_object(Bucket=BUCKET, Key=f"{subject}/{name}")["Body"].read()


def move(world, token, source, target):
    world.at(source, "move", "--token", token, "--to", target)


def test_restored(world):
    tokens = {who: world.register(who, "IN", at="cn") for who in ("asha", "ravi", "mina", "tara")}
    for who in tokens:
        put(world, "cn", who, "a", who.encode())
    assert world.region["cn"].stop() == 0
    backup = world.folder.file("cn-backup")
    shutil.copytree(world.data("cn"), backup, ignore=shutil.ignore_patterns("admin.sock"))
    world.region["cn"].start()
    move(world, tokens["asha"], "cn", "sg")
    move(world, tokens["mina"], "cn", "us")
    move(world, tokens["mina"], "us", "in")
    put(world, "sg", "asha", "a", b"new")
    wait_for(lambda: shown(world, "cn")["told_all"], "cn has not told everybody how far it is")
    # The disk is lost; and one region cannot say at first what it knows.
    world.region["cn"].kill()
    shutil.rmtree(world.data("cn"))
    shutil.copytree(backup, world.data("cn"))
    assert world.region["us"].stop() == 0
    world.region["cn"].start()
    assert shown(world, "cn")["state"] == "catching-up"
    with pytest.raises(urllib.error.HTTPError) as health:
        urllib.request.urlopen(f"{world.gateway['cn'].url}/-/healthz", timeout=20)
    assert health.value.code == 503 and b"quarantine" in health.value.read()
    for who in tokens:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            get(world, "cn", who, "a")
        assert refused.value.response["Error"]["Code"] == "RegionInQuarantine"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert "us" in shown(world, "cn")["missing"]
    world.region["us"].start()
    wait_for(lambda: shown(world, "cn")["state"] == "open", "cn does not leave quarantine")
    for who, home in (("asha", "sg"), ("mina", "in"), ("ravi", "cn"), ("tara", "cn")):
        wait_for(lambda: list(world.homes(tokens[who])) == [home], f"{who} is not at home in {home} alone")
    assert get(world, "cn", "asha", "a") == b"new"  # forwarded
    assert get(world, "cn", "mina", "a") == b"mina"
    assert get(world, "cn", "ravi", "a") == b"ravi"
    # Back again, under an epoch that nobody had.
    move(world, tokens["asha"], "sg", "cn")
    assert world.rows("cn")[tokens["asha"]]["epoch"] == 3
    assert get(world, "us", "asha", "a") == b"new"


def test_claims_and_enter(world):
    """The operator's ways: who claims whom, and a region that is made to ask what it may have missed."""
    token = world.register("nila", "IN", at="cn")
    put(world, "cn", "nila", "a", b"nila")
    move(world, token, "cn", "sg")
    wait_for(lambda: world.at("in", "quarantine", "claims", ok=(0, 1)).startswith("every"), "a claim does not end")
    world.at("cn", "quarantine", "claims", ok=(2,))  # not the registrar
    world.at("cn", "quarantine", "enter", ok=(2,))  # without --yes
    assert "--yes" in world.at("cn", "quarantine", "enter", "--help")
    assert world.region["us"].stop() == 0
    told = json.loads(world.at("cn", "quarantine", "enter", "--yes", "--json"))
    assert told["state"] == "catching-up" and "us" in told["missing"]
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        put(world, "cn", "ravi", "b", b"held")
    assert refused.value.response["Error"]["Code"] == "RegionInQuarantine"
    assert json.loads(world.at("in", "quarantine", "claims", "--json", ok=(1,)))["missing"] == ["cn", "us"]  # nor does one in quarantine answer
    world.region["us"].start()
    wait_for(lambda: shown(world, "cn")["state"] == "open", "cn does not leave quarantine")
    assert list(world.homes(token)) == ["sg"]
    assert get(world, "cn", "nila", "a") == b"nila"
    assert get(world, "cn", "ravi", "a") == b"ravi"
    assert json.loads(world.at("in", "quarantine", "claims", "--json")) == {"claims": [], "missing": []}


def lose(world, name, backup):
    """The disk of a region is lost; it comes back with this copy of its folder, or none."""
    world.region[name].kill()
    shutil.rmtree(world.data(name))
    if backup:
        shutil.copytree(backup, world.data(name))


def back_up(world, name):
    assert world.region[name].stop() == 0
    backup = world.folder.file(f"{name}-backup-{time.monotonic_ns()}")
    shutil.copytree(world.data(name), backup, ignore=shutil.ignore_patterns("admin.sock"))
    world.region[name].start()
    return backup


def test_committed_to_a_region_that_is_lost(world):
    """cn has handed mallika over to us, which never heard of it and loses its disk: she lives nowhere, and the
    copy that cn keeps is the last one."""
    token = world.register("mallika", "IN", at="cn")
    film = bytes(range(256)) * 20000
    put(world, "cn", "mallika", "a", b"mallika")
    put(world, "cn", "mallika", "film", film)
    backup = back_up(world, "us")
    tap = world.taps()["us"]
    tap.keep_next(lambda message: message.target == "/-/peer/move/commit")
    moving = threading.Thread(target=lambda: world.at("cn", "move", "--token", token, "--to", "us", ok=range(256)))
    moving.start()
    assert tap.held.wait(30)
    wait_for(lambda: shown(world, "us")["told_all"], "us has not told everybody how far it is")
    lose(world, "us", backup)
    tap.release()
    world.region["us"].start()
    moving.join()
    wait_for(lambda: shown(world, "us")["state"] == "loss", "us does not find out what it lost")
    assert [(each["token"], each["from"], each["copy"]) for each in shown(world, "us")["subjects"]] == [(token, "cn", "kept")]
    assert "kept its copy: it is sent again" in world.at("us", "quarantine", "show", ok=(1,))
    for gateway in world.names:  # nobody is told that she has nothing
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            get(world, gateway, "mallika", "a")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    world.at("us", "quarantine", "leave", "--accept-loss")
    wait_for(lambda: list(world.homes(token)) == ["us"], "mallika does not come to live in us")
    for gateway in world.names:
        assert get(world, gateway, "mallika", "film") == film
    put(world, "sg", "mallika", "b", b"goes on")
    assert get(world, "us", "mallika", "b") == b"goes on"


def test_a_new_disk_without_a_backup(world):
    """us comes back with an empty folder, its number and its keys: of whom cn keeps the copy comes once more, who
    lived there goes on with nothing."""
    tokens = {who: world.register(who, "IN", at="cn") for who in ("nandini", "omkar")}
    for who in tokens:
        put(world, "cn", who, "a", who.encode())
    move(world, tokens["omkar"], "cn", "us")
    tap = world.taps()["us"]
    tap.keep_next(lambda message: message.target == "/-/peer/move/commit")
    command = ("move", "--token", tokens["nandini"], "--to", "us")
    moving = threading.Thread(target=lambda: world.at("cn", *command, ok=range(256)))
    moving.start()
    assert tap.held.wait(30)
    wait_for(lambda: shown(world, "us")["told_all"], "us has not told everybody how far it is")
    lose(world, "us", None)
    tap.release()
    world.region["us"].start()
    moving.join()
    wait_for(lambda: shown(world, "us")["state"] == "loss", "us does not find out what it lost")
    lost = {each["token"]: each["copy"] for each in shown(world, "us")["subjects"]}
    assert lost[tokens["nandini"]] == "kept" and lost[tokens["omkar"]] == "none"
    world.at("us", "quarantine", "leave", "--accept-loss")
    wait_for(lambda: list(world.homes(tokens["nandini"])) == ["us"], "nandini does not come to live in us")
    assert get(world, "in", "nandini", "a") == b"nandini"
    with pytest.raises(botocore.exceptions.ClientError) as gone:
        get(world, "in", "omkar", "a")
    assert gone.value.response["Error"]["Code"] == "NoSuchKey"
    put(world, "cn", "omkar", "a", b"again")
    assert get(world, "in", "omkar", "a") == b"again"
