"""Regions as real processes on 127.0.0.1, for tests in Python: started, killed, started again.

Every process started here is ended by its id, whatever becomes of the test; folders lie under one
temporary folder that goes at the end (kept with --keep or when KEEP is set in the environment).
"""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_S_MAX = 60  # recovery of the small folders of tests on a loaded machine
LOG_TAIL_LINES = 40
# Below the range that Linux hands to clients (32768 up): a client that tries a dead region's port from
# that range may be handed the very same port and connect to itself.
PORT_MIN, PORT_MAX = 20000, 32000

CLEAN_ENV = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "NO_PROXY": "*",
    "no_proxy": "*",
}


def environment(home, **more):
    """What a child sees: no proxies, no profiles, no certificates of the user; sanitizers' options stay."""
    env = dict(CLEAN_ENV, HOME=home, **more)
    for name, value in os.environ.items():
        if name.endswith("SAN_OPTIONS") or name in ("TMPDIR", "LSAN_OPTIONS"):
            env[name] = value
    return env


def free_port():
    """A port of 127.0.0.1 that nothing listens on now."""
    for _ in range(1000):
        port = random.randrange(PORT_MIN, PORT_MAX)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Failure(Exception):
    """What a test found; the message is for people."""


class Process:
    """One daemon: a command line, a log, and the process that runs it now (if any)."""

    def __init__(self, name, command, log, env):
        self.name, self.command, self.log, self.env = name, command, log, env
        self.process = None

    def launch(self, *more):
        """Starts it and returns at once."""
        assert self.process is None
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command + list(more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.env,
            )

    def wait_ready(self):
        """Until it says that it listens. The line comes after recovery: nothing listens before."""
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            if line.startswith(b"listening on "):
                return
            if not line:
                status = self.reap()
                raise Failure(f"{self.name} ended with status {status} at its start\n{self.tail()}")
        raise Failure(f"{self.name} is not ready after {START_S_MAX} s\n{self.tail()}")

    def start(self, *more):
        self.launch(*more)
        self.wait_ready()

    def reap(self):
        status = self.process.wait()
        self.process.stdout.close()
        self.process = None
        return status

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, as by power."""
        self.process.send_signal(signal.SIGKILL)
        return self.reap()

    def stop(self):
        """An orderly end; its status."""
        self.process.terminate()
        return self.reap()

    def wait_dead(self, seconds):
        """True when it ended by itself within the time (a fault point does that)."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self.reap()
        return True

    def tail(self):
        with open(self.log, "rb") as log:
            lines = log.read().decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"--- last lines of {self.log}"] + lines)


class Folder:
    """A temporary folder with the processes that work in it; use as a context."""

    def __init__(self, name, keep=False):
        self.path = tempfile.mkdtemp(prefix=f"domicile-{name}-")
        self.keep = keep or bool(os.environ.get("KEEP"))
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in self.processes:
            if process.process is not None:
                process.kill()
        if kind is not None:
            for process in self.processes:
                if os.path.exists(process.log):
                    print(process.tail(), file=sys.stderr)
        if self.keep:
            print(f"kept: {self.path}", file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def file(self, *names):
        return os.path.join(self.path, *names)

    def process(self, name, command, env=None):
        made = Process(name, command, self.file(name + ".log"), env or environment(self.path))
        self.processes.append(made)
        return made


def run(command, env, why, ok=(0,), timeout=300):
    """A command to its end; its output. A status that is not in ok is a Failure."""
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout
    )
    if done.returncode not in ok:
        text = (done.stdout + done.stderr).decode("utf-8", "replace")[-4000:]
        raise Failure(f"{why}: {os.path.basename(command[0])} {command[1]} ended with {done.returncode}\n{text}")
    return done.stdout.decode("utf-8", "replace")


def curl(key, *arguments, ok=("200", "204")):
    """A request signed by curl itself, which knows nothing of this project; its body as text."""
    command = ["curl", "-q", "-sS", "--noproxy", "*", "--max-time", "60", "--path-as-is", "--aws-sigv4",
               "aws:amz:us-east-1:s3", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-K", "-",
               "-w", "\n%{http_code}", *arguments]
    done = subprocess.run(command, input=f'user = "{key}"\n'.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment("/nonexistent"))
    body, _, status = done.stdout.decode("utf-8", "replace").rpartition("\n")
    if status not in ok:
        raise Failure(f"curl {arguments[-1]}: status {status}\n{body}{done.stderr.decode()}")
    return body
