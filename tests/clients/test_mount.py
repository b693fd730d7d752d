"""s3fs: a bucket as a folder. Changing a file's mode or name is a copy, mostly onto itself."""
import errno
import hashlib
import os
import pathlib
import subprocess

import pytest

from kit import daemon, env, tree


def why_not():
    """What this machine lacks for a mount, or nothing."""
    if not pathlib.Path("/dev/fuse").exists():
        return "no /dev/fuse"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse does not open: {error.strerror}"
    return None


class Mount:
    """One s3fs in the foreground, without caches that would hide what the server says."""

    def __init__(self, folder, server, key, bucket):
        self.at, self.log_path = folder / "mount", folder / "s3fs.log"
        self.at.mkdir(exist_ok=True)
        password = folder / "password"
        password.write_text(f"{key.access}:{key.secret}\n")
        password.chmod(0o600)
        options = (f"url={server.url},use_path_request_style,sigv4,endpoint=test-1,passwd_file={password},"
                   f"multipart_size=10,singlepart_copy_limit=20,max_stat_cache_size=0,retries=1,tmpdir={folder}")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["s3fs", bucket, self.at, "-f", "-o", options], cwd=folder,
                                            env=env.of(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        daemon.until(lambda: self.process.poll() is not None or os.path.ismount(self.at), "s3fs has mounted")
        assert self.process.poll() is None, self.log()
        return self.at

    def __exit__(self, *_):
        subprocess.run(["fusermount", "-u", "-z", self.at], check=False, env=env.of(self.at.parent))
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("s3fs did not end") from None

    def log(self):
        return self.log_path.read_text(errors="replace")[-3000:]


@pytest.fixture
def mounted(server, bucket, folder):
    lacking = why_not()
    if lacking:
        pytest.skip(f"left out: {lacking}")
    mount = Mount(folder, server, daemon.ALICE, bucket)
    with mount as at:
        yield at
    mount.log_path.unlink()


def body(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_files(mounted, s3, bucket):
    at, data = mounted, os.urandom(100000)
    (at / "folder").mkdir()
    (at / "folder" / "file ü+%.bin").write_bytes(data)
    assert body(s3, bucket, "folder/file ü+%.bin") == data
    with open(at / "folder" / "file ü+%.bin", "ab") as out:
        out.write(b"more")
    assert body(s3, bucket, "folder/file ü+%.bin") == data + b"more"
    with open(at / "folder" / "file ü+%.bin", "r+b") as out:
        out.truncate(500)  # by name, without opening it, s3fs 1.90 sends zeros and asks for no bytes before
    assert body(s3, bucket, "folder/file ü+%.bin") == data[:500]
    with open(at / "folder" / "file ü+%.bin", "r+b") as out:
        out.seek(100)
        out.write(b"within")
    assert body(s3, bucket, "folder/file ü+%.bin") == data[:100] + b"within" + data[106:500]
    os.rename(at / "folder" / "file ü+%.bin", at / "renamed")
    assert body(s3, bucket, "renamed") == data[:100] + b"within" + data[106:500]
    assert os.listdir(at / "folder") == []
    with pytest.raises(OSError) as failure:
        os.rmdir(at / "nothing")
    assert failure.value.errno == errno.ENOENT
    s3.put_object(Bucket=bucket, Key="from elsewhere/deep/key", Body=b"seen")
    assert (at / "from elsewhere" / "deep" / "key").read_bytes() == b"seen"
    assert sorted(os.listdir(at)) == ["folder", "from elsewhere", "renamed"]
    os.rmdir(at / "folder")
    os.unlink(at / "renamed")
    left = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert left == ["from elsewhere/deep/key"]


def test_modes_and_times_are_copies_onto_itself(mounted, s3, bucket):
    path, data = mounted / "file", os.urandom(5000)
    path.write_bytes(data)
    path.chmod(0o640)
    os.utime(path, (1000000000, 1000000001))
    os.symlink("file", mounted / "link")
    seen = path.stat()
    assert (seen.st_mode & 0o777, int(seen.st_mtime), seen.st_size) == (0o640, 1000000001, 5000)
    head = s3.head_object(Bucket=bucket, Key="file")
    assert int(head["Metadata"]["mode"]) & 0o777 == 0o640 and head["Metadata"]["mtime"].startswith("1000000001")
    assert path.read_bytes() == data and os.readlink(mounted / "link") == "file"
    assert (mounted / "link").read_bytes() == data


def test_large_file_in_parts(mounted, s3, bucket):
    path = mounted / "large.bin"
    tree.make_large(path, seed=21, size=33 << 20)
    assert s3.head_object(Bucket=bucket, Key="large.bin")["ETag"].endswith('-3"')
    path.chmod(0o600)  # over the limit for one copy: a copy of parts
    with open(path, "r+b") as out:
        out.seek(15 << 20)
        out.write(b"changed within")  # parts that did not change are copied
    os.rename(path, mounted / "moved.bin")
    want = bytearray(tree.make_large(mounted.parent / "same.bin", seed=21, size=33 << 20).read_bytes())
    want[15 << 20:(15 << 20) + 14] = b"changed within"
    assert hashlib.sha256(body(s3, bucket, "moved.bin")).digest() == hashlib.sha256(want).digest()
    assert (mounted / "moved.bin").stat().st_mode & 0o777 == 0o600
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_tree(mounted, s3, bucket):
    want = tree.read(tree.make(mounted / "tree", seed=22, count=40))
    assert tree.read(mounted / "tree") == want
    listed = {each["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="tree/")
              for each in page["Contents"] if not each["Key"].endswith("/")}
    assert listed == {f"tree/{name}" for name in want}
