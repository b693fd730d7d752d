"""restic: a repository in a bucket, as people keep theirs."""
import json
import os
import shutil

from kit import daemon, tools, tree


def repository(home, server, key, at):
    restic = tools.Restic(home, server, key)
    restic.at = at
    restic.run("init")
    return restic


def life_of_a_repository(restic, folder):
    """Two backups, a check of every byte, one forgotten and pruned, the other restored."""
    source = folder / "source"
    first = tree.read(tree.make(source, seed=11, count=120))
    restic.run("backup", "--quiet", source)
    names = sorted(first)
    for name in names[:20]:
        os.unlink(source / name)
    for name in names[20:40]:
        with open(source / name, "ab") as out:
            out.write(os.urandom(100))
    tree.make_large(source / "large.bin", seed=12, size=12 << 20)
    second = tree.read(source)
    restic.run("backup", "--quiet", source)
    assert "no errors were found" in restic.run("check", "--read-data")
    told = json.loads(restic.run("snapshots", "--json"))
    assert len(told) == 2
    for snapshot, want in zip(sorted(told, key=lambda each: each["time"]), (first, second)):
        shutil.rmtree(folder / "restored", ignore_errors=True)
        restic.run("restore", snapshot["id"], "--target", folder / "restored")
        assert tree.read(f"{folder}/restored{source}") == want
    restic.run("forget", "--keep-last", "1", "--prune")
    assert len(json.loads(restic.run("snapshots", "--json"))) == 1
    assert "no errors were found" in restic.run("check", "--read-data")
    shutil.rmtree(folder / "restored")
    restic.run("restore", "latest", "--target", folder / "restored")
    assert tree.read(f"{folder}/restored{source}") == second


def test_restic(server, s3, bucket, folder):
    restic = repository(folder / "home", server, daemon.ALICE, f"{bucket}/backups/of a host")
    life_of_a_repository(restic, folder)
    kept = s3.list_objects_v2(Bucket=bucket, Prefix="backups/of a host/snapshots/")["Contents"]
    assert len(kept) == 1
    assert "locks" not in {each["Key"].split("/")[2] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]}


def test_restic_finds_damage(server, s3, bucket, folder):
    """The check above can fail: one byte of one pack is another."""
    restic = repository(folder / "home", server, daemon.ALICE, bucket)
    tree.make(folder / "source", seed=13, count=10)
    restic.run("backup", "--quiet", folder / "source")
    pack = s3.list_objects_v2(Bucket=bucket, Prefix="data/")["Contents"][0]["Key"]
    data = bytearray(s3.get_object(Bucket=bucket, Key=pack)["Body"].read())
    data[len(data) // 2] ^= 1
    s3.put_object(Bucket=bucket, Key=pack, Body=bytes(data))
    assert "no errors were found" not in restic.run("check", "--read-data", check=False)


def test_restic_with_a_wrong_key(server, bucket, folder):
    wrong = tools.Restic(folder / "home", server, daemon.Key(daemon.ALICE.access, "wrong", "alice"))
    wrong.at = bucket
    assert "Access" in wrong.run("init", check=False) or "signature" in wrong.run("init", check=False)
