"""A person with versions moves, there and on: every id names what it named, tags included, through every gateway, and a copy of
an old version is fetched from where it lives. What is locked stays locked."""
import datetime
import pathlib
import sys

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import tools  # noqa: E402
from kit.world import KEY, watched  # noqa: E402
from lib import regions  # noqa: E402

BUCKET, SUBJECT, OTHER = "phones", "versions-8421", "versions-elsewhere"
RULES = """  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""


@pytest.fixture(scope="module")
def world():
    with watched("versions", RULES, BUCKET) as made:
        yield made


def listed(s3):
    page = s3.list_object_versions(Bucket=BUCKET, Prefix=f"{SUBJECT}/")
    assert not page["IsTruncated"]
    found = page.get("Versions", []) + page.get("DeleteMarkers", [])
    return sorted((e["Key"], e["VersionId"], e["IsLatest"], "Size" in e) for e in found)


def tag_set(value):
    return {"TagSet": [{"Key": "says", "Value": value}]}


def headers_of(call, **named):
    with pytest.raises(ClientError) as failure:
        call(**named)
    meta = failure.value.response["ResponseMetadata"]
    return meta["HTTPStatusCode"], meta["HTTPHeaders"]


def test_versions_move_with_their_person(world):
    s3 = {name: tools.boto(world.gateway[name], KEY) for name in world.names}
    where = {"Bucket": BUCKET, "Key": f"{SUBJECT}/k"}
    world.register(SUBJECT, "IN", at="cn")
    world.register(OTHER, "IN", at="cn")
    s3["cn"].put_object(**where, Body=b"null")
    s3["us"].put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    bodies = {"null": b"null"}
    for name in ("cn", "us", "in"):  # through gateways, too
        assert s3[name].get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
        bodies[s3[name].put_object(**where, Body=name.encode())["VersionId"]] = name.encode()
    large = s3["cn"].put_object(**where, Body=b"l" * (3 << 20))["VersionId"]
    bodies[large] = b"l" * (3 << 20)
    tags = {large: "at cn", "null": "of null"}
    for version, value in tags.items():  # through gateways, too
        s3["us"].put_object_tagging(**where, VersionId=version, Tagging=tag_set(value))
    markers = [s3["us"].delete_object(**where)["VersionId"]]
    for step, home in enumerate(("sg", "us", "sg")):
        before = listed(s3["cn"])
        source = ("cn", "sg", "us")[step]
        world.at(source, "move", "--subject", SUBJECT, "--tenant", regions.TENANT, "--to", home)
        for name in world.names:
            assert listed(s3[name]) == before
            for version, body in bodies.items():
                got = s3[name].get_object(**where, VersionId=version)
                assert got["Body"].read() == body and got["VersionId"] == version
            for version in bodies:
                answer = s3[name].get_object_tagging(**where, VersionId=version)
                assert answer["TagSet"] == (tag_set(tags[version])["TagSet"] if version in tags else [])
            status, said = headers_of(s3[name].get_object, **where)
            assert (status, said["x-amz-delete-marker"], said["x-amz-version-id"]) == (404, "true", markers[-1])
            status, said = headers_of(s3[name].head_object, **where, VersionId=markers[0])
            assert status == 405 and said["x-amz-delete-marker"] == "true"
        # Written and removed at the new home, asked for through the old one.
        put = s3["cn"].put_object(**where, Body=b"at %d" % step)["VersionId"]
        bodies[put] = b"at %d" % step
        oldest = next(v for v in bodies if v not in ("null", put, large))
        assert s3["in"].delete_object(**where, VersionId=oldest)["VersionId"] == oldest
        del bodies[oldest]
        tags[large], tags[put] = home, "new"
        for version in (large, put):
            s3["cn"].put_object_tagging(**where, VersionId=version, Tagging=tag_set(tags[version]))
        s3["in"].delete_object_tagging(**where, VersionId="null")
        tags.pop("null", None)
        markers.append(s3["us"].delete_object(**where)["VersionId"])
    assert len(listed(s3["cn"])) == len(bodies) + len(markers)
    # The other person is still at home in cn: the source's home finds the version.
    copy = {"Bucket": BUCKET, "Key": f"{OTHER}/copy", "CopySource": {**where, "VersionId": large}}
    answer = s3["cn"].copy_object(**copy)
    assert answer["CopySourceVersionId"] == large
    assert s3["us"].get_object(Bucket=BUCKET, Key=f"{OTHER}/copy")["Body"].read() == bodies[large]
    told = s3["in"].get_object_tagging(Bucket=BUCKET, Key=f"{OTHER}/copy")
    assert told["TagSet"] == tag_set(tags[large])["TagSet"]  # tags came with it
    copy["CopySource"]["VersionId"] = markers[0]
    assert headers_of(s3["cn"].copy_object, **copy)[0] == 400
    # All of it removed in one request that is passed on whole.
    gone = s3["in"].delete_objects(Bucket=BUCKET, Delete={"Objects": [
        {"Key": where["Key"], "VersionId": v} for v in [*bodies, *markers]]})
    assert len(gone["Deleted"]) == len(bodies) + len(markers) and "Errors" not in gone
    assert listed(s3["cn"]) == []


def test_locks_move_with_their_person(world):
    """The former home's erasure is no removal of a version: the move goes on, and the new home keeps the lock."""
    person = "locks-8421"
    s3 = {name: tools.boto(world.gateway[name], KEY) for name in world.names}
    where = {"Bucket": BUCKET, "Key": f"{person}/k"}
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).replace(microsecond=0)
    world.register(person, "IN", at="cn")
    s3["cn"].put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3["us"].put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    kept = {**where, "VersionId": s3["in"].put_object(
        **where, Body=b"kept", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)["VersionId"]}
    held = {**where, "VersionId": s3["cn"].put_object(**where, Body=b"held")["VersionId"]}
    for source, home in (("cn", "sg"), ("sg", "us")):
        s3["sg"].put_object_legal_hold(**held, LegalHold={"Status": "ON"})  # through a gateway
        world.at(source, "move", "--subject", person, "--tenant", regions.TENANT, "--to", home)
        for name in world.names:
            for version in (kept, held):
                status, _ = headers_of(s3[name].delete_object, **version, BypassGovernanceRetention=True)
                assert status == 403
            gone = s3[name].delete_objects(Bucket=BUCKET, Delete={"Objects": [
                {"Key": where["Key"], "VersionId": v["VersionId"]} for v in (kept, held)]})
            assert [e["Code"] for e in gone["Errors"]] == ["AccessDenied"] * 2
            assert s3[name].get_object_retention(**kept)["Retention"]["RetainUntilDate"] == until
            assert s3[name].get_object(**held)["ObjectLockLegalHoldStatus"] == "ON"
    s3["cn"].put_object_legal_hold(**held, LegalHold={"Status": "OFF"})
    s3["in"].delete_object(**held)
    assert headers_of(s3["sg"].get_object, **held)[0] == 404
    assert s3["sg"].get_object(**kept)["Body"].read() == b"kept"
