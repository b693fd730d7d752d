"""The drill: a region loses its vault, and gets it back from the backup; what was dropped in between stays dropped."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kit import daemon  # noqa: E402
from lib import regions  # noqa: E402

PEOPLE = [f"person-{i}" for i in range(6)]


class Drilled(regions.World):
    """cn has its backup replaced at each rotation."""

    def __init__(self, folder, *arguments):
        self.backup = folder.file("backup.age")
        self.identity = folder.file("offline.key")
        self.recipient = None
        super().__init__(folder, *arguments)

    def settings(self, name):
        if self.recipient is None:
            self.recipient = self.command("key", "backup-keygen", self.identity).strip()
        if name != "cn":
            return ""
        return f'vault_backup_file: "{self.backup}"\nvault_backup_recipient: "{self.recipient}"\n'

    def config(self, name="cn"):
        return self.key(name, "domicile.yaml")

    def url_of(self, person):
        return f"{self.url('in')}/phones/{person}/notes.txt"

    def put(self, person):
        regions.curl(regions.ACCESS, "-T", self.identity + ".pub", self.url_of(person), ok=("200",))

    def read(self, person, ok=("200",)):
        return regions.curl(regions.ACCESS, self.url_of(person), ok=ok)

    def lose(self, *more):
        """The vault's files are gone."""
        shutil.rmtree(os.path.join(self.data("cn"), "vault"))
        for path in more:
            shutil.rmtree(path)

    def restore(self, *more, ok=(0,), source=None, config=None):
        told = subprocess.run([self.program, "key", "restore", "--config", config or self.config(), "--from",
                               source or self.backup, "--identity", self.identity, "--json", *more], env=self.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert told.returncode in ok, told.stderr.decode()
        return json.loads(told.stdout) if told.returncode == 0 else told.stderr.decode()


@pytest.fixture
def world():
    binary = pathlib.Path(daemon.env.BINARY)
    with regions.Folder("restore") as made:
        world = Drilled(made, str(binary.parent), regions.RULES_OPEN, ("cn", "sg", "in"), binary.name)
        with open(world.identity + ".pub", "w", encoding="ascii") as file:
            file.write("what people wrote\n" * 50)
        world.text = "what people wrote\n" * 50
        world.start()
        world.bucket("phones")
        world.token = {person: world.register(person) for person in PEOPLE}
        for person in PEOPLE:
            world.put(person)
        yield world
        world.stop()


def serves_all(world, people=PEOPLE):
    for person in people:
        assert world.read(person) == world.text


def test_drill(world):
    """Slots and key folder are lost. Somebody moved away after the backup: the backup has the key, the region not."""
    told = json.loads(world.at("cn", "key", "backup", "--json"))
    assert told["keys"] >= len(PEOPLE) and told["file"] == world.backup
    shutil.copy(world.backup, world.backup + ".old")
    world.at("cn", "move", "--token", world.token[PEOPLE[0]], "--to", "sg")
    world.at("cn", "key", "rotate")
    world.region["cn"].stop()
    world.lose(world.key("cn", "kek"))
    world.region["cn"].launch()
    assert world.region["cn"].wait_dead(60)  # no vault: no start, and nothing made in its place
    assert not os.path.exists(os.path.join(world.data("cn"), "vault", "slots-0"))
    # The rotation replaced the backup; a copy of the older one is refused by name.
    told = world.restore(source=world.backup + ".old", ok=(1,))
    assert re.search(r"made under KEK [0-9a-f]{16}, which a rotation destroyed", told), told
    told = world.restore("--accept-older", source=world.backup + ".old")
    assert told["shredded"] == 1 and told["missing"] == 0  # the one who moved away
    world.region["cn"].start()
    serves_all(world)
    assert world.rows("cn")[world.token[PEOPLE[0]]]["state"] == "moved"
    world.region["cn"].stop()
    left = json.loads(world.command("fsck", "--config", world.config(), "--traces", world.token[PEOPLE[0]], "--json",
                                    ok=(0, 1)))
    stays = {line["what"]: line["stays"] for line in left["found"]}
    assert "data key in the vault" not in stays and "readable log record" not in stays
    assert world.command("fsck", "--config", world.config())
    world.region["cn"].start()


def test_replaced_at_each_rotation(world):
    """After a rotation the file at its place opens nothing of what was dropped before."""
    world.at("cn", "key", "backup")
    with open(world.backup, "rb") as file:
        first = file.read()
    world.at("cn", "move", "--token", world.token[PEOPLE[0]], "--to", "sg")
    world.at("cn", "key", "rotate")
    with open(world.backup, "rb") as file:
        second = file.read()
    assert first != second and len(second) < len(first)
    opened = subprocess.run(["age", "-d", "-i", world.identity, world.backup], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, check=True).stdout  # the format is age's: any port of it opens it
    assert opened.startswith(b"DOMVBK01") and len(opened) % 72 == 96 % 72
    assert bytes.fromhex(world.token[PEOPLE[0]]) not in opened
    assert all(bytes.fromhex(world.token[person]) in opened for person in PEOPLE[1:])
    world.region["cn"].stop()
    world.lose()
    told = world.restore()
    assert told["shredded"] == 0 and told["missing"] == 0
    world.region["cn"].start()
    serves_all(world)


def test_names_purged_since(world):
    """The index key of now is not in the backup: the index is made again from the log."""
    world.at("cn", "key", "backup")
    shutil.copy(world.backup, world.backup + ".old")
    world.at("cn", "names", "purge")
    world.region["cn"].stop()
    world.lose()
    told = world.restore("--accept-older", source=world.backup + ".old")
    assert told["index_rebuilt"] is True
    world.region["cn"].start()
    serves_all(world)


def test_refusals(world):
    """Each by its name, and nothing is left that a start could open."""
    world.at("cn", "key", "backup")
    late = world.register("late")
    world.put("late")
    world.region["cn"].stop()
    assert "another process has this data folder open" in world.restore(config=world.config("sg"), ok=(3,))
    assert "the region has a vault" in world.restore(ok=(3,))
    world.lose()
    told = world.restore(ok=(1,))
    assert late in told and "lacks the keys of 1 (token, epoch)" in told
    other = world.folder.file("other.key")
    world.command("key", "backup-keygen", other)
    mine, world.identity = world.identity, other
    assert "sealed to another key" in world.restore(ok=(3,))
    world.identity = mine
    with open(world.backup, "rb") as file:
        good = file.read()
    for name, bytes_of in (("cut", good[:-20]), ("changed", good[:-1] + bytes([good[-1] ^ 1])), ("none", b"plain text")):
        path = world.folder.file(name)
        with open(path, "wb") as file:
            file.write(bytes_of)
        told = world.restore(source=path, ok=(2, 3))
        assert "cut short" in told or "not a file sealed" in told, told
    world.region["sg"].stop()
    shutil.rmtree(os.path.join(world.data("sg"), "vault"))
    assert "is of region number 1, not 2" in world.restore(config=world.config("sg"), ok=(3,))
    assert not os.path.exists(os.path.join(world.data("sg"), "vault.restore"))
    assert not os.path.exists(os.path.join(world.data("cn"), "vault.restore"))
    assert not os.path.exists(os.path.join(world.data("cn"), "vault", "slots-0"))
    told = world.restore("--accept-missing")
    assert told["missing"] == 1
    world.region["cn"].start()
    serves_all(world)


def test_offline_backup(world):
    world.region["cn"].stop()
    to = world.folder.file("by-hand.age")
    told = json.loads(world.command("key", "backup", "--config", world.config(), "--to", to, "--recipient",
                                    world.recipient, "--json"))
    assert told["keys"] >= len(PEOPLE)
    inside = os.path.join(world.data("cn"), "backup.age")
    world.command("key", "backup", "--config", world.config(), "--to", inside, "--recipient", world.recipient, ok=(2,))
    world.lose()
    assert world.restore(source=to)["missing"] == 0
    world.region["cn"].start()
    serves_all(world)
