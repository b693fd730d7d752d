"""What a gateway does with many requests for people who live elsewhere: they wait for their turn without a worker,
whoever lives here is served meanwhile, and forgers stand in their own way only."""
import concurrent.futures
import json
import pathlib
import signal
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import raw, tools  # noqa: E402
from kit.daemon import Key  # noqa: E402
from kit.world import KEY, watched  # noqa: E402

BUCKET = "gateways"
RULES = """  SG:
    home: sg
    restricted: {store: any, read: any, transit: any}
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
WORKERS = 12  # of which half may wait for other regions, a third for one of them


@pytest.fixture(scope="module")
def world():
    with watched("gateways", RULES, BUCKET, DOMICILE_WORKERS=str(WORKERS)) as made:
        for name, country in (("asha", "IN"), ("ben", "SG"), ("uma", "US")):
            made.register(name, country, at="cn")
        yield made


class At:
    """A gateway, from an address of the client's own."""

    def __init__(self, gateway, source):
        self.host, self.port, self.source = gateway.host, gateway.port, source


def put(world, key, body=b"x", source="127.0.0.1", who=KEY, **headers):
    with raw.S3(At(world.gateway["us"], source), who) as client:
        answer = client.request("PUT", f"/{BUCKET}/{key}", headers=headers, body=body)
        return answer.status, answer.code


class Goes:
    """Somebody writes all the while, and is never refused."""

    def __init__(self, world, who="uma"):
        self.world, self.key, self.statuses, self.over = world, f"{who}/on", [], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.is_set():
            self.statuses.append(put(self.world, self.key))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(60)
        assert self.statuses and set(self.statuses) == {(200, None)}


def all_at_once(count, call):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_fifty_at_once(world):
    """The home is 200 ms away. Nobody retries, everybody is served, and each request once."""
    world.taps()["cn"].delay_s = 0.2
    before = len(world.taps()["cn"].seen)
    try:
        with Goes(world):
            bodies = [str(i).encode() * (1 if i % 2 else 40000) for i in range(50)]
            assert all_at_once(50, lambda i: put(world, f"asha/{i}", bodies[i])) == [(200, None)] * 50
    finally:
        world.taps()["cn"].delay_s = 0
    home = tools.boto(world.gateway["cn"], KEY)
    for i, body in enumerate(bodies):
        assert home.get_object(Bucket=BUCKET, Key=f"asha/{i}")["Body"].read() == body
    sent = [each.target for each in world.taps()["cn"].seen[before:] if each.method == "PUT"]
    assert len(sent) == len(set(sent)) == 50


def test_a_home_that_hangs(world):
    """A third of the workers hang with it. The others wait, and get SlowDown when their time is up; people who live
    here, or at a third region, do not notice."""
    assert put(world, "asha/before") == (200, None)
    crowd, places, process = 2 * WORKERS, WORKERS // 3, world.region["cn"].process
    process.send_signal(signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(crowd) as pool:
            with Goes(world), Goes(world, "ben"):
                calls = [pool.submit(put, world, f"asha/hung-{i}") for i in range(crowd)]
                first = concurrent.futures.as_completed(calls, 60)
                assert [next(first).result() for _ in range(crowd - places)] == [(503, "SlowDown")] * (crowd - places)
            process.send_signal(signal.SIGCONT)
            assert sorted(each.result() for each in calls)[:places] == [(200, None)] * places
    finally:
        process.send_signal(signal.SIGCONT)
    found = tools.boto(world.gateway["cn"], KEY).list_objects_v2(Bucket=BUCKET, Prefix="asha/hung-")
    assert found["KeyCount"] == places


def token_of(world, subject):
    made = json.loads(world.at("cn", "token", "--subject", subject, "--tenant", KEY.account, "--json"))
    return Key(made["access_key"], made["secret_key"], ""), {"x-amz-security-token": made["session_token"]}


def test_forgers_stand_in_their_own_way(world):
    """us cannot check the tokens that it passes on to cn. From one address they are forged all the time: from there
    SlowDown is all that is heard, from another one every request is served."""
    honest, session = token_of(world, "asha")
    forged, over, heard = Key(honest.access, "x" * 44, ""), threading.Event(), []

    def forge():
        while not over.is_set():
            heard.append(put(world, "asha/forged", source="127.0.0.2", who=forged, **session)[1])
    threads = [threading.Thread(target=forge) for _ in range(8)]
    for each in threads:
        each.start()
    try:
        for i in range(150):
            assert put(world, f"asha/honest-{i % 5}", who=honest, **session) == (200, None)
    finally:
        over.set()
        for each in threads:
            each.join(60)
    assert set(heard) == {"SignatureDoesNotMatch", "SlowDown"}
    assert heard.count("SlowDown") > heard.count("SignatureDoesNotMatch")
