"""One `domicile serve` process: started on a free port, stopped by its pid, its logs kept."""
import os
import re
import select
import signal
import subprocess
import time

from . import env

LIVE = []  # every daemon of this run, for the logs of failed tests
START_S = 60  # a bound, not an expectation


class Key:
    def __init__(self, access, secret, account):
        self.access, self.secret, self.account = access, secret, account

    def flag(self):
        return f"{self.access}:{self.secret}:{self.account}"


ALICE = Key("ALICEKEY", "alice-secret-of-some-length", "alice")
ALICE2 = Key("ALICEKEY2", "alice-other-secret+/=", "alice")
BOB = Key("BOBKEY", "bob-secret-of-some-length", "bob")
KEYS = (ALICE, ALICE2, BOB)


class Daemon:
    """`arguments` follow `domicile serve`. The log is appended to over restarts."""

    def __init__(self, folder, arguments, name="dev"):
        self.folder, self.arguments, self.name = folder, [str(a) for a in arguments], name
        self.log_path = folder / f"{name}.log"
        self.process, self.host, self.port, self.ports = None, None, None, []
        self.scheme, self.tls = "http", None  # of the first listener; a context for kit.raw
        LIVE.append(self)

    @classmethod
    def dev(cls, folder, keys=KEYS, extra=(), region="in"):
        arguments = ["--dev", "--region", region, "--listen", "127.0.0.1:0", "--data", folder / "data", *extra]
        for key in keys:
            arguments += ["--key", key.flag()]
        return cls(folder, arguments)

    def start(self, wrapper=()):
        assert self.process is None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*wrapper, env.BINARY, "serve", *self.arguments],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, bufsize=0,
                                            cwd=self.folder, env=env.of(self.folder), start_new_session=True)
        count = max(1, self.arguments.count("--listen"))
        self.ports = [self._port(self._line()) for _ in range(count)]
        self.host, self.port = "127.0.0.1", self.ports[0]
        return self

    def _line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline().decode() if ready else ""
        if not line:
            self.kill()
            raise AssertionError(f"{self.name} did not start:\n{self.log()}")
        return line

    @staticmethod
    def _port(line):
        found = re.fullmatch(r"listening on https?://(.+):(\d+)\n", line)
        assert found, line
        return int(found.group(2))

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    def stop(self, how=signal.SIGTERM, wait_s=40):
        """Ends the daemon; returns its exit status as subprocess gives it."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(how)
        try:
            status = process.wait(wait_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"{self.name} did not end within {wait_s} s\n{self.log()}") from None
        process.stdout.close()
        return status

    def kill(self):
        if self.process is not None:
            self.stop(signal.SIGKILL)

    def log(self, start=0, limit=8000):
        try:
            with open(self.log_path, "rb") as log:
                log.seek(start)
                return log.read()[-limit:].decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def log_size(self):
        try:
            return self.log_path.stat().st_size
        except FileNotFoundError:
            return 0


def run(arguments, home, timeout=60, **more):
    """Runs the program's command line to its end: (status, stdout, stderr)."""
    done = subprocess.run([env.BINARY, *[str(a) for a in arguments]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home, env=env.of(home, **more),
                          timeout=timeout, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def until(condition, what, limit_s=30):
    """Asks again until it is so. For states that a daemon reaches by itself."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        time.sleep(0.02)
