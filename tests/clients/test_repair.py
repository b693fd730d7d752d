"""`domicile fsck --repair`: a block of the log rots; what the index knows is saved, the rest is said, the region goes on."""
import json
import os
import pathlib
import subprocess
import sys

import botocore.exceptions

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon, env, tools  # noqa: E402

BLOCK = 4096


def fsck(own, *arguments, ok=(0,)):
    told = subprocess.run([env.BINARY, "fsck", "--dev", "--region", "in", "--data", own.folder / "data", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert told.returncode in ok, told.stdout.decode()
    return told.stdout.decode()


def batches(path):
    with open(path, "rb") as file:
        data = file.read()
    return [at for at in range(BLOCK, len(data), BLOCK) if data[at:at + 4] == b"DMB1"]


def rot(own, share):
    """Damages blocks of the fullest segment, from a share of its batches on."""
    segment = max((own.folder / "data").rglob("log/*.seg"), key=lambda path: len(batches(path)))
    starts = batches(segment)
    with open(segment, "r+b") as file:
        file.seek(starts[int(len(starts) * share)])
        file.write(os.urandom(3 * BLOCK))


def test_saved_and_said(own):
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    s3.create_bucket(Bucket="kept")
    content = {f"k{i:03}": os.urandom(500 + 30 * i) for i in range(60)}
    for key, body in content.items():
        s3.put_object(Bucket="kept", Key=key, Body=body)
        if int(key[1:]) % 3 == 0:
            s3.delete_object(Bucket="kept", Key=key)
    assert own.stop() == 0
    assert "nothing to repair" in fsck(own, "--repair")
    rot(own, 0.5)
    assert "fsck --repair" in fsck(own, ok=(1,))
    plan = fsck(own, "--repair", ok=(1,))
    assert "are damaged" in plan and "nothing was changed" in plan
    assert not (own.folder / "data" / "damaged").exists()
    lines = [json.loads(line) for line in fsck(own, "--repair", "--yes", "--json").splitlines()]
    lost = sum(line.get("objects", 0) for line in lines)
    assert "k0" not in json.dumps(lines)  # places and tokens, no names
    fsck(own)
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    gone = []
    for key, body in content.items():
        try:
            assert s3.get_object(Bucket="kept", Key=key)["Body"].read() == body and int(key[1:]) % 3 != 0
        except botocore.exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
            if int(key[1:]) % 3 != 0:
                gone.append(key)
    assert len(gone) == lost > 0, plan
    for key in gone:
        s3.put_object(Bucket="kept", Key=key, Body=content[key])
    assert own.stop() == 0
    fsck(own, "--rebuild-index")
    own.start()
    s3 = tools.boto(own, daemon.ALICE)
    listed = {each["Key"] for each in s3.list_objects_v2(Bucket="kept")["Contents"]}
    assert listed == {key for key in content if int(key[1:]) % 3 != 0}
