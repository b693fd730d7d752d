"""Processes that a bench starts: each known by its pid, ended by it on every way out.

A child gets SIGTERM from the kernel when the bench itself dies, however that happens."""
import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
STOP_S = 20  # a daemon that has not ended after this is killed
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something the bench needs did not happen; the text is for people."""


def _in_child():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setsid()  # Ctrl-C is the bench's to handle


class Procs:
    def __init__(self):
        self.children = []

    def start(self, argv, out, **more):
        """Starts a daemon in the foreground; its output goes to the file `out`."""
        with open(out, "ab") as log:
            child = subprocess.Popen(argv, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=log, stderr=log,
                                     preexec_fn=_in_child, **more)
        child.log = out
        self.children.append(child)
        return child

    def stop(self, child):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child in self.children:
            self.children.remove(child)

    def stop_all(self):
        """Newest first, so that clients end before what they speak to."""
        for child in reversed(list(self.children)):
            self.stop(child)


def run(argv, timeout=120, **more):
    """A command that ends by itself; its output. Failed with its complaint."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, **more)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{argv[0]} did not end within {timeout} s") from late
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv[:3]))} …: {done.stderr.strip()[-600:] or done.returncode}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, child, seconds=60):
    """Until somebody listens there; Failed when the child ends first."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if child.poll() is not None:
            raise Failed(f"{child.args[0]} ended at its start:\n{tail(child.log)}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failed(f"{child.args[0]} does not listen after {seconds} s:\n{tail(child.log)}")


def tail(path, count=2000):
    with open(path, errors="replace", encoding="utf-8") as f:
        return f.read()[-count:]


def with_children(pid):
    """The process and its direct children (nginx's workers)."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [pid] + [int(child) for child in f.read().split()]


def cpu_s(pids):
    """User and system time of all threads, ended ones too."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK_S


def rss_mib(pids):
    """Resident memory; pages that several processes share count for each."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
    return total / 1024
