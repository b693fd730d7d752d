#!/usr/bin/env python3
"""Rounds of kill -9 of a real `domicile serve --dev` under 16 writers.

Each round: writers put, overwrite, delete, copy and complete uploads; the process is killed at a random
moment; sometimes the recovery that follows is killed too; then every acknowledged operation must be
there and every other absent or whole. After the last round the region ends in order, its folder passes
fsck, its ledger verifies, and it serves the same once more.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib.regions import Failure, Folder, curl, environment, free_port, run  # noqa: E402

KEY = "CRASHKEY:crash-secret-0123456789"
RECOVERY_KILL_EVERY = 4  # rounds
FIRST_ACKNOWLEDGED_S_MAX = 60


def counts(path):
    """The writers' counts so far, {} before the first."""
    try:
        with open(path, encoding="ascii") as file:
            words = file.read().split()
    except FileNotFoundError:
        return {}
    return {w.split("=")[0]: int(w.split("=")[1]) for w in words if "=" in w and w.split("=")[1].isdigit()}


class Rounds:
    def __init__(self, folder, build, seed):
        self.folder = folder
        self.random = random.Random(seed)
        self.env = environment(folder.path, DOMICILE_LOAD_KEY=KEY)
        self.load = os.path.join(build, "domicile-load")
        self.program = os.path.join(build, "domicile")
        self.data = folder.file("data")
        self.log = folder.file("crash.log")
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.server = folder.process(
            "server",
            [self.program, "serve", "--dev", "--region", "in", "--data", self.data, "--key", KEY,
             "--listen", f"127.0.0.1:{port}"],
        )
        self.start_s = 0.5  # how long the last start took: where the next recovery is killed
        self.recoveries_killed = 0

    def writer(self, number):
        made = self.folder.process(
            f"writer-{number}",
            [self.load, "crash-writer", "--endpoint", self.endpoint, "--bucket", "crash", "--log", self.log,
             "--status", self.folder.file("status"), "--stop-file", self.folder.file("stop"),
             "--workers", "16", "--seed", str(number)],
            self.env,
        )
        made.launch()
        return made

    def recover(self, kill_it):
        if kill_it:
            self.server.launch()
            time.sleep(self.random.uniform(0, self.start_s))
            self.server.kill()
            self.recoveries_killed += 1
        begun = time.monotonic()
        self.server.start()
        self.start_s = time.monotonic() - begun

    def check(self, when):
        return run([self.load, "crash-check", "--log", self.log, "--endpoint", self.endpoint, "--resolve"],
                   self.env, when)

    def acknowledged(self):
        return counts(self.folder.file("status")).get("ops", 0)

    def wait_writing(self, writer):
        deadline = time.monotonic() + FIRST_ACKNOWLEDGED_S_MAX
        while self.acknowledged() == 0:
            if not writer.alive() or time.monotonic() > deadline:
                raise Failure(f"the writers do not write\n{writer.tail()}")
            time.sleep(0.01)

    def round(self, number):
        for name in ("status", "stop"):
            if os.path.exists(self.folder.file(name)):
                os.unlink(self.folder.file(name))
        writer = self.writer(number)
        self.wait_writing(writer)
        time.sleep(self.random.uniform(0, 1))  # the random moment
        self.server.kill()
        with open(self.folder.file("stop"), "w", encoding="ascii"):
            pass
        status = writer.reap()
        if status != 0:
            raise Failure(f"round {number}: the writers ended with {status}\n{writer.tail()}")
        self.recover(kill_it=number % RECOVERY_KILL_EVERY == 0)
        told = self.check(f"round {number}").strip().splitlines()
        print(f"round {number}: {self.acknowledged()} acknowledged; {told[-1] if told else ''}", flush=True)

    def end(self):
        """An orderly end, the offline checks, and what an ordinary start serves."""
        if self.server.stop() != 0:
            raise Failure("SIGTERM: the region did not end in order")
        fsck = [self.program, "fsck", "--dev", "--region", "in", "--data", self.data]
        print(run(fsck, self.env, "fsck after the last round").strip())
        run(fsck + ["--rebuild-index"], self.env, "rebuild")
        self.server.start()
        self.check("after the rebuild")
        if self.server.stop() != 0:
            raise Failure("SIGTERM: the region did not end in order")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="folder of domicile and domicile-load")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    try:
        with Folder("kills", args.keep) as folder:
            rounds = Rounds(folder, os.path.abspath(args.build), args.seed)
            rounds.server.start()
            curl(KEY, "-X", "PUT", rounds.endpoint + "/crash")
            for number in range(1, args.rounds + 1):
                rounds.round(number)
            if args.rounds >= RECOVERY_KILL_EVERY and rounds.recoveries_killed == 0:
                raise Failure("no recovery was killed")
            rounds.end()
    except Failure as failure:
        print(f"FAILED (seed {args.seed}): {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
