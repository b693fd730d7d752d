#!/usr/bin/env python3
"""Chaos: a country moves cn -> sg -> in while its people write, regions are killed and links are cut.

Four regions as real processes, each behind a front that can cut, hold, slow and break what single regions say to
it. Clients put, overwrite, read, delete and complete uploads through random gateways; a few people of another
country are moved around all the while. When the time is up all faults end, and then: every key's history is
linearizable, every acknowledged write is there through every gateway, nobody and nothing is left at cn and sg, no
handoff waits, stores and ledgers are whole, and clients saw no error but 503.
"""
import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import history  # noqa: E402
import plan  # noqa: E402
from client import BUCKET, LARGE, MEDIUM, SMALL, Client, Journal, Worker  # noqa: E402
from lib.regions import DEPLOYMENT, DOMAIN, NUMBERS, TENANT, Failure, Folder, World, free_port, run  # noqa: E402
from links_process import Links  # noqa: E402

COUNTRY, START, HALFWAY, HOME, AWAY = "IN", "cn", "sg", "in", "us"
WANDERER_COUNTRY = "US"    # of those who are moved around one by one
WANDERERS, WANDERER_KEYS = 8, 4
WANDER_EVERY_S = 0.2       # between single moves: the country shall have the larger part of the machine
HOT_PEOPLE = 40            # of the country: so many that clients meet on their keys
SETTLED_S_MAX = 180        # from the end of the faults until no handoff waits, on a loaded machine
REST_S_MAX = 1800          # what is left of the journey when the time is up
AROUND_S_MAX = 3600        # loading and everything afterwards: whatever hangs ends with its regions
SERVED_S_MAX = 120         # until a gateway serves a key at the end
POLL_S, TELL_S = 1.0, 10.0
LOADERS = 24
SIGKILLED = -9
# What a handoff is that waits for nothing but the operator (see handoff_kills.py).
QUIET_STATES = {"key-dropped", "erased", "names-purged", "aborted", "active", "discarded"}


class ChaosWorld(World):
    """The regions reach each other through fronts; clients reach them directly."""

    def __init__(self, folder, build, **more):
        self.front, self.through_fronts = {}, False
        super().__init__(folder, build, **more)

    def url(self, name):
        if self.through_fronts:  # while the charter is written
            self.front.setdefault(name, free_port())
            return f"http://127.0.0.1:{self.front[name]}"
        return super().url(name)

    def charter(self, version, rules):
        self.through_fronts = True
        path = super().charter(version, rules)
        self.through_fronts = False
        return path

    def ask(self, name, *arguments):
        """A command at a region that may be dead or die: its lines as JSON, None when it did not work."""
        try:
            done = subprocess.run([self.program, *arguments, "--json", "--data", self.data(name)], env=self.env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith((b"{", b"["))]

    def here(self, name, country):
        """Tokens of a country's people who live in a region; None when it does not say."""
        rows = self.ask(name, "subject", "list", "--country", country)
        return None if rows is None else {row["token"] for row in rows if row["state"] != "moved"}


class Keeper(threading.Thread):
    """Kills one region and starts it again, as it is told; nobody else touches its process meanwhile."""

    def __init__(self, world, name):
        super().__init__(daemon=True)
        self.world, self.name, self.region = world, name, world.region[name]
        self.work, self.more = collections.deque(), threading.Condition()
        self.kills = self.recoveries = self.points = 0
        self.start_s = 0.5
        self.armed = False
        self.failure = None

    def give(self, event):
        """None ends it when all is done."""
        with self.more:
            self.work.append(event)
            self.more.notify()

    def up(self, *more):
        begun = time.monotonic()
        self.region.start(*more)
        self.start_s = time.monotonic() - begun

    def watch(self):
        """A region that ends by itself did so at its point, or it is a finding."""
        if self.region.alive():
            return
        status = self.region.reap()
        if not self.armed or status != SIGKILLED:
            raise Failure(f"{self.name} ended by itself with {status}\n{self.region.tail()}")
        self.points += 1
        self.armed = False
        self.up()

    def kill(self, event):
        self.watch()
        self.region.kill()
        self.kills += 1
        time.sleep(event.down_s)
        for share in event.recovery:
            self.region.launch()
            time.sleep(share * self.start_s)
            self.region.kill()
            self.recoveries += 1
        self.armed = event.point is not None
        more = ("--fault-point", event.point) if self.armed else ()
        self.region.launch(*more)
        try:
            self.region.wait_ready()
        except Failure:  # its point can come before it listens: handoffs go on at the start
            if not self.armed:
                raise
            self.points += 1
            self.armed = False
            self.up()

    def disarm(self):
        """At the end it runs without a point."""
        self.watch()
        if self.armed:
            self.region.kill()
            self.armed = False
            self.up()

    def run(self):
        try:
            while True:
                with self.more:
                    self.more.wait_for(lambda: self.work, timeout=0.1)
                    event = self.work.popleft() if self.work else False
                if event is None:
                    self.disarm()
                    return
                if event:
                    self.kill(event)
                else:
                    self.watch()
        except Exception as failure:  # of whatever kind: the main thread tells it
            self.failure = failure


class Journey(threading.Thread):
    """The country's way: a job for each leg, asked for again wherever the process that ran it died."""

    def __init__(self, world, parallel):
        super().__init__(daemon=True)
        self.world, self.parallel = world, parallel
        self.legs, self.ended = [], threading.Event()
        self.failure, self.telling = None, "waits"
        self.jobs = 0

    def job(self, source, target):
        """Starts the job, or attaches to it; what it says at last, None when the region did not answer."""
        told = self.world.ask(source, "move", "--country", COUNTRY, "--to", target, "--parallel", str(self.parallel),
                              "--detach")
        while told:
            self.telling = f"{source}->{target} {told[0]['subjects_done']} of {told[0]['subjects']} people"
            if told[0].get("state") != "running":
                return told[0]
            time.sleep(POLL_S)
            told = self.world.ask(source, "move", "status", str(told[0]["id"]))
        return None

    def leg(self, source, target):
        begun = time.monotonic()
        while not (left := self.world.here(source, COUNTRY)) == set():
            if left is None or self.job(source, target) is None:
                time.sleep(POLL_S)
            else:
                self.jobs += 1
        self.legs.append((source, target, time.monotonic() - begun))

    def run(self):
        """Home, and if there is time left, out and back again until it is up."""
        try:
            self.leg(START, HALFWAY)
            self.leg(HALFWAY, HOME)
            while not self.ended.is_set():
                self.leg(HOME, AWAY)
                self.leg(AWAY, HOME)
            self.telling = "at home"
        except Exception as failure:
            self.failure = failure


class Wandering(threading.Thread):
    """Moves single people between all regions, one after the other, for as long as the chaos lasts; then home."""

    def __init__(self, world, people, seed):
        super().__init__(daemon=True)
        self.world, self.dice, self.people = world, random.Random(f"{seed} wandering"), people
        self.at = dict.fromkeys(people, START)
        self.ended = threading.Event()
        self.moves = 0
        self.failure = None

    def move(self, person, target):
        """However it ended: where somebody is whose move failed, the next one finds out by trying."""
        if self.world.ask(self.at[person], "move", "--subject", person, "--tenant", TENANT, "--to", target):
            self.moves += 1
            self.at[person] = target
        else:
            self.at[person] = self.dice.choice(self.world.names)

    def run(self):
        try:
            while not self.ended.wait(WANDER_EVERY_S):
                person = self.dice.choice(self.people)
                self.move(person, self.dice.choice([name for name in self.world.names if name != self.at[person]]))
            deadline = time.monotonic() + REST_S_MAX
            while any(self.world.here(name, WANDERER_COUNTRY) != set() for name in self.world.names if name != HOME):
                if time.monotonic() > deadline:
                    raise Failure("not all wanderers came home")
                for name in self.world.names:
                    for token in (self.world.here(name, WANDERER_COUNTRY) or ()) if name != HOME else ():
                        self.world.ask(name, "move", "--token", token, "--to", HOME)
        except Exception as failure:
            self.failure = failure


class Turns:
    """All clients together do so many operations a second."""

    def __init__(self, rate):
        self.rate, self.begin, self.taken = rate, time.monotonic(), 0
        self.lock, self.ended = threading.Lock(), threading.Event()

    def turn(self):
        with self.lock:
            now = time.monotonic()
            if self.begin + self.taken / self.rate < now - 1:  # a stall is not made up for by a storm
                self.begin = now - self.taken / self.rate
            self.taken += 1
            wait_s = self.begin + self.taken / self.rate - now
        return not self.ended.wait(max(0, wait_s))


class Chaos:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.world = ChaosWorld(folder, os.path.abspath(args.build), program=args.program)
        self.world.load = None  # clients are this program's own
        self.journal = Journal()
        self.people = [f"p{number}" for number in range(args.subjects)]
        self.wanderers = [f"w{number}" for number in range(WANDERERS)]
        self.links = None
        self.begun = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self.begun:7.1f} s  {text}", flush=True)

    # ---- before ------------------------------------------------------------------------------------

    def client(self, country=COUNTRY):
        return Client(self.journal, self.world.port, country=country)

    def all_keys(self):
        for person in self.people:
            for number in range(self.args.objects_per_subject):
                yield f"{person}/k{number}"

    def load(self):
        """Everything is there once before anything moves, at the region that people will leave."""
        keys = collections.deque(self.all_keys())
        told = [time.monotonic()]

        def work():
            client = self.client()
            dice = random.Random()
            while True:
                try:
                    key = keys.popleft()
                except IndexError:
                    break
                kind = SMALL if dice.random() < 0.99 else MEDIUM if dice.random() < 0.95 else LARGE
                while not client.put(START, key, kind) and not self.journal.wrong:
                    time.sleep(0.05)
            client.close()

        threads = [threading.Thread(target=work, daemon=True) for _ in range(LOADERS)]
        for thread in threads:
            thread.start()
        total = len(self.people) * self.args.objects_per_subject
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if time.monotonic() - told[0] > TELL_S:
                told[0] = time.monotonic()
                self.say(f"loading: {total - len(keys)} of {total} objects")
        client = self.client(WANDERER_COUNTRY)
        for person in self.wanderers:
            client.put(START, f"{person}/k0")
        client.close()
        if self.journal.wrong:
            raise Failure(f"loading: {self.journal.wrong[0]}")
        self.say(f"loaded {total} objects of {len(self.people)} people")

    # ---- the chaos -----------------------------------------------------------------------------------

    def choose_wanderer(self, dice):
        return f"{dice.choice(self.wanderers)}/k{dice.randrange(WANDERER_KEYS)}"

    def choose_person(self, dice):
        """Half of the time whoever was met moving, or a few whom all know: there clients meet each other."""
        chance, moving = dice.random(), self.journal.moving
        if chance < 0.4 and moving and moving[0] == "p":
            person = moving
        elif chance < 0.6:
            person = self.people[dice.randrange(min(HOT_PEOPLE, len(self.people)))]
        else:
            person = dice.choice(self.people)
        return f"{person}/k{dice.randrange(self.args.objects_per_subject)}"

    def workers(self, turns):
        made = []
        for number in range(self.args.clients):
            wanders = number % 4 == 0
            client = self.client(WANDERER_COUNTRY if wanders else COUNTRY)
            made.append(Worker(client, self.choose_wanderer if wanders else self.choose_person, turns.turn,
                               f"{self.args.seed} client {number}"))
        return made

    def status(self, keepers, journey, wandering):
        counts = self.journal.counts
        return (f"{self.journal.acknowledged} writes acknowledged, {counts.get(503, 0)} times 503, "
                f"{counts.get('lost', 0)} lost; {sum(k.kills for k in keepers.values())} kills, "
                f"{sum(k.recoveries for k in keepers.values())} of recoveries, "
                f"{sum(k.points for k in keepers.values())} at steps; {wandering.moves} single moves; "
                f"{journey.telling}")

    def watch(self, keepers, *others):
        for each in (*keepers.values(), *others):
            if each.failure is not None:
                raise each.failure if isinstance(each.failure, Failure) else Failure(repr(each.failure))
        if self.journal.wrong:
            raise Failure(f"clients: {self.journal.wrong[0]}")

    def faults(self, events, keepers, seconds, *watched):
        """Follows the plan until the time is up."""
        begun = told = time.monotonic()
        self.fault_count = collections.Counter()
        while (now := time.monotonic()) - begun < seconds:
            while events and events[0].at_s <= now - begun:
                event = events.pop(0)
                self.fault_count[event.kind] += 1
                if event.kind == "kill":
                    keepers[event.region].give(event)
                else:
                    self.links.tell(event.kind, NUMBERS[event.source], NUMBERS[event.target], event.lasts_s,
                                    event.amount)
            self.watch(keepers, *watched)
            if now - told > TELL_S:
                told = now
                self.say(self.status(keepers, *watched))
            time.sleep(0.05)

    def rest(self, journey, wandering):
        """Without faults: whoever is under way comes home."""
        journey.ended.set()
        wandering.ended.set()
        told = time.monotonic()
        deadline = told + REST_S_MAX
        while journey.is_alive() or wandering.is_alive():
            self.watch({}, journey, wandering)
            now = time.monotonic()
            if now > deadline:
                raise Failure(f"the journey does not end: {journey.telling}")
            if now - told > TELL_S:
                told = now
                self.say(f"on the way home: {journey.telling}")
            time.sleep(0.2)
        self.watch({}, journey, wandering)

    def storm(self):
        events = plan.make(self.args.seed, self.args.minutes * 60, self.world.names, self.args.kill_every,
                           self.args.link_every)
        self.say(f"{len(events)} faults planned for {self.args.minutes} minutes")
        turns = Turns(self.args.rate)
        workers = self.workers(turns)
        keepers = {name: Keeper(self.world, name) for name in self.world.names}
        journey = Journey(self.world, self.args.parallel)
        wandering = Wandering(self.world, self.wanderers, self.args.seed)
        for thread in (*workers, *keepers.values(), journey, wandering):
            thread.start()
        self.faults(events, keepers, self.args.minutes * 60, journey, wandering)
        under_faults = len(journey.legs)
        self.say(self.status(keepers, journey, wandering))
        for keeper in keepers.values():
            keeper.give(None)
        for keeper in keepers.values():
            keeper.join()
        self.links.tell("heal")
        self.watch(keepers, journey, wandering)
        self.say("no more faults")
        self.rest(journey, wandering)
        turns.ended.set()
        for worker in workers:
            worker.join()
        self.watch(keepers, journey, wandering)
        legs = ", ".join(f"{source}->{target} {seconds:.0f} s" for source, target, seconds in journey.legs)
        self.say(f"legs: {legs}; {under_faults} of them while faults came")
        if self.args.whole_journey and under_faults < 2:
            raise Failure("the country was not at home when the time was up: fewer people, or more minutes")
        return keepers, journey, wandering

    # ---- afterwards ------------------------------------------------------------------------------------

    def read_everything(self):
        """Each key through each gateway; what is read belongs to the key's history."""
        keys = sorted(self.journal.ops)
        work = collections.deque((key, gateway) for key in keys for gateway in self.world.names)
        total, deadline, late = len(work), time.monotonic(), []

        def read():
            client = self.client()
            while work:
                try:
                    key, gateway = work.popleft()
                except IndexError:
                    break
                last = time.monotonic() + SERVED_S_MAX
                while not client.get(gateway, key):
                    if time.monotonic() > last:
                        late.append(gateway)
                        break
                    time.sleep(0.1)
            client.close()

        threads = [threading.Thread(target=read, daemon=True) for _ in range(LOADERS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if time.monotonic() - deadline > TELL_S:
                deadline = time.monotonic()
                self.say(f"reading everything through every gateway: {total - len(work)} of {total}")
        if late:
            raise Failure(f"{len(late)} reads were not served through {sorted(set(late))}")
        if self.journal.wrong:
            raise Failure(f"clients: {self.journal.wrong[0]}")
        self.say(f"read {len(keys)} keys through {len(self.world.names)} gateways")

    def check_histories(self):
        bad, operations = [], 0
        for key, ops in self.journal.ops.items():
            operations += len(ops)
            wrong = history.check(ops)
            if wrong:
                bad.append(f"{key}: {wrong}")
        if bad:
            raise Failure(f"{len(bad)} keys with a history that no register has; the first:\n{bad[0]}")
        self.say(f"{len(self.journal.ops)} histories with {operations} operations are linearizable")

    def check_homes(self):
        everybody = len(self.people) + len(self.wanderers)
        for name in self.world.names:
            rows = self.world.ask(name, "subject", "list")
            if rows is None:
                raise Failure(f"{name} does not list its people")
            here = [row for row in rows if row["state"] != "moved"]
            if len(here) != (everybody if name == HOME else 0):
                raise Failure(f"{len(here)} people live in {name}: {here[:3]}")
            moves = self.world.ask(name, "move", "list") or []
            open_ones = [move for move in moves if move.get("state") == "running"]
            if open_ones:
                raise Failure(f"{name}: a job is not done: {open_ones}")

    def waiting(self):
        """Of stopped regions: handoffs that wait for something."""
        found = []
        for name in self.world.names:
            told = run([self.args.handoffs, self.world.data(name), self.world.key(name, "kek"), str(NUMBERS[name]),
                        f"{DOMAIN}/{DEPLOYMENT}"], self.world.env, f"handoffs of {name}")
            found += [f"{name}: {line}" for line in told.splitlines() if line.split()[3] not in QUIET_STATES]
        return found

    def settle(self):
        """Stops the regions when no handoff waits any more. They ask each other as soon as they start."""
        deadline = time.monotonic() + SETTLED_S_MAX
        while True:
            self.world.stop()
            found = self.waiting()
            if not found:
                return
            if time.monotonic() > deadline:
                raise Failure(f"{len(found)} handoffs wait for ever: {found[:5]}")
            self.say(f"{len(found)} handoffs still wait: {found[:3]}")
            self.world.start()
            time.sleep(2)  # no condition to ask for: upkeep's rounds come five a second

    def check_ledgers(self):
        for name in self.world.names:
            vkey = self.folder.file(f"{name}.vkey")
            with open(vkey, "w", encoding="ascii") as file:
                file.write(self.world.vkey[name] + "\n")
            self.world.command("verify", f"http://127.0.0.1:{self.world.port[name]}/-/ledger", "--vkey", vkey)

    def check_stores(self):
        for name in self.world.names:
            told = self.world.command("fsck", "--config", self.world.key(name, "domicile.yaml"), "--json")
            report = json.loads(told.splitlines()[-1])
            self.say(f"{name}: {report['objects']} objects, {report['bodies']} bodies, {report['segments']} segments")
            if name != HOME and (report["objects"] or report["parts"] or report["uploads"]):
                raise Failure(f"something is left at {name}: {report}")

    def run(self):
        world = self.world
        self.links = Links([(NUMBERS[name], world.front[name], world.port[name]) for name in world.names])
        try:
            self.world.start()
            self.world.bucket(BUCKET)
            self.load()
            keepers, journey, wandering = self.storm()
            self.check_homes()
            self.read_everything()
            self.check_histories()
            self.check_ledgers()
            self.say("ledgers verify")
            self.settle()
            self.check_stores()
            print(f"ok chaos, seed {self.args.seed}: {len(self.people)} people, {self.args.clients} clients, "
                  f"{self.args.minutes} minutes, {self.status(keepers, journey, wandering)}; faults "
                  f"{dict(self.fault_count)}; answers {self.journal.counts}; met {self.journal.met}", flush=True)
        finally:
            self.links.close()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="folder of domicile")
    parser.add_argument("--program", default="domicile", help="the program below it, e.g. one with a planted bug")
    parser.add_argument("--handoffs", help="the program that lists handoffs (BUILD/tests/crash/handoffs)")
    parser.add_argument("--minutes", type=float, default=20, help="how long faults come (20)")
    parser.add_argument("--subjects", type=int, default=5000, help="people of the country (5000)")
    parser.add_argument("--objects-per-subject", type=int, default=10, help="objects of each (10)")
    parser.add_argument("--clients", type=int, default=32, help="how many at once (32)")
    parser.add_argument("--rate", type=float, default=150, help="operations a second of all clients (150)")
    parser.add_argument("--parallel", type=int, default=8, help="handoffs of a job at once (8)")
    parser.add_argument("--kill-every", type=float, default=6, help="seconds between kills, on average (6)")
    parser.add_argument("--link-every", type=float, default=3, help="seconds between faults of links, on average (3)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="of the plan of faults")
    parser.add_argument("--whole-journey", action="store_true",
                        help="fail unless the country came home before the time was up")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    args = parser.parse_args()
    args.handoffs = os.path.abspath(args.handoffs or os.path.join(args.build, "tests", "crash", "handoffs"))
    return args


def ended(number, frame):
    raise Failure("it took too long" if number == signal.SIGALRM else "ended by a signal")


def main():
    args = parse()
    print(f"chaos, seed {args.seed}", flush=True)
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ended)
    signal.alarm(int(args.minutes * 60) + REST_S_MAX + AROUND_S_MAX)
    try:
        with Folder("chaos", args.keep) as folder:
            Chaos(args, folder).run()
    except Failure as failure:
        print(f"FAILED chaos, seed {args.seed}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
