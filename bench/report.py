#!/usr/bin/python3
"""Rows of one bench run into a Markdown table of medians with ratios.

  report.py row NAME TICKS HZ   reads the load client's JSON, prints a row with server CPU per operation
  report.py engine              reads the engine's JSON, prints a row
  report.py table FILE          prints the table"""
import json
import statistics
import sys
from collections import defaultdict


def row(name, ticks, hertz):
    r = json.load(sys.stdin)
    done = r["requests"]
    cpu = ticks / hertz * 1e6 / done if done else 0.0
    print(json.dumps([name, r["op"], r["size"], r["connections"], r["requests_per_s"], r["mb_per_s"], r["p50_us"] / 1000, r["p99_us"] / 1000, cpu, r["errors"]]))


def engine():
    r = json.load(sys.stdin)
    print(json.dumps(["engine", r["op"], r["size"], r["connections"], r["requests_s"], r["mb_s"], r["p50_ms"], r["p99_ms"], r["cpu_us_per_op"], r["failed"]]))


def table(path):
    rows = defaultdict(list)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, op, size, connections, *figures = json.loads(line)
            rows[(op, size, connections, name)].append(figures)
    median = {key: [statistics.median(column) for column in zip(*runs)] for key, runs in rows.items()}
    print("| operation | connections | server | requests/s | MB/s | p50 ms | p99 ms | server CPU µs/op | to nginx | to engine |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for (op, size, connections, name), m in sorted(median.items(), key=lambda kv: (kv[0][1], kv[0][2], kv[0][0], kv[0][3])):
        def ratio(other):
            base = median.get((op, size, connections, other))
            return "" if not base or name == other or base[0] == 0 else f"{m[0] / base[0]:.2f}"
        failed = f" ({m[5]:.0f} failed)" if m[5] else ""
        print(f"| {op.upper()} {size // 1024} KiB | {connections} | {name}{failed} | {m[0]:,.0f} | {m[1]:,.1f} | {m[2]:.2f} | {m[3]:.2f} | {m[4]:.1f} | {ratio('nginx')} | {ratio('engine')} |")
    runs = max(len(r) for r in rows.values())
    print(f"\nMedians of {runs} runs. Domicile's PUT is durable when it answers; nginx's WebDAV PUT is not. The engine is the store in one process, without HTTP or signatures.")


if sys.argv[1] == "row":
    row(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
elif sys.argv[1] == "engine":
    engine()
else:
    table(sys.argv[2])
