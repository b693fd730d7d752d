"""Forms through gateways: sent on to whoever's home it is, with tokens that a gateway cannot check, refused by clause."""
import hashlib
import json
import pathlib

import pytest

from kit import daemon, peers, raw, tools
from kit.world import KEY, regions, watched
from test_post import BOUNDARY, body_of, post, sign

BUCKET = "forms"
ASHA, RAVI = "asha-needle", "ravi-needle"
RULES = """  IN:
    home: cn
    restricted: {store: [CN, SG], read: [CN, SG], transit: [CN, SG]}
    personal: {store: any, read: any, transit: any}
  US:
    home: us
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""


@pytest.fixture(scope="module")
def world():
    with watched("forms", RULES, BUCKET) as made:
        for name in (ASHA, RAVI):
            made.register(name, "IN", at="cn")
        made.s3 = {name: tools.boto(made.gateway[name], KEY) for name in made.names}
        yield made


def form(fields, data=b"the file", key=KEY, token=None):
    return body_of(sign(fields, [{name: value} for name, value in fields.items()], BUCKET, key, token=token), data)


def send(world, gateway, fields, data=b"the file", pieces=None, **more):
    server = world.gateway[gateway]
    with raw.Connection(server) as connection:
        return post(connection, server, BUCKET, form(fields, data, **more), pieces)


def stored(world, key, at):
    try:
        return world.s3[at].get_object(Bucket=BUCKET, Key=key)["Body"].read()
    except world.s3[at].exceptions.NoSuchKey:
        return None


@pytest.mark.parametrize("size", [0, 10, 250_000, 5_000_000])
def test_goes_home(world, size):
    data = bytes(size)
    answer = send(world, "sg", {"key": f"{ASHA}/form-{size}", "success_action_status": "201"}, data)
    assert answer.status == 201 and answer["x-domicile-met"] == "forwarded", answer
    assert answer["etag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert answer["location"] == f"{world.gateway['sg'].url}/{BUCKET}/{ASHA}/form-{size}"
    assert stored(world, f"{ASHA}/form-{size}", "cn") == data
    late = send(world, "sg", {"key": f"{ASHA}/drip", "x-amz-meta-a": "b"}, data[:5000], pieces=501)
    assert late.status == 204 and stored(world, f"{ASHA}/drip", "sg") == data[:5000]


def test_refused_at_home_and_at_the_gateway(world):
    wrong = daemon.Key(KEY.access, "wrong", KEY.account)
    assert send(world, "sg", {"key": f"{ASHA}/w"}, key=wrong).code == "SignatureDoesNotMatch"
    for gateway in ("us", "in"):
        answer = send(world, gateway, {"key": f"{ASHA}/contacts/w"}, b"x" * 300_000)
        assert answer.status == 451 and answer.code == "ResidencyViolation", answer
    assert send(world, "sg", {"key": f"{ASHA}/contacts/w"}).status == 204
    server = world.gateway["sg"]
    with raw.Connection(server) as connection:
        assert post(connection, server, BUCKET, body_of({"key": f"{ASHA}/w"})).code == "AccessDenied"
    assert stored(world, f"{ASHA}/w", "cn") is None


def test_a_new_person(world):
    answer = send(world, "in", {"key": "uma-needle/first", "x-amz-meta-domicile-country": "US"})
    assert answer.status == 204 and answer["x-domicile-met"] == "forwarded"
    assert stored(world, "uma-needle/first", "us") == b"the file"
    assert send(world, "us", {"key": "uma-needle/2", "x-amz-meta-domicile-country": "IN"}).code == "SubjectCountryMismatch"
    assert send(world, "us", {"key": "nobody-known/1"}).code == "SubjectNotRegistered"


def test_tokens(world):
    token = json.loads(world.at("cn", "token", "--subject", ASHA, "--tenant", KEY.account, "--json"))
    key = daemon.Key(token["access_key"], token["secret_key"], "")
    for gateway in ("cn", "sg"):
        for name, status in ((ASHA, 204), (RAVI, 403)):
            answer = send(world, gateway, {"key": f"{name}/by-token"}, key=key, token=token["session_token"])
            assert answer.status == status, answer
        forged = daemon.Key(key.access, "x" * 44, "")
        answer = send(world, gateway, {"key": f"{ASHA}/forged"}, key=forged, token=token["session_token"])
        assert answer.code == "SignatureDoesNotMatch", answer
        late = {"key": f"{ASHA}/forged"}
        server = world.gateway[gateway]
        with raw.Connection(server) as connection:
            bare = body_of({**late, "x-amz-security-token": token["session_token"]})
            assert post(connection, server, BUCKET, bare).code == "InvalidArgument"
    assert stored(world, f"{RAVI}/by-token", "cn") is None and stored(world, f"{ASHA}/forged", "cn") is None


def test_a_gateway_that_is_behind(world):
    """The old home says where the person went before it has taken a byte that could not be sent again."""
    send(world, "us", {"key": f"{RAVI}/before"})
    world.at("cn", "move", "--subject", RAVI, "--tenant", regions.TENANT, "--to", "sg")
    for gateway in ("us", "in", "cn"):
        answer = send(world, gateway, {"key": f"{RAVI}/after-{gateway}"}, bytes(3_000_000))
        assert answer.status == 204, (gateway, answer)
        assert stored(world, f"{RAVI}/after-{gateway}", "sg") == bytes(3_000_000)
    seen = [message["x-domicile-route"] for message in world.tap["sg"].seen if message["x-domicile-route"]]
    assert seen and all(len(each) == 64 for each in seen)
