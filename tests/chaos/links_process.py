"""The process of links.py, for those who command it."""
import os
import subprocess
import sys

from lib.regions import CLEAN_ENV, Failure

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "links.py")


class Links:
    """fronts: (number of a region, port that others call, port where it really listens)."""

    def __init__(self, fronts):
        self.process = subprocess.Popen(
            [sys.executable, "-B", PROGRAM, *[f"{number}={port}:{real}" for number, port, real in fronts]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CLEAN_ENV)
        self.answer(b"listening")

    def answer(self, word):
        if not self.process.stdout.readline().startswith(word):
            raise Failure(f"the links ended with {self.process.wait()}")

    def tell(self, *words):
        """In force when it returns."""
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()
        self.answer(b"done")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
