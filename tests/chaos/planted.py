#!/usr/bin/env python3
"""Whole programs with a planted bug must be caught by a short chaos run; the program as it is must pass.

Tells how often each was caught. Fails when one was never caught in all rounds, or the sound program was.
"""
import argparse
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Those that a few seconds of chaos find; ninja builds them when they are asked for.
PLANTS = ("fence-left-out", "guards-ignored", "replay-forgets")
ROUND_S_MAX = 900  # of a short run on a loaded machine


def round_of(args, program, seed):
    """(caught, the last words)."""
    done = subprocess.run(
        [sys.executable, "-B", os.path.join(HERE, "run.py"), "--build", args.build, "--program", program,
         "--minutes", str(args.minutes), "--subjects", "60", "--seed", str(seed)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=ROUND_S_MAX, check=False)
    words = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if re.match("ok|FAILED", line)]
    return done.returncode != 0, words[-1][:200] if words else "no verdict"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="build folder")
    parser.add_argument("--rounds", type=int, default=3, help="of each program (3)")
    parser.add_argument("--minutes", type=float, default=0.5, help="of faults in a round (0.5)")
    parser.add_argument("--plant", action="append", help="only this one; any of tests/crash/planted/meson.build")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    args = parser.parse_args()
    plants = args.plant or PLANTS
    programs = [f"tests/crash/planted/domicile-{name}" for name in plants]
    subprocess.run(["ninja", "-C", args.build, "domicile", "tests/crash/handoffs", *programs], check=True,
                   stdout=subprocess.DEVNULL)
    bad = 0
    for program in ("domicile", *programs):
        rounds = [round_of(args, program, args.seed + number) for number in range(args.rounds)]
        caught = sum(found for found, _ in rounds)
        for number, (_, words) in enumerate(rounds):
            print(f"  {os.path.basename(program)} seed {args.seed + number}: {words}", flush=True)
        wrong = caught if program == "domicile" else caught == 0
        bad += bool(wrong)
        print(f"{'FAILED' if wrong else 'ok'} {os.path.basename(program)}: caught in {caught} of {args.rounds} rounds",
              flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
