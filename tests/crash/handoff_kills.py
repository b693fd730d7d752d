#!/usr/bin/env python3
"""A kill -9 before and after each durable step of a handoff, on each side, with real processes.

The steps are read from src/move/move_states.def; a state without a scenario here is an error, so a new
state cannot come in untested. All along writers put, overwrite, delete, copy and complete uploads through
a third region's stale gateway. After each kill: exactly one home, every acknowledged write there through
every gateway, another move succeeds. At the end no handoff of any region waits for anything.
"""
import argparse
import os
import re
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from lib.regions import ACCESS, DEPLOYMENT, DOMAIN, NUMBERS, TENANT, Failure, Folder, World, curl, run  # noqa: E402

SOURCE, TARGET, GATEWAY, NEXT = "cn", "sg", "us", "in"
LARGE_BYTES = 3 << 20
DEAD_S_MAX = 40     # until a fault point is reached: a move is held 2 s at most, asking waits 10 s
SETTLED_S_MAX = 60  # a restarted region asks and is asked within 10 s; the rest is a loaded machine
PRELOAD_OPERATIONS = 40
# What the log calls a state; the others are called as they are written in the table.
NAMES = {"DROPPED": "key-dropped", "PURGED": "names-purged"}
# A source that goes on by itself, or the operator's own next step.
QUIET_STATES = {"key-dropped", "erased", "names-purged", "aborted", "active", "discarded"}


def states(path):
    """{(side, state)} that some step of the table makes durable."""
    with open(path, encoding="ascii") as file:
        steps = re.findall(r"^STEP\((\w+),\s*(\w+),\s*(\w+),\s*(\w+),\s*(\w+)\)", file.read(), re.M)
    if not steps:
        raise Failure(f"{path}: no steps found")
    named = {(side, state) for side, state, _, _, _ in steps if state != "NONE"}
    return named | {(side, after) for side, _, _, after, _ in steps}


class Case:
    """One subject, one kill, what must hold afterwards."""

    def __init__(self, world, number, point):
        self.world, self.point = world, point
        self.subject = f"s{number}-{point.strip('+-')}"
        self.name = point
        self.token = world.register(self.subject)
        self.logs = []
        self.writers = None
        self.move = None

    def file(self, name):
        return self.world.folder.file(f"{self.subject}.{name}")

    def write(self, kind, *more):
        log = self.file(kind + ".journal")
        self.logs.append(log)
        return [self.world.load, "crash-writer", "--bucket", "phones", "--country", "IN", "--prefix",
                f"{self.subject}/{kind}/", "--log", log, "--workers", "4", "--keys", "5", *more]

    def load(self):
        """What is there before the move."""
        run(self.write("photos", "--endpoint", self.world.url(SOURCE), "--ops", str(PRELOAD_OPERATIONS)),
            self.world.env, "loading")
        with open(self.file("large"), "wb") as file:
            file.write(os.urandom(LARGE_BYTES))
        curl(ACCESS, "-T", self.file("large"), f"{self.world.url(SOURCE)}/phones/{self.subject}/large")

    def start_writers(self):
        """Through the gateway that learns the home now and is stale later."""
        status, stop = self.file("status"), self.file("stop")
        self.writers = self.world.folder.process(
            f"writers-{self.subject}{self.name[0]}",
            self.write("notes", "--endpoint", self.world.url(GATEWAY), "--status", status, "--stop-file", stop,
                       "--rate", "25"),
            self.world.env)
        self.writers.launch()
        deadline = time.monotonic() + DEAD_S_MAX
        while not os.path.exists(status) or re.search(r"\bops=0\b", open(status, encoding="ascii").read() or "ops=0"):
            if not self.writers.alive() or time.monotonic() > deadline:
                raise Failure(f"the writers do not write\n{self.writers.tail()}")
            time.sleep(0.01)

    def stop_writers(self):
        with open(self.file("stop"), "w", encoding="ascii"):
            pass
        if self.writers.reap() != 0:
            raise Failure(f"the writers failed\n{self.writers.tail()}")

    def begin_move(self, to=TARGET):
        self.move = subprocess.Popen(
            [self.world.program, "move", "--subject", self.subject, "--tenant", TENANT, "--to", to,
             "--data", self.world.data(SOURCE)],
            env=self.world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end_move(self):
        """However the move ended: what counts is what the regions hold."""
        try:
            self.move.wait(SETTLED_S_MAX)
        except subprocess.TimeoutExpired:
            self.move.kill()
            self.move.wait()
            raise Failure("the move's command does not end") from None

    def die(self, side):
        """The region dies by itself at its fault point."""
        if not self.world.region[side].wait_dead(DEAD_S_MAX):
            raise Failure(f"{side} never came to {self.point}\n{self.world.region[side].tail()}")

    def settled_home(self):
        """The one region that serves the subject, no handoff of it under way at its home."""
        deadline = time.monotonic() + SETTLED_S_MAX
        while True:
            homes = self.world.homes(self.token)
            if list(homes.values()) == ["home"]:
                return next(iter(homes))
            if time.monotonic() > deadline:
                raise Failure(f"not settled: {homes}")
            time.sleep(0.05)

    def move_again(self, home):
        """A second move, while what the first left behind is still being cleared away."""
        to = TARGET if home == SOURCE else NEXT
        deadline = time.monotonic() + SETTLED_S_MAX
        while True:
            told = self.world.at(home, "move", "--subject", self.subject, "--tenant", TENANT, "--to", to, ok=(0, 1, 3))
            if self.world.homes(self.token) == {to: "home"}:
                return
            if time.monotonic() > deadline:
                raise Failure(f"no second move to {to}: {told}")
            time.sleep(0.2)

    def wait_served(self, gateway):
        """A gateway that met a dead region tries it again a second later: 503 until then."""
        deadline = time.monotonic() + SETTLED_S_MAX
        url = f"{self.world.url(gateway)}/phones/{self.subject}/large"
        while True:
            try:
                curl(ACCESS, "-o", os.devnull, url)
                return
            except Failure:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def check(self):
        for gateway in (GATEWAY, SOURCE, TARGET, NEXT):
            self.wait_served(gateway)
            for log in self.logs:
                run([self.world.load, "crash-check", "--log", log, "--resolve", "--endpoint", self.world.url(gateway)],
                    self.world.env, f"through {gateway}")
        back = self.file("back")
        curl(ACCESS, "-o", back, f"{self.world.url(GATEWAY)}/phones/{self.subject}/large")
        with open(back, "rb") as got, open(self.file("large"), "rb") as want:
            if got.read() != want.read():
                raise Failure("the large object came back changed")

    # ---- scenarios: each ends with all regions up ------------------------------------------------------

    def arm(self, side, point=None):
        """The region starts anew and will die at the point."""
        self.world.region[side].kill()
        self.world.region[side].start("--fault-point", point or self.point)

    def kill_in_move(self, side):
        self.arm(side)
        self.start_writers()
        self.begin_move()
        self.die(side)
        self.world.region[side].start()
        self.end_move()

    def kill_source(self):
        self.kill_in_move(SOURCE)

    def kill_target(self):
        self.kill_in_move(TARGET)

    def kill_aborting_source(self):
        """The target is down, so the source gives up, and dies at that."""
        self.arm(SOURCE)
        self.start_writers()
        self.world.region[TARGET].kill()
        self.begin_move()
        self.die(SOURCE)
        self.world.region[TARGET].start()
        self.world.region[SOURCE].start()
        self.end_move()

    def kill_discarding_target(self):
        """The source dies with the target prepared, aborts when it is back, and the target dies at that."""
        self.arm(TARGET)
        self.arm(SOURCE, "+peer-prepared")
        self.start_writers()
        self.begin_move()
        self.die(SOURCE)
        self.world.region[SOURCE].start()
        self.die(TARGET)
        self.world.region[TARGET].start()
        self.end_move()

    def kill_erasing(self, *command):
        """After a whole move, at the operator's next step at the source; which is then asked for again."""
        self.arm(SOURCE)
        self.start_writers()
        self.begin_move()
        self.end_move()
        self.settled_home()
        self.world.at(SOURCE, *command, ok=(0, 1, 3))
        self.die(SOURCE)
        self.world.region[SOURCE].start()
        self.world.at(SOURCE, *command)

    def kill_rotating(self):
        self.kill_erasing("key", "rotate")

    def kill_purging(self):
        self.kill_erasing("names", "purge")

    def run(self, scenario):
        """Where the seconds went, for people."""
        at = [time.monotonic()]

        def lap():
            at.append(time.monotonic())
            return at[-1] - at[-2]

        self.load()
        told = f"load {lap():.1f}"
        scenario(self)
        told += f", kill {lap():.1f}"
        home = self.settled_home()
        told += f", home {lap():.1f}"
        self.move_again(home)
        told += f", again {lap():.1f}"
        self.stop_writers()
        self.check()
        return told + f", check {lap():.1f} s"


SCENARIOS = {
    ("SOURCE", "COPYING"): Case.kill_source,
    ("SOURCE", "FENCED"): Case.kill_source,
    ("SOURCE", "COMMITTED"): Case.kill_source,
    ("SOURCE", "ERASING"): Case.kill_source,
    ("SOURCE", "DROPPED"): Case.kill_source,
    ("SOURCE", "ERASED"): Case.kill_rotating,
    ("SOURCE", "PURGED"): Case.kill_purging,
    ("SOURCE", "ABORTED"): Case.kill_aborting_source,
    ("TARGET", "STAGING"): Case.kill_target,
    ("TARGET", "PREPARED"): Case.kill_target,
    ("TARGET", "ACTIVE"): Case.kill_target,
    ("TARGET", "DISCARDED"): Case.kill_discarding_target,
}
# Durable steps within one state.
BETWEEN = [
    ("+peer-prepared", Case.kill_source),
    ("+slot-overwritten", Case.kill_source),
    ("+rows-removed", Case.kill_source),
    ("+slot-overwritten", Case.kill_discarding_target),
    ("+rows-removed", Case.kill_discarding_target),
]


def cases():
    """(point, scenario), each state before and after; a state without a scenario is a Failure."""
    table = states(os.path.join(ROOT, "src", "move", "move_states.def"))
    missing = sorted(table - set(SCENARIOS))
    if missing:
        raise Failure(f"no kill test for {missing}: add one to tests/crash/handoff_kills.py")
    unknown = sorted(set(SCENARIOS) - table)
    if unknown:
        raise Failure(f"kill tests for states that move_states.def does not know: {unknown}")
    points = []
    for (side, state), scenario in SCENARIOS.items():
        name = NAMES.get(state, state.lower())
        points += [("-" + name, scenario), ("+" + name, scenario)]
    return points + BETWEEN


def check_source_gone(world):
    """A region that people left may be gone for good: a gateway that took it for their home finds the new one."""
    case = Case(world, "gone", "+left")
    case.load()
    large = f"{world.url(GATEWAY)}/phones/{case.subject}/large"
    curl(ACCESS, "-o", os.devnull, large)
    case.begin_move()
    case.end_move()
    world.region[SOURCE].kill()
    curl(ACCESS, "-o", os.devnull, large)
    world.region[SOURCE].start()


def check_rebuild(world, done):
    """Every index is deleted and made again from the log: the same homes and epochs, and all that was there."""
    before = {name: world.rows(name) for name in world.names}
    world.stop()
    for name in world.names:
        config = world.key(name, "domicile.yaml")
        world.command("fsck", "--config", config)
        world.command("fsck", "--config", config, "--rebuild-index")
    world.start()
    for name in world.names:
        if world.rows(name) != before[name]:
            raise Failure(f"{name}: homes or epochs differ after its index was rebuilt")
    for case in done:
        case.check()


def waiting(world, handoffs):
    """Stops all regions and looks into their stores: whether a handoff still waits for something. Regions that
    just started ask at once, so a few rounds are enough for all that is not stuck."""
    world.stop()
    stuck = []
    for name in world.names:
        told = run([handoffs, world.data(name), world.key(name, "kek"), str(NUMBERS[name]),
                    f"{DOMAIN}/{DEPLOYMENT}"], world.env, f"handoffs of {name}")
        for line in told.splitlines():
            token, epoch, side, state = line.split()
            if state not in QUIET_STATES:
                stuck.append(f"{name}: the handoff of {token[:8]} under epoch {epoch} is {state} ({side})")
    return stuck


def settle(world, handoffs):
    """Nothing is stuck STAGING or PREPARED, or anywhere else on its way, once all regions are up."""
    deadline = time.monotonic() + SETTLED_S_MAX
    while True:
        stuck = waiting(world, handoffs)
        if not stuck:
            return
        if time.monotonic() > deadline:
            raise Failure("stuck: " + "; ".join(stuck))
        world.start()
        time.sleep(1)  # no condition to ask for: upkeep's rounds come five a second


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", help="folder of domicile and domicile-load")
    parser.add_argument("--handoffs", help="the program that lists handoffs")
    parser.add_argument("--only", help="only points that contain this")
    parser.add_argument("--table", action="store_true", help="only check that each state has a kill test")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    args = parser.parse_args()
    name = "start"
    try:
        points = [p for p in cases() if not args.only or args.only in p[0]]
        if args.table:
            return 0
        with Folder("handoff", args.keep) as folder:
            world = World(folder, os.path.abspath(args.build))
            world.start()
            world.bucket("phones")
            done = []
            for number, (point, scenario) in enumerate(points):
                name = f"{point} ({scenario.__name__.replace('_', ' ')})"
                done.append(Case(world, number, point))
                told = done[-1].run(scenario)
                print(f"ok {name}: {told}", flush=True)
            name = "the source gone"
            check_source_gone(world)
            print(f"ok {name}", flush=True)
            name = "at the end"
            settle(world, os.path.abspath(args.handoffs))
            print("ok nothing is stuck", flush=True)
            name = "rebuild"
            world.start()
            check_rebuild(world, done)
            print("ok rebuild", flush=True)
    except Failure as failure:
        print(f"FAILED {name}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
