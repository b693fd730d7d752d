"""docker-registry: images in a bucket. It appends by copying parts, and lists uploads and parts to go on."""
import hashlib
import json
import os
import re
import subprocess
import tarfile
import urllib.request

import pytest

from kit import daemon, env

BLOB = 23 << 20  # more than two of its parts


class Registry:
    def __init__(self, folder, server, key, bucket):
        self.folder, self.log_path = folder, folder / "registry.log"
        config = folder / "config.yml"
        config.write_text(json.dumps({
            "version": 0.1, "log": {"level": "warn"}, "http": {"addr": "127.0.0.1:0", "secret": "s" * 32},
            "storage": {"delete": {"enabled": True}, "redirect": {"disable": True}, "s3": {
                "accesskey": key.access, "secretkey": key.secret, "region": "test-1", "regionendpoint": server.url,
                "bucket": bucket, "secure": False, "v4auth": True, "chunksize": 5 << 20, "rootdirectory": "/images",
                "multipartcopychunksize": 5 << 20, "multipartcopythresholdsize": 6 << 20}}}))
        self.process, self.url = None, None
        self.start(config)

    def start(self, config):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder, env=env.of(self.folder, OTEL_SDK_DISABLED="true"))
        port = daemon.until(self._port, "docker-registry listens")
        self.url = f"http://127.0.0.1:{port}"

    def _port(self):
        """It says where it listens only at a level of log that it has not: the kernel knows."""
        assert self.process.poll() is None, self.log()
        inodes = set()
        for each in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                inodes.add(os.readlink(f"/proc/{self.process.pid}/fd/{each}"))
            except FileNotFoundError:
                continue
        with open(f"/proc/{self.process.pid}/net/tcp", encoding="ascii") as table:
            for line in list(table)[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    return int(fields[1].split(":")[1], 16)
        return None

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def log(self):
        return self.log_path.read_text(errors="replace")[-3000:]

    def ask(self, method, path, data=None, **headers):
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, data, {n.replace("_", "-"): v for n, v in headers.items()}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


@pytest.fixture
def registry(server, bucket, folder):
    made = Registry(folder, server, daemon.ALICE, bucket)
    yield made
    made.stop()


def test_blob_in_pieces(registry, s3, bucket):
    """Each PATCH begins at what was stored before: the registry finds its upload by listing, and goes on."""
    data = os.urandom(BLOB)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    status, headers, _ = registry.ask("POST", "/v2/pieces/blobs/uploads/", b"")
    assert status == 202
    sizes, at = [100, 3 << 20, 7 << 20, 5 << 20], 0
    for size in [*sizes, BLOB - sum(sizes)]:
        piece = data[at:at + size]
        status, headers, told = registry.ask("PATCH", headers["Location"], piece, Content_Type="application/octet-stream",
                                             Content_Range=f"{at}-{at + size - 1}")
        assert status == 202, (told, registry.log())
        at += size
    status, _, told = registry.ask("PUT", headers["Location"] + f"&digest={digest}", b"")
    assert status == 201, (told, registry.log())
    status, _, got = registry.ask("GET", f"/v2/pieces/blobs/{digest}")
    assert status == 200 and hashlib.sha256(got).hexdigest() == digest[7:]
    status, _, got = registry.ask("GET", f"/v2/pieces/blobs/{digest}", Range="bytes=5000000-5000099")
    assert got[:100] == data[5000000:5000100]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    stored = [each for each in s3.list_objects_v2(Bucket=bucket)["Contents"] if each["Key"].endswith("/data")]
    assert [each["Size"] for each in stored if digest[7:] in each["Key"]] == [BLOB]


def test_image(registry, s3, bucket, folder):
    """skopeo brings an image there and back."""
    image = folder / "image"
    (image / "blobs" / "sha256").mkdir(parents=True)

    def blob(data):
        name = hashlib.sha256(data).hexdigest()
        (image / "blobs" / "sha256" / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}
    (folder / "file").write_bytes(os.urandom(11 << 20))
    with tarfile.open(folder / "layer.tar", "w") as tar:
        tar.add(folder / "file", "file")
    layer = (folder / "layer.tar").read_bytes()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
    kind = "application/vnd.oci.image"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
                           "config": {"mediaType": f"{kind}.config.v1+json", **blob(config)},
                           "layers": [{"mediaType": f"{kind}.layer.v1.tar", **blob(layer)}]}).encode()
    (image / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (image / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": f"{kind}.manifest.v1+json", **blob(manifest)}]}))
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def skopeo(*arguments):
        done = subprocess.run(["skopeo", "--policy", folder / "policy.json", "--tmpdir", folder, *arguments], cwd=folder,
                              env=env.of(folder, XDG_RUNTIME_DIR=str(folder)), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120, check=False)
        assert done.returncode == 0, done.stdout.decode()[-2000:] + registry.log()
    there = re.sub("^http://", "docker://", registry.url) + "/people/image:latest"
    skopeo("copy", "--dest-tls-verify=false", "--preserve-digests", f"oci:{image}", there)
    assert json.loads(registry.ask("GET", "/v2/people/image/tags/list")[2])["tags"] == ["latest"]
    skopeo("copy", "--src-tls-verify=false", "--preserve-digests", there, f"oci:{folder / 'back'}")
    names = sorted(each.name for each in (image / "blobs" / "sha256").iterdir())
    for name in names:
        assert (folder / "back" / "blobs" / "sha256" / name).read_bytes() == (image / "blobs" / "sha256" / name).read_bytes()
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    assert registry.ask("DELETE", f"/v2/people/image/manifests/{digest}")[0] == 202
    assert registry.ask("GET", "/v2/people/image/manifests/latest")[0] == 404
