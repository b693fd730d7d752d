"""npm's clients: installed once into the build folder from the lock file, run by the Node that the lock names.

Registries, proxies and certificates for npm are the user's own settings: the environment that kit.env removes
for everything else is given back to npm alone."""
import fcntl
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

from . import env

SOURCE = env.ROOT / "tests" / "clients" / "node"
INSTALL_S = 300
RUN_S = 240
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64"}


class Missing(Exception):
    """npm's clients cannot be had."""


def _npm(folder):
    if shutil.which("npm", path=env.ORIGINAL.get("PATH")) is None:
        raise Missing("there is no npm: apt-get install npm")
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--loglevel=error"], cwd=folder, env=env.ORIGINAL,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm ci did not end within {INSTALL_S} s; is the registry reachable?") from None
    if done.returncode != 0:
        text = done.stdout.decode("utf-8", "replace")[-1500:]
        raise Missing(f"npm ci failed; is the registry reachable?\n{text}")


def install():
    """The folder with the clients and the scenarios. What an earlier run installed is used again, without a
    network, while package.json and the lock are the same."""
    folder = pathlib.Path(env.BINARY).resolve().parent / "clients-node"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [SOURCE / name for name in ("package.json", "package-lock.json", ".npmrc")]
    mark = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()
    stamp = folder / "installed"
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != mark:
            stamp.unlink(missing_ok=True)
            for path in wanted:
                shutil.copy(path, folder)
            _npm(folder)
            stamp.write_text(mark)
        for path in SOURCE.glob("*.mjs"):
            shutil.copy(path, folder)
    return folder


def program(folder):
    """Node itself comes from npm: Debian's is too old for today's SDK."""
    path = folder / "node_modules" / f"node-linux-{ARCHITECTURE.get(platform.machine())}" / "bin" / "node"
    if not path.exists():
        raise Missing(f"npm has no Node for {platform.machine()}")
    return path


def installed():
    """For fixtures: the folder; or the tests fail, unless the caller of the run said to do without."""
    if "node" in env.WITHOUT:
        pytest.skip("left out: npm's clients, by DOMICILE_CLIENTS_WITHOUT=node")
    try:
        folder = install()
        program(folder)
        return folder
    except Missing as missing:
        pytest.fail(f"npm's clients are needed and not there: {missing}\n"
                    "DOMICILE_CLIENTS_WITHOUT=node leaves them out.", pytrace=False)


def run(folder, scenario, home, url, key, bucket, prefix="", **more):
    """Runs one file of scenarios; the test fails with Node's own report. At least one has to have run, and none
    may have been skipped."""
    home.mkdir(parents=True, exist_ok=True)
    given = env.of(home, DOM_ENDPOINT=url, DOM_ACCESS=key.access, DOM_SECRET=key.secret, DOM_BUCKET=bucket,
                   DOM_PREFIX=prefix, **more)
    done = subprocess.run([program(folder), "--test-reporter=spec", "--test-timeout=120000", "--test-force-exit", folder / scenario],
                          cwd=home, env=given, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=RUN_S, check=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode("utf-8", "replace"))
    counts = dict(re.findall(r"^ℹ (pass|fail|cancelled|skipped|todo) (\d+)$", text, re.M))
    assert done.returncode == 0 and int(counts.get("pass", 0)) > 0, text[-12000:]
    assert [counts.get(name) for name in ("fail", "cancelled", "skipped", "todo")] == ["0"] * 4, text[-3000:]
    return text
