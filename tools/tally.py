#!/usr/bin/python3
"""Counts cmocka's cases in a Meson test log (testlog.json, one JSON object a line).

Prints "FAILED name" for each test program or case that failed, then "passed N" and "failed N"; on
standard error, the end of what each failed program printed.
A program that ended badly without naming a failed case counts as one failure."""
import json
import re
import sys

SHOWN_LINES = 40  # of a failed program's output: its last case and what led to it
PASSED = re.compile(r"\[  PASSED  \] (\d+) test\(s\)")
FAILED = re.compile(r"\[  FAILED  \] (\d+) test\(s\)")
NAMED = re.compile(r"\[  FAILED  \] (\w+)$", re.M)


def main(path):
    passed = failed = programs = 0
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            test = json.loads(line)
            programs += 1
            text = test.get("stdout", "") + test.get("stderr", "")
            good = sum(int(n) for n in PASSED.findall(text))
            bad = sum(int(n) for n in FAILED.findall(text))
            if test["result"] not in ("OK", "SKIP"):
                bad = max(bad, 1)
                print("FAILED", test["name"], *sorted(set(NAMED.findall(text))))
                print(test["name"], *text.splitlines()[-SHOWN_LINES:], sep="\n  ", file=sys.stderr)
            elif good == 0:
                good = 1  # a program that is not cmocka's: its exit status is the test
            passed += good
            failed += bad
    if programs == 0:
        sys.exit("no test ran")
    print("passed", passed)
    print("failed", failed)


main(sys.argv[1])
