"""Rows into a Markdown table: medians over rounds, and medians of the ratios within a round.

A ratio is only ever taken between two rows of one round, measured right after each other on one machine."""
from collections import defaultdict
from statistics import median

TITLES = {"put-4k": "PUT 4 KiB", "get-4k": "GET 4 KiB", "tls-get-4k": "GET 4 KiB over TLS",
          "put-16m": "PUT 16 MiB", "get-16m": "GET 16 MiB", "upload-1g": "multipart upload", "list": "LIST, pages of 1000", "delete": "DELETE"}
PEERS = ("nginx", "radosgw", "null handler", "hash limit")
# What was asked for: cell, of, against, figure, least.
GOALS = (("put-4k", "domicile", "radosgw", "rps", 20), ("get-4k", "domicile", "radosgw", "rps", 15),
         ("list", "domicile", "radosgw", "rps", 5), ("put-16m", "domicile", "radosgw", "rps", 1.5),
         ("get-16m", "domicile", "radosgw", "rps", 1.5), ("put-16m", "domicile", "radosgw", "cpu_us", 2.5),
         ("get-16m", "domicile", "radosgw", "cpu_us", 2.5), ("put-16m", "domicile", "hash limit md5", "rps", 0.7),
         ("get-4k", "domicile", "nginx", "rps", 0.45), ("tls-get-4k", "domicile", "nginx", "rps", 0.6),
         ("get-4k", "domicile", "null handler", "rps", 0.8))
COLUMNS = ("operation", "connections", "server", "requests/s", "MB/s", "p50 ms", "p99 ms", "server CPU µs/op",
           "resident MiB", "to nginx", "to radosgw", "to null handler", "to hash limit")
NOTES = """Medians of {rounds} round(s) of {seconds} s, in {sessions} session(s) on {machine}.
A ratio is the median of the ratios of each round; for server CPU it is the peer's µs over ours. All servers are up
throughout; each cell's are measured right after each other, in turned order. One client (`domicile-load bench`, one
thread, epoll) sends to all of them the same requests, signed beforehand with one key; nginx is sent the signatures too
and does not look at them. Payloads are random, names are reused, reads come from caches. 4 KiB bodies are signed, 16 MiB
and parts are UNSIGNED-PAYLOAD unless the row says otherwise. Server CPU counts all processes of a server (radosgw:
gateway, OSD, monitor) and not the kernel's work for others; resident memory is theirs after the cell, shared pages
counted in each. Kernel memory of sockets is in no figure. The hash limit is MD5 (or MD5 and SHA-256) alone, one
thread for each connection. The engine is our store in one process, without HTTP or signatures."""


def peer_label(server, peer):
    """The row of a peer that a row is compared with: a signed body's with a signed body's."""
    signed = server.endswith(" signed")
    if peer == "hash limit":
        return "hash limit md5+sha256" if signed else "hash limit md5"
    return f"{peer} signed" if signed and peer == "radosgw" else peer


class Figures:
    def __init__(self, rows):
        self.by = defaultdict(dict)  # (cell, connections, server) → round → row
        for r in rows:
            self.by[(r["cell"], r["connections"], r["server"])][r["round"]] = r

    def median(self, key, figure):
        values = [r[figure] for r in self.by[key].values() if figure in r]
        return median(values) if values else None

    def ratio(self, cell, connections, server, peer, figure="rps"):
        ours, theirs = self.by.get((cell, connections, server), {}), self.by.get((cell, connections, peer), {})
        pairs = [(ours[n].get(figure), theirs[n].get(figure)) for n in ours if n in theirs]
        if figure == "cpu_us":
            pairs = [(b, a) for a, b in pairs]
        found = [a / b for a, b in pairs if a is not None and b]
        return median(found) if found else None


def number(value, digits=1):
    return "" if value is None else f"{value:,.{digits}f}"


def short(value):
    """Three digits that matter."""
    return number(value, 0 if value is None or value >= 100 else 1 if value >= 10 else 2)


def line(cellsof):
    return "| " + " | ".join(cellsof) + " |"


def title(cell, settings):
    if cell == "upload-1g":
        return f"upload of {settings['upload_mib']} MiB in parts of {settings['part_mib']} MiB (per part)"
    return TITLES[cell]


def main_rows(f, settings):
    for cell, connections, server in f.by:
        if cell == "idle":
            continue
        key = (cell, connections, server)
        ratios = []
        for peer in PEERS:
            label = peer_label(server, peer)
            of_limit = server.startswith("hash limit") or server == label
            ratios.append("" if of_limit else number(f.ratio(*key, label), 2))
        name = server
        keys_s = f.median(key, "keys_s")
        if keys_s is not None:
            name += f" ({keys_s:,.0f} keys/s)"
        yield line([title(cell, settings), str(connections), name, short(f.median(key, "rps")),
                    short(f.median(key, "mbps")), number(f.median(key, "p50_ms"), 2), number(f.median(key, "p99_ms"), 2),
                    short(f.median(key, "cpu_us")), number(f.median(key, "rss_mib"), 0), *ratios])


def idle_rows(f):
    for cell, connections, server in f.by:
        if cell == "idle":
            key = (cell, connections, server)
            yield line([server, number(f.median(key, "rss_mib"), 0), number(f.median(key, "idle_mib"), 2)])


def goal_rows(f):
    for cell, server, peer, figure, least in GOALS:
        for connections in sorted({c for (name, c, _) in f.by if name == cell}):
            ratio = f.ratio(cell, connections, server, peer, figure)
            if ratio is not None:
                what = "per server CPU-second" if figure == "cpu_us" else "in throughput"
                verdict = "reached" if ratio >= least else "not reached"
                yield line([TITLES[cell], str(connections), f"{peer}, {what}", f"{ratio:.2f}", f"≥ {least}", verdict])


def markdown(rows, settings, about, left_out, machine):
    f = Figures(rows)
    out = ["# Domicile beside its peers and its limits", ""]
    out += [line(COLUMNS), line(["---"] * len(COLUMNS)), *main_rows(f, settings), ""]
    idle = list(idle_rows(f))
    if idle:
        out += ["| server | resident MiB | more for 1,000 idle connections, MiB |", "| --- | --- | --- |", *idle, ""]
    goals = list(goal_rows(f))
    if goals:
        out += ["| wanted | connections | against | ratio | goal | |", "| --- | --- | --- | --- | --- | --- |", *goals, ""]
    out += [NOTES.format(rounds=max(r["round"] for r in rows), seconds=settings["seconds"],
                         sessions=len({r["session"] for r in rows}), machine=machine), ""]
    out += [f"- **{name}** — {text}" for name, text in about.items()]
    out += [f"- left out: {text}" for text in left_out]
    return "\n".join(out) + "\n"
