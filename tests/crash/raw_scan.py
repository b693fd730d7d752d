#!/usr/bin/env python3
"""Raw scan of regions' folders after a move, and its control runs.

People's files are put at cn; their keys, raw and wrapped, are noted; a country moves to sg, cn erases (or, with
--forget, cn erases the persons of the country for good, and their keys are seen there before). Then
all regions stop and every byte of their folders is searched for ids, names, windows of bodies and keys.
--expect clean: nothing may be found. --expect found: the program is one with encryption or shredding off
(plants.py), and the scan must find what --needle names: a scan that cannot find is worth nothing.
"""
import argparse
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from lib.regions import TENANT, Failure, Folder, World, run  # noqa: E402

SOURCE, TARGET, COUNTRY = "cn", "sg", "IN"
PEOPLE = ["--people", "15", "--objects", "5", "--heavy", "1", "--heavy-objects", "30", "--large", "2MiB"]


def people(world):
    """A small population with its files; where its plan lies."""
    out = world.folder.file("originals")
    run([world.load, "people", "--out", out, *PEOPLE], world.env, "people")
    return out


def load(world, out):
    with open(os.path.join(out, "plan.tsv"), encoding="utf-8") as plan:
        for name, layout in re.findall(r"^#bucket\t(\S+)\t(.*)$", plan.read(), re.M):
            world.bucket(name, layout)
    run([world.load, "load", "--plan", os.path.join(out, "plan.tsv"), "--journal", world.folder.file("load.tsv"),
         "--endpoint", world.url(SOURCE)], world.env, "load")


def text_needles(world, out):
    """Of what people are called and wrote."""
    path = world.folder.file("needles")
    run([world.load, "needles", "--plan", os.path.join(out, "plan.tsv"), "--country", COUNTRY, "--out", path],
        world.env, "needles")
    return path


def key_needles(world, out):
    """Of the keys of the people of the country, raw and wrapped, at the source."""
    path = world.folder.file("needles-keys")
    noted = run([sys.executable, "-B", os.path.join(ROOT, "tools", "story", "vault_keys.py"),
                 "--slots", os.path.join(world.data(SOURCE), "vault", "slots-0"),
                 "--kek-folder", world.key(SOURCE, "kek"), "--route-key", world.key("route.key"),
                 "--tenant", TENANT, "--subjects", os.path.join(out, "subjects.tsv"), "--country", COUNTRY,
                 "--out", path], world.env, "vault keys")
    if int(noted) == 0:
        raise Failure("no keys were noted: the scan would prove nothing")
    return path


def here(world):
    """Tokens of the country's people who live at the source."""
    return [token for token, row in world.rows(SOURCE).items()
            if row["country"] == COUNTRY and row["state"] not in ("moved", "erased")]


def move(world):
    for token in here(world):
        world.at(SOURCE, "move", "--token", token, "--to", TARGET)
    if here(world):
        raise Failure("people did not move")


def forget(world, out, keys):
    """Each person of the country by id; they are gone for S3 at once, and asked again it says how far it is."""
    live = [world.load, "scan", "--needles", keys, world.data(SOURCE)]
    run(live, world.env, "the keys were not to be seen before", ok=(1,))
    with open(os.path.join(out, "subjects.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    ids = sorted({row[0] for row in rows if row[1] == COUNTRY})
    if len(ids) < len(here(world)) or not ids:
        raise Failure(f"{len(ids)} persons in the plan, {len(here(world))} at {SOURCE}")
    if "versions" not in world.at(SOURCE, "subject", "erase", ids[0], "--tenant", TENANT, "--dry-run"):
        raise Failure("a dry run told nothing")
    for person in ids:
        world.at(SOURCE, "subject", "erase", person, "--tenant", TENANT, "--yes")
    if here(world):
        raise Failure("people are still there")
    erase(world)
    told = world.at(SOURCE, "subject", "erase", ids[0], "--tenant", TENANT)
    if "not yet" in told or "registrar     knows" not in told:
        raise Failure(f"an erasure did not come to its end:\n{told}")


def erase(world):
    world.at(SOURCE, "key", "rotate")
    world.at(SOURCE, "names", "purge")


def judge(world, files, expect, needle):
    command = [world.load, "scan"]
    for file in files:
        command += ["--needles", file]
    command += [world.data(name) for name in world.names]
    told = run(command, world.env, "the scan found what must not be there", ok=(0,) if expect == "clean" else (1,))
    if expect == "found" and needle not in told:
        raise Failure(f"the scan found something, but no {needle}:\n{told[:2000]}")
    print(told.strip()[-2000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="folder of domicile-load")
    parser.add_argument("--program", required=True, help="the program under test, below it")
    parser.add_argument("--expect", choices=("clean", "found"), required=True)
    parser.add_argument("--needle", default="", help="what a control run must find")
    parser.add_argument("--forget", action="store_true", help="erase persons for good instead of moving them")
    parser.add_argument("--no-keys", action="store_true", help="look for no keys")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    args = parser.parse_args()
    try:
        with Folder("scan", args.keep) as folder:
            world = World(folder, os.path.abspath(args.build), program=args.program)
            out = people(world)
            world.start()
            load(world, out)
            # Without encryption a wrapped key is no wrapped key.
            files = [text_needles(world, out)] + ([] if args.no_keys else [key_needles(world, out)])
            if args.forget:
                forget(world, out, files[-1])
            else:
                move(world)
            if args.expect == "clean":
                erase(world)  # a vault that does not shred would stop itself here
            world.stop()
            judge(world, files, args.expect, args.needle)
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
