"""What is measured: cells of one operation at one number of connections, for each server that can do it.

A cell's step returns the figures of one row. What must be there before (objects, keys) is put outside of the
time and of the CPU that are counted."""
import json
import subprocess
import sys
import time

from procs import Failed, cpu_s, rss_mib, run
from servers import BUCKET, KEY, check_alive

SMALL, LARGE, TINY = 4096, 16 << 20, 16
ALL = ("domicile", "null handler", "nginx", "radosgw")
IDLE = 1000  # connections of the idle cell
LARGE_OBJECTS = 16


class Step:
    """One row to be: `label` is the server with its variant, as the table names it."""

    def __init__(self, cell, connections, server, label, figures, once=False):
        self.cell, self.connections, self.server, self.label = cell, connections, server, label
        self.figures, self.once = figures, once

    def key(self, round_number):
        return (1 if self.once else round_number, self.cell, self.connections, self.label)


def load(bench, server, op, *more, timeout=None, tls=False):
    """domicile-load bench; its JSON. Errors among the requests fail the bench: such a figure means nothing."""
    where = ["--endpoint", server.tls_url, "--ca", bench.certificate()[0]] if tls else ["--endpoint", server.url]
    argv = [bench.binary("domicile-load"), "bench", "--json", *where, "--op", op, "--bucket", BUCKET, "--key", KEY,
            *map(str, more)]
    check_alive(server)
    return json.loads(run(argv, timeout=timeout or 600 + 20 * bench.options.seconds))


def measure(bench, server, op, *more, tls=False):
    """The load client's figures with what the server's processes spent and hold."""
    before = cpu_s(server.pids())
    r = load(bench, server, op, *more, tls=tls)
    cpu, rss = cpu_s(server.pids()) - before, rss_mib(server.pids())
    return {"rps": r["requests_per_s"], "mbps": r["mb_per_s"], "p50_ms": r["p50_us"] / 1000,
            "p99_ms": r["p99_us"] / 1000, "cpu_us": cpu * 1e6 / max(1, r["requests"]), "rss_mib": rss,
            "client_cpu_us": r["client_cpu_s"] * 1e6 / max(1, r["requests"])}


def warm(bench, server):
    """First requests make pools, folders and caches, which no cell is to pay for."""
    load(bench, server, "put", "--prefix", "warm/", "--size", SMALL, "--requests", 64, "--connections", 8)
    if server.name in ("domicile", "radosgw"):
        part = bench.options.part_mib << 20
        load(bench, server, "upload", "--size", part, "--part-size", part)


def once(server, what, fill):
    """Fills what a cell reads, the first time this process of the server meets it."""
    if what not in server.ready:
        print(f"  {server.name}: putting there what '{what}' needs", file=sys.stderr, flush=True)
        fill()
        server.ready.add(what)


def put(bench, server, size, connections, objects, *mode):
    names = ("--prefix", f"{size}/", "--multi-object-count", objects)
    return measure(bench, server, "put", "--size", size, "--connections", connections,
                   "--seconds", bench.options.seconds, *names, *mode)


def get(bench, server, size, connections, objects, tls=False):
    common = ("--size", size, "--prefix", f"{size}/", "--multi-object-count", objects)
    once(server, f"get {size}", lambda: load(bench, server, "get", "--requests", 1, "--connections", 4, *common))
    return measure(bench, server, "get", "--no-fill", "--connections", connections,
                   "--seconds", bench.options.seconds, *common, tls=tls)


def delete(bench, server, connections):
    """As many objects as this server deletes in the time, going by how fast it takes them."""
    names = ("--prefix", "d/", "--size", SMALL)
    trial = load(bench, server, "put", *names, "--connections", connections, "--requests", 100,
                 "--multi-object-count", 100)
    count = min(100_000, max(100, int(trial["requests_per_s"] * bench.options.seconds)))
    load(bench, server, "put", *names, "--connections", connections, "--requests", count,
         "--multi-object-count", count)
    return measure(bench, server, "delete", "--no-fill", *names, "--connections", connections,
                   "--multi-object-count", count)


def listing(bench, server, connections):
    """Pages of 1000 by start-after, so that they can be signed beforehand; filled and walked by tokens first."""
    keys = ("--prefix", "list/", "--size", TINY, "--multi-object-count", bench.options.list_keys)
    once(server, "list", lambda: load(bench, server, "list", *keys, "--requests", 1, "--connections", 16, timeout=3600))
    row = measure(bench, server, "list", "--no-fill", *keys, "--connections", connections,
                  "--seconds", bench.options.seconds)
    pages = -(-bench.options.list_keys // 1000)
    row["keys_s"] = row["rps"] * bench.options.list_keys / pages
    return row


def upload(bench, server, connections, *mode):
    return measure(bench, server, "upload", "--size", bench.options.upload_mib << 20,
                   "--part-size", bench.options.part_mib << 20, "--connections", connections, *mode)


def idle(bench, server, connections):
    """Resident memory that so many connections add which each had one answer and now wait."""
    argv = [bench.binary("domicile-load"), "bench", "--json", "--endpoint", server.url, "--op", "get", "--hold",
            "--bucket", BUCKET, "--key", KEY, "--prefix", "idle/", "--size", str(SMALL), "--no-fill",
            "--multi-object-count", "16", "--connections", str(connections), "--requests", str(connections)]
    once(server, "idle", lambda: load(bench, server, "get", "--requests", 1, "--prefix", "idle/", "--size", SMALL,
                                      "--multi-object-count", 16))
    before = rss_mib(server.pids())
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as c:
        said = c.stderr.readline()
        held = "holding" in said and settled(server) - before
        _, rest = c.communicate()
    if c.returncode != 0:
        raise Failed(f"{server.name}: {said}{rest}")
    return {"idle_mib": held * 1000 / connections, "rss_mib": before}


def settled(server):
    """Resident memory once two readings in a row agree."""
    last, now = -1.0, rss_mib(server.pids())
    for _ in range(25):
        if abs(now - last) < 0.05:
            break
        time.sleep(0.2)
        last, now = now, rss_mib(server.pids())
    return now


def engine(bench, op, connections):
    """The store in one process: no HTTP, no signatures. As many operations as the server did in the time."""
    rate = bench.latest(f"{op}-4k", connections, "domicile", "rps") or 500
    count = max(200, int(rate * bench.options.seconds))
    with bench.folder("engine") as folder:
        out = run([bench.binary("bench/bench-engine"), f"{folder}/in", op, str(SMALL), str(connections), str(count)],
                  timeout=600)
    r = json.loads(out)
    if r["failed"]:
        raise Failed(f"bench-engine: {r['failed']} operations failed")
    return {"rps": r["requests_s"], "mbps": r["mb_s"], "p50_ms": r["p50_ms"], "p99_ms": r["p99_ms"],
            "cpu_us": r["cpu_us_per_op"]}


def hash_bound(bench, kind, threads):
    r = json.loads(run([bench.binary("bench/bench-hash"), kind, str(LARGE), str(threads), str(bench.options.seconds)]))
    return {"rps": r["requests_per_s"], "mbps": r["mb_per_s"]}


def steps(bench, present):
    """All steps of one round, in order, for the servers that are present. Names of cells are those of --cells."""
    o, s = bench.options, bench.servers  # s fills later
    found = []

    def add(cell, connections, server, label, figures, only_once=False):
        if server is None or server in present:
            found.append(Step(cell, connections, server, label, figures, only_once))

    for name in ALL:
        add("idle", IDLE, name, name, lambda n=name: idle(bench, s[n], IDLE), True)
    for c in o.connections:
        for op, act in (("put", put), ("get", get)):
            cell = f"{op}-4k"
            for name in ALL + (("domicile on tmpfs",) if op == "put" else ()):
                add(cell, c, name, name, lambda n=name, c=c, a=act: a(bench, s[n], SMALL, c, 1000))
            if "engine" not in o.skip and "domicile" in present:
                add(cell, c, None, "engine", lambda c=c, op=op: engine(bench, op, c))
    for c in o.connections:
        for name in ("domicile", "nginx", "radosgw"):
            add("tls-get-4k", c, name, name, lambda n=name, c=c: get(bench, s[n], SMALL, c, 1000, tls=True))
    for c in o.large_connections:
        for kind in ("md5", "md5+sha256"):
            add("put-16m", c, None, f"hash limit {kind}", lambda k=kind, c=c: hash_bound(bench, k, c))
        for name in ALL:
            add("put-16m", c, name, name,
                lambda n=name, c=c: put(bench, s[n], LARGE, c, LARGE_OBJECTS, "--unsigned-payload"))
            if name in ("domicile", "radosgw"):
                add("put-16m", c, name, f"{name} signed",
                    lambda n=name, c=c: put(bench, s[n], LARGE, c, LARGE_OBJECTS, "--signed"))
        add("put-16m", c, "domicile", "domicile trailer",
            lambda c=c: put(bench, s["domicile"], LARGE, c, LARGE_OBJECTS, "--trailer"))
        for name in ALL:
            add("get-16m", c, name, name, lambda n=name, c=c: get(bench, s[n], LARGE, c, LARGE_OBJECTS))
    c = max(o.large_connections)
    for name in ("domicile", "radosgw"):
        add("upload-1g", c, name, name, lambda n=name, c=c: upload(bench, s[n], c, "--unsigned-payload"))
    for c in o.list_connections:
        for name in ("domicile", "radosgw"):
            add("list", c, name, name, lambda n=name, c=c: listing(bench, s[n], c))
    for name in ALL + ("domicile on tmpfs",):
        add("delete", 32, name, name, lambda n=name: delete(bench, s[n], 32))
    return found
