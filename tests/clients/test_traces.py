"""`domicile fsck --traces`: before a move, after it (KEY_DROPPED), after a rotation (ERASED), after the purge of names."""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon  # noqa: E402
from lib import regions  # noqa: E402

SUBJECT, NAME = "asha-8421-needle", "holiday-in-kerala.txt"


def traces(world, name, token, *more, ok=(0, 1)):
    """What is left at a region, which stops for it: whether anything, then count by name of traces and of what stays."""
    world.region[name].stop()
    config = world.key(name, "domicile.yaml")
    told = json.loads(world.command("fsck", "--config", config, "--traces", token, "--json", *more, ok=ok))
    world.region[name].start()
    left = {line["what"]: line["count"] for line in told["found"] if not line["stays"]}
    stays = {line["what"]: line["count"] for line in told["found"] if line["stays"]}
    assert told["traces"] == sum(left.values()) and told["files"] > 10 and told["bytes"] > 10000
    return left, stays


def test_stages_of_a_move():
    binary = pathlib.Path(daemon.env.BINARY)
    with regions.Folder("traces") as made:
        world = regions.World(made, str(binary.parent), names=("cn", "sg", "in"), program=binary.name)
        needles = made.file("needles")
        with open(needles, "w", encoding="utf-8") as file:
            file.write(f"{SUBJECT}\nname raw\t{NAME.encode().hex()}\n")
        world.start()
        world.bucket("phones")
        token = world.register(SUBJECT)
        url = f"{world.url('in')}/phones/{SUBJECT}/"
        small, large = made.file("small"), made.file("large")
        for path, size in ((small, 3000), (large, 3 << 20)):
            with open(path, "wb") as file:
                file.write(os.urandom(size))
        regions.curl(regions.ACCESS, "-T", small, url + NAME, ok=("200",))
        regions.curl(regions.ACCESS, "-T", large, url + "film.bin", ok=("200",))
        left, _ = traces(world, "cn", token, "--needles", needles, ok=(1,))
        assert left["data key in the vault"] == 1 and left["object row"] >= 2 and left["home row"] == 1
        assert left["body file"] == 1 and left["readable log record"] >= 2
        assert "needle in a file" not in left  # names are sealed

        world.at("cn", "move", "--token", token, "--to", "sg")
        left, stays = traces(world, "cn", token, "--needles", needles)
        print("after the move", left, stays)
        assert not {"data key in the vault", "readable log record", "body file", "home row", "object row"} & set(left)
        assert stays["tombstone"] == 1 and stays["ledger entry"] >= 2 and stays["mark of a dropped key"] == 1

        world.at("cn", "key", "rotate")
        world.at("cn", "names", "purge")
        left, stays = traces(world, "cn", token, "--needles", needles, ok=(0,))
        assert not left and stays["finished move or erasure"] >= 1
        left, _ = traces(world, "sg", token, ok=(1,))
        assert left["home row"] == 1

        with open(os.path.join(world.data("cn"), "core.1234"), "wb") as file:  # what a bug could leave
            file.write(os.urandom(5000) + bytes.fromhex(token) + SUBJECT.encode() + NAME.encode())
        left, _ = traces(world, "cn", token, "--needles", needles, ok=(1,))
        assert left == {"token in a file": 1, "needle in a file": 2}
        os.unlink(os.path.join(world.data("cn"), "core.1234"))

        world.at("sg", "subject", "erase", SUBJECT, "--tenant", regions.TENANT, "--yes")
        left, stays = traces(world, "sg", token, ok=(1,))
        assert left["unfinished move or erasure"] == 1 and "data key in the vault" not in left
        world.at("sg", "key", "rotate")
        world.at("sg", "names", "purge")
        left, stays = traces(world, "sg", token)
        assert not left and stays["tombstone"] == 1, left
        world.stop()


def test_refusals(folder):
    dev = daemon.Daemon.dev(folder).start()
    assert dev.stop() == 0
    region = ("fsck", "--dev", "--data", folder / "data", "--region", "in")
    (folder / "short").write_text("seven77\n")
    for arguments, says in ((("--traces", "12ab"), "64 hex digits"), (("--needles", folder / "short"), "8 to 4096 bytes"),
                            (("--needles", folder / "none"), "none")):
        status, _, told = daemon.run((*region, *arguments), folder)
        assert status == 2 and says in told, told
    (folder / "text").write_text("some words to look for\n")
    status, out, told = daemon.run((*region, "--needles", folder / "text"), folder)
    assert status == 0 and "nothing is left" in out, told
