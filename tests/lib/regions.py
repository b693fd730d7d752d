"""Regions as real processes on 127.0.0.1, for tests in Python: started, killed, started again.

Every process started here is ended by its id, whatever becomes of the test; folders lie under one
temporary folder that goes at the end (kept with --keep or when KEEP is set in the environment).
"""
import json
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


GIVEN = set()  # ports that somebody here means to listen on soon


def free_port():
    """A port of 127.0.0.1 that nothing listens on now, and that was not given out before."""
    for _ in range(1000):
        port = random.randrange(PORT_MIN, PORT_MAX)
        if port in GIVEN:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            GIVEN.add(port)
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


# ---- several regions under one charter -----------------------------------------------------------

NUMBERS = {"cn": 1, "sg": 2, "us": 3, "in": 4}
DOMAIN, DEPLOYMENT = "regions.test", "t"
TENANT, ACCESS = "phones-inc", "WORLDKEY:world-secret-0123456789"
STRANGER = "STRANGERKEY:stranger-secret-0123456789"  # of another account
OPERATOR = "WORLDOPER:operator-secret-0123456789"

RULES_OPEN = """  "*":
    home: cn
    restricted: {store: any, read: any, transit: any}
    personal: {store: any, read: any, transit: any}
"""


class World:
    """The four regions in one folder: keys, charter, settings, daemons, and the program's own commands.

    Everything secret lies below keys/, the regions' folders below data/. The registrar is `in`."""

    def __init__(self, folder, build, rules=RULES_OPEN, names=("cn", "sg", "us", "in"), program="domicile"):
        self.folder, self.names = folder, names
        self.program = os.path.join(build, program)
        self.load = os.path.join(build, "domicile-load")
        self.env = environment(folder.path, DOMICILE_LOAD_KEY=ACCESS)
        self.port = {name: free_port() for name in names}
        self.region = {}
        self._keys()
        self.charter(1, rules)
        for name in names:
            self._region(name)

    def url(self, name):
        return f"http://127.0.0.1:{self.port[name]}"

    def listen(self, name):
        """The addresses in its settings."""
        return [f"127.0.0.1:{self.port[name]}"]

    def settings(self, name):
        """More lines of its settings."""
        return ""

    def data(self, name):
        return self.folder.file("data", name)

    def key(self, *names):
        return self.folder.file("keys", *names)

    def _secret(self, text, *names):
        with open(os.open(self.key(*names), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(text + "\n")

    def _keys(self):
        self.vkey = {}
        os.makedirs(self.folder.file("data"))
        for name in self.names:
            os.makedirs(self.key(name, "kek"), 0o700)
            origin = f"{DOMAIN}/{DEPLOYMENT}/{name}"
            told = self.command("key", "generate", self.key(name, "region.seed"), "--origin", origin)
            self.vkey[name] = told.split()[-1]
        self.command("key", "generate", self.key("route.key"))
        self.command("charter", "keygen", self.key("charter"))
        self._secret(f"{ACCESS}:{TENANT}\n{STRANGER}:stranger-inc", "accounts")
        self._secret(OPERATOR, "operators")

    def charter(self, version, rules):
        """Writes and signs the charter that the regions' settings name; its file."""
        lines = [f"charter: {version}", "organization: example-phones", "registrars: [in]", "regions:"]
        for name in self.names:
            lines.append(f"  {name}: {{number: {NUMBERS[name]}, jurisdiction: {name.upper()}, "
                         f'endpoint: "{self.url(name)}", vkey: "{self.vkey[name]}"}}')
        lines += ["subjects: {unregistered: refuse}", "classes:",
                  '  restricted: {keys: ["*/contacts/**"]}', "  personal: {}", "rules:", rules]
        path = self.key(f"charter-{version}.yaml")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines))
        self.command("charter", "sign", path, "--seed", self.key("charter.seed"))
        return path

    def _region(self, name):
        path = self.key(name, "domicile.yaml")
        with open(path, "w", encoding="ascii") as file:
            file.write(
                f'data: "{self.data(name)}"\n'
                f'kek_folder: "{self.key(name, "kek")}"\n'
                f"deployment: {DEPLOYMENT}\ndomain: {DOMAIN}\n"
                f'route_key_file: "{self.key("route.key")}"\n'
                f'accounts_file: "{self.key("accounts")}"\noperators_file: "{self.key("operators")}"\n'
                f'region: {{name: {name}, number: {NUMBERS[name]}, seed_file: "{self.key(name, "region.seed")}"}}\n'
                f'charter: {{file: "{self.key("charter-1.yaml")}", '
                f'signature_file: "{self.key("charter-1.yaml.sig")}", public_key_file: "{self.key("charter.pub")}"}}\n'
                f"listen: {json.dumps(self.listen(name))}\n{self.settings(name)}"
            )
        self.region[name] = self.folder.process(name, [self.program, "serve", "--config", path], self.env)

    def start(self):
        for name in self.names:
            self.region[name].launch()
        for name in self.names:
            self.region[name].wait_ready()

    def stop(self):
        for name in self.names:
            if self.region[name].process is not None and self.region[name].stop() != 0:
                raise Failure(f"{name} did not end in order\n{self.region[name].tail()}")

    def command(self, *arguments, ok=(0,)):
        """One of the program's own commands to its end; what it printed."""
        return run([self.program, *arguments], self.env, "domicile", ok)

    def at(self, name, *arguments, ok=(0,)):
        """One that asks a region's daemon."""
        return self.command(*arguments, "--data", self.data(name), ok=ok)

    def bucket(self, name, layout="{subject}/"):
        self.at("in", "bucket", "create", name, "--layout", layout, "--owner", TENANT)

    def register(self, subject, country="IN", at="cn"):
        """The subject's token."""
        told = self.at(at, "subject", "register", subject, "--country", country, "--tenant", TENANT, "--json")
        return json.loads(told)["token"]

    def rows(self, name):
        """token -> what a region itself says of the subjects that live there or left."""
        lines = self.at(name, "subject", "list", "--limit", "1000", "--json").splitlines()
        return {row["token"]: row for row in map(json.loads, lines)}

    def homes(self, token):
        """Names of the regions that say the subject lives there, with the state."""
        found = {name: self.rows(name).get(token, {}).get("state", "moved") for name in self.names}
        return {name: state for name, state in found.items() if state != "moved"}
