"""What bench/s3 makes of its rows: medians, ratios within a round only, goals, and going on after an end."""
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench", "lib"))
import plot  # noqa: E402
import rows  # noqa: E402
import table  # noqa: E402

SETTINGS = {"seconds": 4, "upload_mib": 1024, "part_mib": 16}


def row(server, rps, round_number=1, cell="get-4k", **more):
    return {"session": 1, "round": round_number, "cell": cell, "connections": 32, "server": server, "rps": rps,
            "mbps": rps / 250, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_us": 50.0, "rss_mib": 20.0, **more}


def text(found, left_out=()):
    return table.markdown(found, SETTINGS, {"nginx": "static"}, left_out, "a machine")


def line_of(markdown, start):
    return next([part.strip() for part in line.split("|")] for line in markdown.splitlines() if line.startswith(start))


def test_ratio_is_the_median_of_the_rounds_ratios():
    found = [row("domicile", 100, 1), row("nginx", 50, 1), row("domicile", 10, 2), row("nginx", 40, 2),
             row("domicile", 90, 3), row("nginx", 30, 3)]
    cells = line_of(text(found), "| GET 4 KiB | 32 | domicile")
    assert cells[4] == "90.0" and cells[10] == "2.00"  # of 2, 0.25 and 3; not 90 / 40


def test_rows_of_different_rounds_are_never_compared():
    cells = line_of(text([row("domicile", 100, 1), row("nginx", 50, 2)]), "| GET 4 KiB | 32 | domicile")
    assert cells[10] == ""


def test_signed_bodies_are_compared_with_signed_ones():
    found = [row(name, rps, cell="put-16m") for name, rps in (
        ("domicile signed", 30), ("radosgw", 60), ("radosgw signed", 15), ("hash limit md5", 120),
        ("hash limit md5+sha256", 40))]
    cells = line_of(text(found), "| PUT 16 MiB | 32 | domicile signed")
    assert cells[11] == "2.00" and cells[13] == "0.75"


@pytest.mark.parametrize("ours,verdict", [(44, "not reached"), (45, "reached")])
def test_goals_are_judged(ours, verdict):
    assert line_of(text([row("domicile", ours), row("nginx", 100)]), "| GET 4 KiB | 32 | nginx,")[6] == verdict


def test_cpu_is_compared_the_other_way_round():
    found = [row("domicile", 1, cell="put-16m", cpu_us=10.0), row("radosgw", 1, cell="put-16m", cpu_us=30.0)]
    assert line_of(text(found), "| PUT 16 MiB | 32 | radosgw, per server CPU")[4] == "3.00"


def test_what_is_left_out_is_named():
    assert "- left out: radosgw: --skip" in text([row("domicile", 1)], ["radosgw: --skip"])


def test_torn_rows_are_cut_off(tmp_path):
    path = str(tmp_path / "rows.jsonl")
    rows.append(path, {"settings": {}})
    with open(path, "a", encoding="utf-8") as f:
        f.write('{"cell": "get')
    assert rows.read(path) == [{"settings": {}}]
    rows.append(path, {"cell": "put"})
    assert rows.read(path) == [{"settings": {}}, {"cell": "put"}]


def test_plots_are_drawn(tmp_path):
    idle = {"session": 1, "round": 1, "cell": "idle", "connections": 1000, "server": "nginx", "idle_mib": 0.5, "rss_mib": 9}
    for found in ([row("domicile", 10), row("nginx", 5), row("domicile", 7, cell="put-16m"), idle], [idle]):
        for path in plot.draw(found, str(tmp_path)):
            assert os.path.getsize(path) > 1000


def s3(out, *more):
    return subprocess.run([f"{ROOT}/bench/s3", "--out", out, *more], capture_output=True, text=True, check=False)


def test_rows_of_other_settings_are_not_mixed_in(tmp_path):
    rows.append(str(tmp_path / "rows.jsonl"), {"settings": {"seconds": 77}})
    done = s3(str(tmp_path), "--skip", "radosgw")
    assert done.returncode == 3 and "other settings" in done.stderr


def test_report_prints_what_is_there(tmp_path):
    path = str(tmp_path / "rows.jsonl")
    assert s3(str(tmp_path), "--report").returncode == 3
    rows.append(path, {"settings": SETTINGS})
    rows.append(path, row("domicile", 10))
    done = s3(str(tmp_path), "--report")
    assert done.returncode == 0 and "| GET 4 KiB | 32 | domicile |" in done.stdout
    assert [json.loads(line) for line in open(path, encoding="utf-8")][1]["rps"] == 10


@pytest.mark.parametrize("wrong", [("--cells", "none"), ("--rounds", "0"), ("--skip", "domicile"), ("--nothing",)])
def test_wrong_options_are_usage_errors(tmp_path, wrong):
    assert s3(str(tmp_path), *wrong).returncode == 2


def foreground():
    spec = importlib.util.spec_from_loader("foreground", importlib.machinery.SourceFileLoader(
        "foreground", os.path.join(ROOT, "bench", "foreground")))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def phase(round_number, what, p99, op="get"):
    return {"round": round_number, "what": what, "op": op, "p50_us": 1.0, "p99_us": p99, "rps": 10.0, "moved_per_s": 3.0}


@pytest.mark.parametrize("slow,verdict", [(400, "reached"), (401, "not reached")])
def test_foreground_is_judged_by_the_rounds_ratios(slow, verdict):
    found = [phase(1, "paused", 100), phase(1, "moving", 900), phase(2, "moving", slow), phase(2, "paused", 200),
             phase(3, "paused", 50), phase(3, "moving", 50), phase(4, "moving", 5)]
    line = line_of(foreground().table(found), "| GET 4 KiB")
    assert line[6] == f"{slow / 200:.2f}" and line[7] == f"2.0: {verdict}"  # of 9, 2 and 1; a half round counts for nothing
