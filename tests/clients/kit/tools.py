"""The real clients, each with a HOME of its own."""
import subprocess

import boto3
from botocore.config import Config

from . import env


def boto(server, key, retries=0, **more):
    s3 = {"addressing_style": "path", **more.pop("s3", {})}
    config = Config(signature_version=more.pop("signature_version", "s3v4"), retries={"max_attempts": retries},
                    s3=s3, read_timeout=60, connect_timeout=10, max_pool_connections=32,
                    parameter_validation=more.pop("parameter_validation", True))
    return boto3.session.Session().client("s3", endpoint_url=more.pop("url", server.url), region_name="test-1",
                                          verify=more.pop("verify", None),
                                          aws_access_key_id=key.access, aws_secret_access_key=key.secret,
                                          config=config)


class Tool:
    """A program; `run` fails the test with the program's own words."""

    def __init__(self, home, server, key):
        self.home, self.server, self.key = home, server, key
        home.mkdir(parents=True, exist_ok=True)
        self.setup()

    def setup(self):
        raise NotImplementedError

    def command(self, arguments):
        raise NotImplementedError

    def environment(self):
        return env.of(self.home)

    def run(self, *arguments, check=True):
        done = subprocess.run(self.command([str(a) for a in arguments]), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.home,
                              env=self.environment(), timeout=240, check=False)
        text = done.stdout.decode("utf-8", "replace")
        assert not check or done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{text[-3000:]}"
        return text


class Aws(Tool):
    def setup(self):
        folder = self.home / ".aws"
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text("[default]\nregion = test-1\nretry_mode = standard\nmax_attempts = 1\n"
                                       "s3 =\n  addressing_style = path\n")
        (folder / "credentials").write_text(f"[default]\naws_access_key_id = {self.key.access}\n"
                                            f"aws_secret_access_key = {self.key.secret}\n")

    def command(self, arguments):
        return ["aws", "--endpoint-url", self.server.url, "--no-cli-pager", *arguments]


class S3cmd(Tool):
    def setup(self):
        at = f"{self.server.host}:{self.server.port}"
        (self.home / ".s3cfg").write_text(
            f"[default]\naccess_key = {self.key.access}\nsecret_key = {self.key.secret}\nhost_base = {at}\n"
            f"host_bucket = {at}\nuse_https = False\nencoding = UTF-8\nmax_retries = 0\n"
            "signature_v2 = False\nbucket_location = test-1\nprogress_meter = False\n")

    def command(self, arguments):
        return ["s3cmd", "--no-progress", *arguments]


class Rclone(Tool):
    def setup(self):
        folder = self.home / ".config" / "rclone"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rclone.conf").write_text(
            f"[dom]\ntype = s3\nprovider = Other\naccess_key_id = {self.key.access}\n"
            f"secret_access_key = {self.key.secret}\nendpoint = {self.server.url}\nregion = test-1\n"
            "force_path_style = true\nupload_cutoff = 8Mi\nchunk_size = 8Mi\n")

    def command(self, arguments):
        return ["rclone", "--retries", "1", "--low-level-retries", "1", *arguments]


class Restic(Tool):
    """`at` is BUCKET or BUCKET/PREFIX: the repository."""

    at = None

    def setup(self):
        (self.home / "password").write_text("of the repository")

    def environment(self):
        return env.of(self.home, AWS_ACCESS_KEY_ID=self.key.access, AWS_SECRET_ACCESS_KEY=self.key.secret,
                      AWS_DEFAULT_REGION="test-1", RESTIC_PASSWORD_FILE=str(self.home / "password"),
                      RESTIC_REPOSITORY=f"s3:{self.server.url}/{self.at}", RESTIC_CACHE_DIR=str(self.home / "cache"))

    def command(self, arguments):
        return ["restic", "-o", "s3.bucket-lookup=path", *arguments]
