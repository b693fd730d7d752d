"""What bench/move makes of its rows: ratios within a round only, goals, held writers."""
import importlib.machinery
import importlib.util
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LOADER = importlib.machinery.SourceFileLoader("bench_move", os.path.join(ROOT, "bench", "move"))
MOVE = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_move", LOADER))
LOADER.exec_module(MOVE)


def row(what, per_s, round_number=1, cell="16 KiB"):
    return {"round": round_number, "cell": cell, "what": what, "per_s": per_s, "mb_s": per_s / 10}


def line_of(markdown, start):
    return next([part.strip() for part in line.split("|")] for line in markdown.splitlines() if line.startswith(start))


def test_ratio_is_the_median_of_the_rounds_ratios():
    found = [row("move", 100, 1), row("cp -r, synced", 50, 1), row("move", 10, 2), row("cp -r, synced", 40, 2),
             row("move", 90, 3), row("cp -r, synced", 30, 3)]
    assert line_of(MOVE.table(found), "| 16 KiB | cp -r")[5] == "2.00"  # of 2, 0.25 and 3; not 90 / 40


def test_rounds_are_not_mixed():
    assert line_of(MOVE.table([row("move", 100, 1), row("cp -r, synced", 50, 2)]), "| 16 KiB | cp -r")[5] == ""


@pytest.mark.parametrize("ours,verdict", [(499, "5.0: not reached"), (500, "5.0: reached")])
def test_goals_are_judged(ours, verdict):
    found = [row("move", ours), row("rclone, 16 transfers", 100)]
    assert line_of(MOVE.table(found), "| 16 KiB | rclone, 16")[6] == verdict


@pytest.mark.parametrize("worst,verdict", [(49, "49 ms (goal 50: reached)"), (50, "50 ms (goal 50: not reached)")])
def test_writers_held(worst, verdict):
    assert verdict in MOVE.table([row("move", 1), {"held_ms": [3] * 20 + [worst]}])
