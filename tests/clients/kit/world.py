"""Four regions for the tests of clients, with a tap in front of each."""
import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from lib import regions  # noqa: E402

from . import daemon, env, peers  # noqa: E402

KEY = daemon.Key(*regions.ACCESS.split(":"), regions.TENANT)


class Watched(regions.World):
    """Regions reach each other through taps; clients reach them directly."""

    def __init__(self, *arguments, **more):
        self.tap = None
        super().__init__(*arguments, **more)

    def url(self, name):
        if self.tap is None:  # while the charter is written: what the regions will call
            return f"http://127.0.0.1:{self.taps()[name].port}"
        return super().url(name)

    def taps(self):
        if not hasattr(self, "_taps"):
            self._taps = {name: peers.Tap(self.port[name]) for name in self.names}
        return self._taps

    def charter(self, version, rules):
        self.tap = None
        path = super().charter(version, rules)
        self.tap = self.taps()
        return path


class Gateway:
    """What clients need to know of one region."""

    def __init__(self, world, name):
        self.name, self.host, self.port = name, "127.0.0.1", world.port[name]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = pathlib.Path(world.region[name].log)
        self.folder = self.log_path.parent

    def log(self, start=0, limit=8000):
        if not self.log_path.exists():  # a world that has ended; a later test failed
            return ""
        return self.log_path.read_bytes()[start:][-limit:].decode("utf-8", "replace")

    def log_size(self):
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def kill(self):
        pass  # the folder's end does it


@contextlib.contextmanager
def watched(name, rules, bucket, **settings):
    """A world that runs, with a bucket; `settings` go into the daemons' environment."""
    binary = pathlib.Path(env.BINARY)
    with regions.Folder(name) as folder:
        made = Watched(folder, str(binary.parent), rules=rules, program=binary.name)
        try:
            made.env["DOMICILE_LOG"] = "debug"  # whatever can be said is said
            made.env.update(settings)
            made.start()
            made.gateway = {each: Gateway(made, each) for each in made.names}
            daemon.LIVE.extend(made.gateway.values())
            made.bucket(bucket)
            yield made
            made.stop()
        finally:
            for tap in made.taps().values():
                tap.close()
