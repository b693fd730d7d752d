"""Each real client sends a tree with odd names and a 70 MiB file, brings both back, and deletes them."""
import filecmp
import os

import pytest
from boto3.s3.transfer import TransferConfig

from kit import daemon, raw, tools, tree

LARGE_KEY = "large file +%.bin"


def listed(s3, bucket, prefix=""):
    keys = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Contents", []):
            keys[each["Key"]] = each["Size"]
    return keys


def assert_complete(s3, bucket, root):
    want = {f"tree/{name}": os.path.getsize(os.path.join(root, name)) for name in tree.read(root)}
    assert listed(s3, bucket, "tree/") == want


def assert_empty(s3, bucket):
    assert listed(s3, bucket) == {}
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)


def assert_multipart(s3, bucket):
    assert "-" in s3.head_object(Bucket=bucket, Key=LARGE_KEY)["ETag"]


def test_awscli(server, s3, bucket, folder, odd_tree, large_file):
    aws = tools.Aws(folder / "home", server, daemon.ALICE)
    there, back = f"s3://{bucket}/tree", folder / "back"
    aws.run("s3", "sync", odd_tree, there, "--only-show-errors")
    assert_complete(s3, bucket, odd_tree)
    assert aws.run("s3", "sync", odd_tree, there, "--delete", "--dryrun") == ""
    aws.run("s3", "sync", there, back, "--only-show-errors")
    assert tree.read(back) == tree.read(odd_tree)
    aws.run("s3", "cp", large_file, f"s3://{bucket}/{LARGE_KEY}", "--only-show-errors")
    assert_multipart(s3, bucket)
    aws.run("s3", "cp", f"s3://{bucket}/{LARGE_KEY}", folder / "large", "--only-show-errors")
    assert filecmp.cmp(large_file, folder / "large", shallow=False)
    aws.run("s3", "rm", f"s3://{bucket}", "--recursive", "--only-show-errors")
    assert aws.run("s3", "ls", f"s3://{bucket}", "--recursive", check=False) == ""
    assert_empty(s3, bucket)


def test_s3cmd(server, s3, bucket, folder, odd_tree, large_file):
    s3cmd = tools.S3cmd(folder / "home", server, daemon.ALICE)
    there, back = f"s3://{bucket}/tree/", folder / "back"
    back.mkdir()
    s3cmd.run("sync", f"{odd_tree}/", there)
    assert_complete(s3, bucket, odd_tree)
    assert "upload:" not in s3cmd.run("sync", "--dry-run", "--delete-removed", f"{odd_tree}/", there)
    s3cmd.run("sync", there, f"{back}/")
    assert tree.read(back) == tree.read(odd_tree)
    s3cmd.run("put", large_file, f"s3://{bucket}/{LARGE_KEY}")
    assert_multipart(s3, bucket)
    s3cmd.run("get", f"s3://{bucket}/{LARGE_KEY}", folder / "large")
    assert filecmp.cmp(large_file, folder / "large", shallow=False)
    s3cmd.run("del", "--recursive", "--force", f"s3://{bucket}")
    assert s3cmd.run("ls", "--recursive", f"s3://{bucket}") == ""
    assert_empty(s3, bucket)


def test_rclone(server, s3, bucket, folder, odd_tree, large_file):
    rclone = tools.Rclone(folder / "home", server, daemon.ALICE)
    there, back = f"dom:{bucket}/tree", folder / "back"
    rclone.run("sync", odd_tree, there)
    assert_complete(s3, bucket, odd_tree)
    again = rclone.run("sync", odd_tree, there, "--dry-run")
    assert "Skipped" not in again and "NOTICE" not in again.replace("NOTICE: \nTransferred", ""), again
    assert "0 differences found" in rclone.run("check", odd_tree, there)
    rclone.run("sync", there, back)
    assert tree.read(back) == tree.read(odd_tree)
    rclone.run("copyto", large_file, f"dom:{bucket}/{LARGE_KEY}")
    assert_multipart(s3, bucket)
    rclone.run("copyto", f"dom:{bucket}/{LARGE_KEY}", folder / "large")
    assert filecmp.cmp(large_file, folder / "large", shallow=False)
    rclone.run("delete", f"dom:{bucket}")
    assert rclone.run("lsf", "-R", f"dom:{bucket}") == ""
    assert_empty(s3, bucket)


def test_boto3(s3, bucket, folder, odd_tree, large_file):
    want = tree.read(odd_tree)
    for name in want:
        s3.upload_file(os.path.join(odd_tree, name), bucket, f"tree/{name}")
    assert_complete(s3, bucket, odd_tree)
    back = folder / "back"
    for key in listed(s3, bucket, "tree/"):
        path = back / key.removeprefix("tree/")
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(path))
    assert tree.read(back) == want
    parts = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=9 << 20)
    s3.upload_file(str(large_file), bucket, LARGE_KEY, Config=parts)
    assert_multipart(s3, bucket)
    s3.download_file(bucket, LARGE_KEY, str(folder / "large"), Config=parts)
    assert filecmp.cmp(large_file, folder / "large", shallow=False)
    keys = [{"Key": key} for key in listed(s3, bucket)]
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})["Deleted"]) == tree.COUNT + 1
    assert_empty(s3, bucket)


@pytest.mark.parametrize("size", [0, 1, 65536, 5 << 20])
def test_curl_aws_sigv4(server, bucket, folder, size):
    """curl 7.88 sends no x-amz-content-sha256 and signs what --data-binary sends."""
    import subprocess

    from kit import env
    data = os.urandom(size)
    (folder / "body").write_bytes(data)
    curl = ["curl", "-sS", "--noproxy", "*", "--aws-sigv4", "aws:amz:test-1:s3", "--user",
            f"{daemon.ALICE.access}:{daemon.ALICE.secret}", "-w", "%{http_code}"]
    url = f"{server.url}/{bucket}/curl/object"

    def run(*arguments):
        done = subprocess.run([*curl, *arguments], capture_output=True, env=env.of(folder), timeout=60, check=True)
        return done.stdout.decode()

    assert run("-X", "PUT", "--data-binary", f"@{folder / 'body'}", url) == "200"
    assert run("-o", str(folder / "got"), url) == "200"
    assert (folder / "got").read_bytes() == data
    assert run("-I", "-o", str(folder / "head"), url) == "200"
    assert f'"{raw.md5(data)}"' in (folder / "head").read_text()
    assert run("-X", "DELETE", url) == "204"
    assert run("-o", str(folder / "gone"), url) == "404"
