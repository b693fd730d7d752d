"""What people do wrong: exit codes and words of `domicile serve` and of the program."""
import os
import shutil
import socket
import subprocess

import pytest

from kit import daemon, env, raw, tools


def serve(folder, *arguments, **more):
    return daemon.run(["serve", *arguments], folder, **more)


def dev(folder, *more, listen="127.0.0.1:0", data=None):
    return serve(folder, "--dev", "--data", data or folder / "data", "--listen", listen, "--key", "A:secret-secret", *more)


def complains(result, status, *words):
    code, out, err = result
    assert code == status, result
    last = [line for line in err.splitlines() if line.startswith("domicile")][-1:]
    assert last, err
    for word in words:
        assert word in err, (word, err)
    assert out == "" and "Assertion" not in err


USAGE = [
    ([], "--dev"), (["--dev", "--key", "A:secret-secret"], "--data"), (["--dev", "--data", "d"], "--key"), (["--nonsense"], "--nonsense"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--data", "e"], "--data"), (["--data"], "--data"),
    (["--dev", "--data", "d", "--key", "no-colon"], "ACCESS:SECRET"), (["--dev", "--data", "d", "--key", ":"], "key"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--key", "A:other-secret"], "A"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--listen", "nonsense"], "nonsense"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--listen", "127.0.0.1:99999"], "99999"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--listen", "0.0.0.0:0"], "insecure"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--workers", "0"], "workers"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--log", "loud"], "info"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--config", "f"], "--config"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "surplus"], "surplus"),
    (["--dev", "--data", "d", "--key", "A:secret-secret", "--keys", "d/keys"], "below the data folder"),
    (["--config", "f", "--key", "A:secret-secret"], "--key"),
]


@pytest.mark.parametrize("arguments,word", USAGE, ids=[str(i) for i in range(len(USAGE))])
def test_usage(folder, arguments, word):
    complains(serve(folder, *arguments), 2, word)
    assert not (folder / "data").exists()


def test_no_config_file(folder):
    complains(serve(folder, "--config", "missing.yaml"), 3, "missing.yaml")


@pytest.mark.parametrize("text,words", [
    ("dat: x\n", ["f.yaml:1", "data"]), ("data: x\ndata: y\n", ["f.yaml:2", "data"]), ("data: [x\n", ["f.yaml"]),
    ("workers: many\n", ["f.yaml:1", "workers"]), ("region:\n  nmae: x\n", ["f.yaml:2", "name"]), ("log: loud\n", ["f.yaml:1"]),
    ("", ["f.yaml"]), ("data: x\n", ["missing"])])
def test_config_mistakes_are_named(folder, text, words):
    (folder / "f.yaml").write_text(text)
    complains(serve(folder, "--config", folder / "f.yaml", "--check-config"), 2, *words)


def test_program():
    import pathlib
    home = pathlib.Path("/tmp")
    assert daemon.run([], home)[0] == 2
    assert daemon.run(["nonsense"], home)[0] == 2
    for arguments in (["--help"], ["serve", "--help"], ["verify", "--help"]):
        code, out, err = daemon.run(arguments, home)
        assert (code, err) == (0, "") and "usage" in out
    for flag in ("--config", "--dev", "--data", "--listen", "--key", "--domain"):
        assert flag in daemon.run(["serve", "--help"], home)[1]


def test_version(folder):
    code, out, _ = daemon.run(["--version"], folder)
    assert code == 0 and "domicile" in out and "OpenSSL" in out


def test_busy_port(folder, server):
    result = dev(folder, listen=f"127.0.0.1:{server.port}")
    complains(result, 3, str(server.port))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        complains(dev(folder, listen=f"127.0.0.1:{taken.getsockname()[1]}"), 3, "in use")


def test_folder_of_a_running_process(own):
    own.start()
    complains(dev(own.folder, "--region", "in"), 3, "another process")
    s3 = tools.boto(own, daemon.ALICE)
    s3.create_bucket(Bucket="still-works")


def test_folder_of_another_region(own):
    own.start()
    own.stop()
    complains(dev(own.folder, "--region", "sg"), 3)
    own.start()  # and nothing was spoilt


def test_keys_that_do_not_fit_the_folder(own):
    own.start()
    own.stop()
    shutil.move(own.folder / "data.keys", own.folder / "elsewhere")
    code, out, err = dev(own.folder, "--region", "in")
    assert code == 3 and out == "", err
    shutil.rmtree(own.folder / "data.keys", ignore_errors=True)
    shutil.move(own.folder / "elsewhere", own.folder / "data.keys")
    own.start()


def test_folders_that_cannot_be(folder):
    (folder / "file").write_text("")
    complains(dev(folder, data=folder / "file"), 3, "file")
    complains(dev(folder, data=folder / "file" / "below"), 3)
    complains(dev(folder, data="/proc/domicile"), 3, "/proc/domicile")
    (folder / "full").mkdir()
    (folder / "full" / "superblock.1").write_text("not ours")
    complains(dev(folder, data=folder / "full"), 3)


def test_secrets_open_to_others_are_refused(own):
    own.start()
    own.stop()
    os.chmod(own.folder / "data.keys" / "region.seed", 0o644)
    complains(dev(own.folder, "--region", "in"), 2, "region.seed")
    os.chmod(own.folder / "data.keys" / "region.seed", 0o600)
    own.start()


def test_nothing_is_open_to_others(own):
    own.start()
    for path, _, names in os.walk(own.folder / "data.keys"):
        for name in names:
            assert os.stat(os.path.join(path, name)).st_mode & 0o077 == 0, name
    assert os.stat(own.folder / "data" / "admin.sock").st_mode & 0o777 == 0o600


def test_unwritable_folder(folder):
    """Root without its capabilities is a user like any other."""
    (folder / "closed").mkdir(mode=0o500)
    drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []
    if subprocess.run([*drop, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("capabilities cannot be dropped here")
    done = subprocess.run([*drop, env.BINARY, "serve", "--dev", "--data", str(folder / "closed" / "data"), "--listen",
                           "127.0.0.1:0", "--key", "A:secret-secret"], capture_output=True, text=True, timeout=60,
                          env=env.of(folder), check=False)
    complains((done.returncode, done.stdout, done.stderr), 3, "closed", "ermission denied")


def full_disk(folder):
    """A daemon on a file system of 800 MiB of its own, in a mount name space of its own."""
    (folder / "data").mkdir()
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=800m", "none", str(folder / "data")],
                           capture_output=True, check=False, env=env.of(folder))
    if probe.returncode != 0:
        pytest.skip("a small file system cannot be mounted here: " + probe.stderr.decode().strip()[-80:])
    one = daemon.Daemon.dev(folder)
    one.start(wrapper=["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=800m none "$0" && exec "$@"', folder / "data"])
    return one


def test_full_disk(folder):
    one = full_disk(folder)
    try:
        with raw.S3(one, daemon.ALICE) as client:
            assert client.request("PUT", "/bucket").status == 200
            stored, refused = {}, 0
            for n in range(200):
                body = os.urandom(2000000 + n % 3 * 1400000)
                answer = client.put("bucket", f"k{n}", body)
                if answer.status == 200:
                    stored[f"k{n}"] = body
                else:
                    assert (answer.status, answer.code) == (507, "InsufficientStorage"), answer
                    refused += 1
                    if refused > 5:
                        break
                    assert client.put("bucket", "small", b"x" * 4096).status in (200, 507)
            assert refused > 5 and stored
            for key, body in stored.items():
                assert client.get("bucket", key).body == body
            assert client.delete("bucket", "k0").status == 204
            assert client.get("bucket", "k0").status == 404
            assert client.request("GET", "/bucket").status == 200
        assert "Assertion" not in one.log()
    finally:
        one.kill()


def test_config_from_the_environment(folder):
    """Flags win over the environment, and that over the file."""
    code, _, err = serve(folder, "--dev", "--data", folder / "data", "--listen", "127.0.0.1:0", "--key", "A:secret-secret",
                         DOMICILE_WORKERS="x")
    assert code == 2 and "DOMICILE_WORKERS" in err
