"""Fixtures. One dev daemon serves most tests; each test has buckets of its own."""
import itertools
import pathlib
import re
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True  # the clone stays clean

from kit import daemon, env, raw, tools, tree  # noqa: E402

env.clean()
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def workspace():
    """A folder outside the clone, removed at the end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="domicile-clients-"))
    assert env.ROOT not in path.resolve().parents
    yield path
    for each in daemon.LIVE:
        each.kill()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder(workspace, request):
    path = workspace / f"{next(NUMBERS)}-{re.sub('[^a-z0-9]+', '-', request.node.name.lower())[:40]}"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def server(workspace):
    path = workspace / "server"
    path.mkdir()
    # The second name resolves here without a name server; the first is a Host that tests send themselves.
    dev = daemon.Daemon.dev(path, extra=["--domain", "s3.example.test", "--domain", "localhost"]).start()
    yield dev
    dev.kill()


@pytest.fixture
def own(folder):
    """A daemon for one test, to be stopped and started again."""
    dev = daemon.Daemon.dev(folder)
    yield dev
    dev.kill()


@pytest.fixture(scope="session")
def s3(server):
    return tools.boto(server, daemon.ALICE)


@pytest.fixture(scope="session")
def bob(server):
    return tools.boto(server, daemon.BOB)


@pytest.fixture
def http(server):
    with raw.S3(server, daemon.ALICE) as client:
        yield client


@pytest.fixture
def bucket(s3):
    name = f"bucket-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def odd_tree(workspace):
    return tree.make(workspace / "tree")


@pytest.fixture(scope="session")
def large_file(workspace):
    path = workspace / "large"
    path.mkdir()
    tree.make_large(path / "seventy mebibytes.bin")
    return path / "seventy mebibytes.bin"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    item.log_starts = {each: each.log_size() for each in daemon.LIVE}
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for each in daemon.LIVE:
            text = each.log(item.log_starts.get(each, 0))
            if text:
                report.sections.append((f"log of {each.name} in {each.folder.name}", text))
