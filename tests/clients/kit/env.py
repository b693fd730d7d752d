"""A clean environment for programs under test: nothing of the machine's or the user's settings leaks in."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("DOMICILE_BIN", str(ROOT / "build" / "domicile"))
ORIGINAL = dict(os.environ)  # for npm only
WITHOUT = set(os.environ.get("DOMICILE_CLIENTS_WITHOUT", "").split())  # what a run says it does without
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # Debian's Python clients, whatever else is installed

# One of these breaks rclone 1.60; the others would send clients elsewhere.
TRAPS = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_PROFILE",
         "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ACCESS_KEY_ID",
         "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
         "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def clean():
    """For this process: boto3 runs in it."""
    for name in list(os.environ):
        if name in TRAPS or name.startswith(("AWS_", "RCLONE_", "DOMICILE_")) and name != "DOMICILE_BIN":
            del os.environ[name]
    os.environ.update(PATH=PATH, LC_ALL="C.UTF-8", BOTO_DISABLE_CRT="true", NO_PROXY="*", no_proxy="*",
                      AWS_EC2_METADATA_DISABLED="true")


def of(home, **more):
    """For a child process with a HOME of its own."""
    env = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": str(home), "BOTO_DISABLE_CRT": "true", "NO_PROXY": "*",
           "no_proxy": "*", "AWS_EC2_METADATA_DISABLED": "true", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    env.update(more)
    return env
