"""Buckets named by the Host: BUCKET.DOMAIN."""
import socket
import subprocess

from kit import daemon, env, raw, sigv4, tools


def ask(server, host, method, path, body=b"", key=daemon.ALICE):
    headers = {"Host": host, "Content-Length": str(len(body))}
    target = sigv4.quote_path(path)
    sigv4.sign(key, method, target, [], headers, sigv4.sha256(body))
    with raw.Connection(server) as connection:
        connection.send(raw.head(method, target, headers) + body)
        return connection.answer(method)


def test_put_by_host_get_by_path(server, http, bucket):
    host = f"{bucket}.s3.example.test"
    assert ask(server, host, "PUT", "/a/key ü", b"body").status == 200
    assert http.get(bucket, "a/key ü").body == b"body"
    for name in (host, host.upper(), f"{host}:{server.port}"):
        assert ask(server, name, "GET", "/a/key ü").body == b"body"
    assert [k.text for k in ask(server, host, "GET", "/").xml().iter("Key")] == ["a/key ü"]
    assert ask(server, host, "DELETE", "/a/key ü").status == 204
    answer = ask(server, host, "GET", "/a/key ü")
    assert (answer.code, answer.xml().findtext("Resource")) == ("NoSuchKey", f"/{bucket}/a/key ü")


def test_key_that_looks_like_a_page_of_ours(server, http, bucket):
    """`/-/` is reserved only where the Host names no bucket."""
    host = f"{bucket}.s3.example.test"
    assert ask(server, host, "PUT", "/-/healthz", b"mine").status == 200
    assert ask(server, host, "GET", "/-/healthz").body == b"mine"
    assert http.get(bucket, "-/healthz").body == b"mine"
    assert b"writable" in ask(server, "s3.example.test", "GET", "/-/healthz").body


def test_host_without_bucket_is_path_style(server, bucket):
    assert ask(server, "s3.example.test", "GET", f"/{bucket}").status == 200
    assert ask(server, "unknown.example.org", "GET", f"/{bucket}").status == 200
    assert ask(server, "Bad_Name.s3.example.test", "GET", "/").code == "InvalidBucketName"


def test_boto3_with_virtual_hosts(server, bucket, monkeypatch):
    real = socket.getaddrinfo

    def everything_is_here(host, *rest, **more):
        return real("127.0.0.1" if str(host).endswith(".test") else host, *rest, **more)
    monkeypatch.setattr(socket, "getaddrinfo", everything_is_here)
    s3 = tools.boto(server, daemon.ALICE, url=f"http://s3.example.test:{server.port}", s3={"addressing_style": "virtual"})
    s3.put_object(Bucket=bucket, Key="k +", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="k +")["Body"].read() == b"body"
    s3.create_bucket(Bucket=f"{bucket}-v")
    s3.copy_object(Bucket=f"{bucket}-v", Key="t", CopySource={"Bucket": bucket, "Key": "k +"})
    s3.delete_object(Bucket=f"{bucket}-v", Key="t")
    s3.delete_bucket(Bucket=f"{bucket}-v")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k +"})
    assert f"//{bucket}.s3.example.test" in url


def test_curl_with_virtual_host(server, s3, bucket, folder):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    host = f"{bucket}.s3.example.test"
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--resolve", f"{host}:{server.port}:127.0.0.1", "--aws-sigv4",
                           "aws:amz:r:s3", "--user", f"{daemon.ALICE.access}:{daemon.ALICE.secret}",
                           f"http://{host}:{server.port}/k"], capture_output=True, env=env.of(folder), check=True)
    assert done.stdout == b"body"
