"""npm's clients as they are today: @aws-sdk/client-s3, lib-storage, the presigner; minio. The scenarios lie in node/."""
import pytest

from kit import daemon, node, tools
from test_tls import Secure

OTHER = {"DOM_OTHER_ACCESS": daemon.BOB.access, "DOM_OTHER_SECRET": daemon.BOB.secret}


@pytest.fixture(scope="module")
def installed():
    return node.installed()


def test_lock_names_no_registry():
    """The lock says what and which bytes, not where from: everybody's npm asks its own registry."""
    lock = (node.SOURCE / "package-lock.json").read_text()
    assert '"resolved"' not in lock and lock.count('"integrity"') > 50


SCENARIOS = ["sdk_objects", "sdk_multipart", "sdk_presigned", "sdk_buckets", "sdk_tags_locks", "minio", "minio_buckets"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_plain(installed, server, bucket, folder, scenario):
    node.run(installed, f"{scenario}.mjs", folder / "home", server.url, daemon.ALICE, bucket, **OTHER)


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    made = Secure(tmp_path_factory.mktemp("tls-node"))
    yield made
    made.daemon.kill()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_tls(installed, secure, folder, scenario):
    bucket = scenario.replace("_", "-")
    tools.boto(secure.daemon, daemon.ALICE, verify=secure.ca.chain_file).create_bucket(Bucket=bucket)
    url = f"https://{secure.daemon.host}:{secure.daemon.port}"
    node.run(installed, f"{scenario}.mjs", folder / "home", url, daemon.ALICE, bucket,
             NODE_EXTRA_CA_CERTS=str(secure.ca.chain_file), **OTHER)


def test_failures_are_seen(installed, server, bucket, folder):
    """The same scenarios with a wrong key."""
    wrong = daemon.Key(daemon.ALICE.access, "wrong", "alice")
    with pytest.raises(AssertionError, match="SignatureDoesNotMatch"):
        node.run(installed, "sdk_multipart.mjs", folder / "home", server.url, wrong, bucket)
