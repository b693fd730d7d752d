"""A PKCS#11 token without hardware: SoftHSM, with its tokens in a folder of the test's own."""
import shutil
import subprocess

from . import env

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN, OFFICER = "1234-right", "5678-officer"


class Token:
    def __init__(self, folder, label="domicile"):
        self.folder, self.label = folder, label
        self.tokens, self.conf, self.pin_file = folder / "tokens", folder / "softhsm2.conf", folder / "pin"
        self.tokens.mkdir(parents=True)
        self.conf.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.pin(PIN)
        self.env = {"SOFTHSM2_CONF": str(self.conf)}
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", OFFICER)
        self.make("kek-wrap")

    def _run(self, *command):
        done = subprocess.run(command, env=env.of(self.folder, **self.env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        assert done.returncode == 0, done.stdout.decode()
        return done.stdout.decode()

    def make(self, key):
        """An AES-256 key that cannot leave."""
        self._run("pkcs11-tool", "--module", MODULE, "--login", "--pin", PIN, "--token-label", self.label,
                  "--keygen", "--key-type", "AES:32", "--label", key, "--sensitive")

    def pin(self, text):
        if self.pin_file.exists():
            self.pin_file.unlink()
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(text + "\n")

    def uri(self, key="kek-wrap"):
        return f"pkcs11:token={self.label};object={key}?module-path={MODULE}"

    def flags(self, key="kek-wrap"):
        return ["--kek", self.uri(key), "--kek-pin-file", self.pin_file]

    def settings(self, key="kek-wrap"):
        """Lines of a config."""
        return f'kek: "pkcs11:token={self.label};object={key}"\nkek_module: "{MODULE}"\nkek_pin_file: "{self.pin_file}"\n'

    def wrapper(self):
        """Before a daemon's command line: its environment."""
        return ["/usr/bin/env", *(f"{name}={value}" for name, value in self.env.items())]

    def tries_left_low(self):
        """True after a wrong PIN that no right one followed."""
        told = self._run("pkcs11-tool", "--module", MODULE, "--list-slots")
        return "count low" in told or "final" in told

    def take_away(self):
        """As by pulling it out."""
        shutil.move(self.tokens, self.folder / "elsewhere")
        self.tokens.mkdir()

    def put_back(self):
        self.tokens.rmdir()
        shutil.move(self.folder / "elsewhere", self.tokens)
