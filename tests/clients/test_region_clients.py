"""Other people's clients through gateways that are not the person's home: what they store and read is the home's."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import node, tools  # noqa: E402
from kit.world import KEY, watched  # noqa: E402
from lib import regions  # noqa: E402
from test_backup import life_of_a_repository, repository  # noqa: E402

BUCKET = "phones"
RULES = """  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""


class Moved:
    """A person at home in sg, who lived in cn before: us and cn forward."""

    def __init__(self, world):
        self.world, self.subject = world, "vikram-2291-needle"
        token = world.register(self.subject, "IN", at="cn")
        for name in ("cn", "us"):  # both have met them at the old home
            tools.boto(world.gateway[name], KEY).put_object(Bucket=BUCKET, Key=f"{self.subject}/before", Body=name)
        world.at("cn", "move", "--subject", self.subject, "--tenant", regions.TENANT, "--to", "sg")
        assert world.homes(token) == {"sg": "home"}
        self.home = tools.boto(world.gateway["sg"], KEY)


@pytest.fixture(scope="module")
def moved():
    with watched("clients-others", RULES, BUCKET) as world:
        yield Moved(world)


@pytest.mark.parametrize("gateway,scenario", [("cn", "sdk_objects"), ("us", "sdk_multipart"), ("us", "sdk_presigned"),
                                              ("cn", "minio")])
def test_npm(moved, folder, gateway, scenario):
    url = moved.world.gateway[gateway].url
    prefix = f"{moved.subject}/{scenario}/"
    node.run(node.installed(), f"{scenario}.mjs", folder / "home", url, KEY, BUCKET, prefix)
    left = moved.home.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    assert scenario == "sdk_presigned" or left == []


def test_restic(moved, folder):
    there = f"{moved.subject}/backup"
    restic = repository(folder / "home", moved.world.gateway["us"], KEY, f"{BUCKET}/{there}")
    life_of_a_repository(restic, folder)
    at_home = {each["Key"] for each in moved.home.list_objects_v2(Bucket=BUCKET, Prefix=there)["Contents"]}
    assert f"{there}/config" in at_home
